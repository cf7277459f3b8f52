"""Words, and what is shown, under fuzzing: offsets slice back; a terminal gets text and our styles, nothing else."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from rich.console import Console

from batch_scorer import escape
from batch_scorer.errors import InputError, ScorerError
from batch_scorer.models.network import fold_head, forward
from batch_scorer.models.profile import EMPTY
from batch_scorer.models.protocol import Scores
from batch_scorer.models.scripts import script_counts
from batch_scorer.models.tokenizer import OOV, START, spans, words
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.review import check, explain_review, to_json
from batch_scorer.ui import cards, highlight, terminal
from tests.fuzz.mutate import mutated
from tests.fuzz.oracle import holds, scorer
from tests.fuzz.seeds import unicode_text

_style = re.compile(r"\x1b\[[0-9;]*m")  # what a terminal may be told: a colour, or bold
_word = re.compile(r"[\w']+")


def seed_text(rng: Random) -> bytes:
    """A byte of options and a text."""
    made = unicode_text(rng)
    return rng.randbytes(1) + (mutated(made, rng, lambda: unicode_text(rng)) if rng.random() < 0.5 else made)


def text_of(data: bytes, halves: bool = False) -> tuple[int, str]:
    """Options and the text, of which any bytes are one; with half characters if `halves`."""
    option, encoded = (data or b"\0")[0], data[1:]
    if halves:
        if option % 4:
            return option, encoded.decode("utf-8", "surrogateescape")
        return option, encoded[: len(encoded) // 2 * 2].decode("utf-16-le", "surrogatepass")
    return option, encoded.decode(("utf-8", "utf-8", "utf-16-le", "utf-32-le", "latin-1")[option % 5], "replace")


def check_tokenizer(data: bytes, scratch: Path) -> None:
    """Words are the matches of the pattern, lower-cased one by one; offsets slice back; ids are those of the words."""
    _, text = text_of(data)
    blanked = text.replace("<br />", " " * 6)
    matches = list(_word.finditer(blanked))
    found, (starts, ends) = words(text), spans(text)
    expected = [match.group().lower() for match in matches]
    holds(expected == found, "other words", text, expected, found)
    places = list(zip(starts.tolist(), ends.tolist(), strict=True))
    holds([match.span() for match in matches] == places, "other offsets", text, places)
    holds(found == [text[a:b].lower() for a, b in places], "offsets do not slice back", text, places)
    scripts = script_counts(text, found)
    holds(scripts is None or 0 < scripts.sum() <= len(found), "words in other scripts", text)
    model = scorer(scratch).artifact
    ids, known = model.tokenizer.ids(found), model.vocabulary
    used = found[-model.tokenizer.max_words :]
    holds(ids[0] == START and len(ids) == len(used) + 1, "ids", text, ids)
    back = [
        word if at == OOV and word not in known[OOV + 1 :] else known[at]
        for at, word in zip(ids[1:], used, strict=True)
    ]
    holds(used == back, "ids of other words", text, ids)


class _Plain:
    """An engine of NumPy: the network as it is written down, one review after another."""

    batch_size = 1

    def __init__(self, of: Scorer) -> None:
        self._tensors, self._architecture = of.artifact.tensors, of.artifact.architecture
        _, self.bias = fold_head(self._tensors, self._architecture.batch_norm_epsilon)

    def run(self, batch: list[np.ndarray]) -> Scores:
        one = forward(self._tensors, self._architecture, batch[0])
        return Scores(np.array([one.logit]), one.attention[:, None], one.contribution[:, None])


def check_explain(data: bytes, scratch: Path) -> None:
    """A review explained: tokens slice back, the contributions add up, and what is printed obeys nobody."""
    option, text = text_of(data)
    of = scorer(scratch)
    try:
        check(text, "TEXT", of.artifact.tokenizer)
    except InputError:
        return
    review = explain_review(text, Scorer(of.artifact, _Plain(of)), option % 12)
    for name in ("top_attended", "top_contributing"):
        for word in review.row[name]:
            holds(word["token"] == text[word["char_start"] : word["char_end"]].lower(), "a token", text, word)
            holds(words(text)[word["position"]] == word["token"], "a position", text, word)
    told = review.bias + sum(word["contribution"] for word in review.row["top_contributing"])
    holds(abs(told + review.row["rest_contribution"] - review.row["logit"]) < 1e-4, "the sum", text, review.row)
    holds(len(review.words) == len(words(text)), "words", text)
    json.loads(escape.as_json(to_json(review)))
    for console in consoles(option):
        highlight.show(console, review)
        terminal.results(console, [{**review.row, "record_id": text}], "results")
        only_text_and_styles(console)


def consoles(option: int) -> list[Console]:
    """A pipe and a terminal, of some width, set as the command sets its own."""
    width = (20, 80, 200, 7)[option % 4]
    given = {"width": width, "markup": False, "emoji": False, "highlight": False, "legacy_windows": False}
    plain = Console(file=io.StringIO(), color_system=None, soft_wrap=bool(option & 64), **given)
    coloured = Console(file=io.StringIO(), color_system=("standard", "truecolor")[option // 16 % 2],
                       force_terminal=True, no_color=False, **given)  # fmt: skip
    return [plain, coloured]


def only_text_and_styles(console: Console) -> None:
    """Holds that printable characters, line ends and styles are all that was printed."""
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    if console.color_system is None:
        holds("\x1b" not in printed, "a sequence without a terminal", printed)
    left = {c for c in _style.sub("", printed) if not c.isprintable() and c != "\n"}
    holds(not left, "not to be printed", left, printed)


def check_terminal(data: bytes, scratch: Path) -> None:
    """Any text, half characters and all, on one line, in a table, as a title, as a file's name and as a message."""
    option, text = text_of(data, halves=True)
    for width in (None, 1, 2, 20):
        shown = escape.safe(text, width, keep_end=bool(option & 1))
        holds(shown.isprintable() and (width is None or len(shown) <= width), "safe", text, width, shown)
    kept = escape.visible(text, keep="\n")
    holds(len(kept) == len(text) and kept.replace("\n", "").isprintable(), "visible", text, kept)
    holds(all(a == b for a, b in zip(text, kept, strict=True) if a.isprintable()), "what can be seen", text, kept)
    message = escape.report(ScorerError(text, where=text, expected=text, got=text, fix=text))
    holds(1 <= len(message.split("\n")) <= 5 and message.replace("\n", "").isprintable(), "a message", text, message)
    value = {text: [text, option]}
    line = escape.as_json(value, ("utf-8", "ascii", "latin-1")[option % 3])
    holds(line.isprintable() and json.loads(line) == value, "JSON", text, line)
    for console in consoles(option):
        manifest = _manifest(text)
        cards.run_card(console, text, manifest, bool(option & 1))
        terminal.notes(console, manifest)
        terminal.error_counts(console, {(text, text): 3})
        only_text_and_styles(console)


def _manifest(text: str) -> dict[str, Any]:
    """The manifest of a run that has `text` wherever there may be text."""
    return {
        "run_id": text,
        "model_id": text,
        "model_name": text,
        "counts": {"read": 3, "scored": 2, "rejected": 1, "unreadable": 0},
        "threshold": 0.5,
        "profile": {"run": EMPTY.to_json(), "training": EMPTY.to_json()},
        "timings": {text: 1.0},
        "warnings": [text],
        "notices": [text],
        "not_a_success": text,
        "finished": text,
    }
