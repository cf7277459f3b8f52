"""One review through the stages of the job, without files or Beam: a text in; its row out, and each of its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.config import InputConfig
from batch_scorer.errors import EngineError, InputError
from batch_scorer.models.protocol import Doubles
from batch_scorer.models.tokenizer import Rule, Tokenizer
from batch_scorer.models.units import places
from batch_scorer.schema import WORDS_ONLY, Rejection, Segments
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.encode import Encoded, encode
from batch_scorer.scoring.explain import explain
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.score import ScoredBatch, score

MAX_TEXT_BYTES = InputConfig.max_text_bytes


@dataclass(frozen=True)
class Word:
    """A word, which is ``text[start:end]``.

    Args:
        is_read: whether it is among the words that are scored, which of a very long text are the last ones, or of some
            models the first.
        is_known: whether it is in the vocabulary; True if it is not read.
        attention, contribution: 0 if it is not read.
    """

    start: int
    end: int
    is_read: bool = False
    is_known: bool = True
    attention: float = 0.0
    contribution: float = 0.0


@dataclass(frozen=True)
class ExplainedReview:
    """A review, scored and explained.

    Args:
        words: every word of `text`, in order.
        row: the columns of its row in `predictions` that follow from text and model; plain Python values.
        bias, temperature: ``logit = bias + sum of row's contributions + rest``; ``P = sigmoid(logit / temperature)``.
            The temperature is this review's.
    """

    text: str
    words: tuple[Word, ...]
    row: Mapping[str, Any]
    bias: float
    temperature: float

    @property
    def unknown(self) -> int:
        """How many of the words that were read are not in the vocabulary, or have a piece that is not.

        Of a row without its words, this is its `oov_rate` taken of the words: exact unless ids are of pieces.
        """
        share, used = float(self.row["oov_rate"]), int(self.row["n_tokens_used"])
        return sum(not word.is_known for word in self.words) or round(share * used)


def check(text: str, where: str, tokenizer: Tokenizer) -> None:
    """Refuses a text that the job would reject; `where` says what it is, for the message.

    Raises:
        InputError: it is too large, holds half of a surrogate pair, or has no word.
    """
    try:
        size_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InputError(
            "the text cannot be written as UTF-8",
            where=f"{where}, character {error.start}",
            expected="whole characters",
            got=f"half of a surrogate pair, U+{ord(text[error.start]):04X}",
            fix="check the encoding of the text, or of this terminal",
        ) from error
    if size_bytes > MAX_TEXT_BYTES:
        raise too_large(where, f"{size_bytes:,} bytes")
    if not tokenizer.has_words(text):
        raise InputError(
            "there is nothing to score",
            where=where,
            expected="a review with at least one word",
            got="no letter or digit, and so no word",
            fix="give the text of a review, or - to read it from standard input",
        )


def too_large(where: str, got: str) -> InputError:
    """The refusal of a text above the limit."""
    return InputError(
        "the text is too large",
        where=where,
        expected=f"at most {MAX_TEXT_BYTES:,} bytes",
        got=got,
        fix="give a single review; `batch-scorer score` takes files with many",
    )


def explain_review(text: str, scorer: Scorer, top_k: int, segments: Segments = WORDS_ONLY) -> ExplainedReview:
    """Scores a text that `check` accepts, through the stages of the job, and explains every word that was read.

    Args:
        scorer: the engine of a job gives the row of a job, bit for bit; `ExactEngine` is ready at once, and its doc
            says how close it comes.
        top_k: words in each list of `row`.
        segments: the sentences and phrases that `row` has.

    Raises:
        EngineError: the model fails on the text.
    """
    (encoded,) = encode(next(read_texts([text])), scorer.artifact.tokenizer)
    scored = score(encoded, scorer.engine)
    batches = list[ScoredBatch]()
    for batch in scored.batches:
        if isinstance(batch, Rejection):
            raise EngineError("the model fails on this text", got=batch.message)
        batches.append(batch)
    columns = explain(replace(scored, batches=batches), top_k, segments).columns(scorer.artifact)
    row = {name: column[0].as_py() for name, column in columns.items()}
    temperature = row.get("temperature", scorer.artifact.temperature)
    edges = scorer.artifact.tokenizer.spans(text)
    return ExplainedReview(text, _words(edges, encoded, batches), row, scorer.engine.bias, temperature)


def _words(
    edges: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]], encoded: Encoded, batches: list[ScoredBatch]
) -> tuple[Word, ...]:
    """Every word of the one text that was scored; numbers are rounded to float32, as in the row.

    Args:
        edges: where its words start and end.
        batches: with all of its windows.
    """
    windows = encoded.windows
    read: dict[int, tuple[Doubles, Doubles]] = {}  # window -> attention and contribution of its words
    for batch in batches:
        scores = windows.by_word(batch.rows, batch.scores)
        for column, row in enumerate(batch.rows.tolist()):
            n, share = int(windows.n_words[row]), windows.share[row]
            words = (slice(len(scores.attention) - n, None), column)
            read[row] = (scores.attention[words] * share, scores.contribution[words] * share)
    attention, contribution = (
        np.concatenate([read[row][at] for row in range(len(windows))]).astype(np.float32).tolist() for at in (0, 1)
    )
    known = windows.known_words().tolist()
    starts, ends = (edge.tolist() for edge in edges)
    first = int(encoded.n_seen[0]) - len(known)
    return tuple(
        Word(start, end, True, known[at - first], attention[at - first], contribution[at - first])
        if first <= at < first + len(known)
        else Word(start, end)
        for at, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def listed_words(text: str, row: Mapping[str, Any], pattern: Rule, reads_first: bool = False) -> tuple[Word, ...]:
    """Every word of the text of a row of a finished run: those that it lists have numbers, the others have none.

    Of a script without blanks, what is between two listed units is one word here: the row does not say how the model
    divides it. There, what comes before the first listed unit counts as read unless nothing before that unit was.

    Args:
        row: its columns in `predictions`.
        pattern: what a word is, as `Run.pattern` says.
        reads_first: whether the first words of long texts were read, rather than the last.
    """
    listed = {w["position"]: w for w in (*row["top_attended"], *row["top_contributing"])}
    used = int(row["n_tokens_used"])
    first = 0 if reads_first else int(row["n_tokens"]) - used
    starts, ends = (edges.tolist() for edges in places(text, pattern))
    if len(starts) == row["n_tokens"]:
        return tuple(
            _listed(listed[at], start, end) if at in listed else Word(start, end, first <= at < first + used)
            for at, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
    units = {w["char_start"]: w for w in listed.values()}
    earliest = min(listed, default=first)
    unread = listed[earliest]["char_start"] if earliest == first > 0 and listed else 0
    words, marks = list[Word](), sorted((w["char_start"], w["char_end"]) for w in units.values())
    for at, end in zip(starts, ends, strict=True):
        for start, stop in [mark for mark in marks if at <= mark[0] < end]:
            if at < start:
                words.append(Word(at, start, at >= unread))
            words.append(_listed(units[start], start, stop))
            at = stop  # noqa: PLW2901
        if at < end:
            words.append(Word(at, end, at >= unread))
    return tuple(words)


def _listed(word: Mapping[str, Any], start: int, end: int) -> Word:
    return Word(start, end, True, True, word["attention"], word["contribution"])


def to_json(review: ExplainedReview) -> dict[str, Any]:
    """`row`, bias and temperature, with each float32 as the shortest number that reads back as the same float32."""
    row = {name: shortest(value) for name, value in review.row.items()}
    constants = {"bias": review.bias, "temperature": review.temperature}
    return row | {name: value for name, value in constants.items() if name not in row}


def shortest(value: Any) -> Any:
    """A value of a row whose floats are float32, as JSON needs to hold it; other values as they are."""
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, list):
        return [{name: shortest(part) for name, part in word.items()} for word in value]
    return value
