"""`batch-scorer explain`: a text, or a row of a run, in the terminal, with the numbers that the table holds."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import EngineError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.models.tokenizer import spans, words
from batch_scorer.schema import Segments
from batch_scorer.scoring import plain
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.review import ExplainedReview, explain_review, to_json
from batch_scorer.ui import highlight
from tests.cli.test_main import SHOW_IMPORTS, process
from tests.conftest import REVIEWS, TINY, save_tiny
from tests.engines import tensorflow_engines
from tests.jobs import rows, score_here
from tests.ui.test_terminal import FORBIDDEN

MAX_WORDS = TINY.max_length - 1
NUMBER = r"([+-]\d+\.\d{3})"
SUM = re.compile(rf"bias {NUMBER} \+ words {NUMBER} \+ rest {NUMBER} = logit {NUMBER} -> P\(positive\) (\d\.\d{{3}})")
# Text that a person or an attacker may paste: words the model knows, and all that a terminal would act on.
PIECES = st.sampled_from(
    ["good", "bad", "film", "it's", "слово", "İstanbul", "x" * 90, "<br />", "[bold]", "[/]", " ", "\n", "\r\n", "\t"]
)
TEXTS = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=40).map("".join)


@pytest.fixture(scope="module")
def scorer(tiny: Artifact) -> Scorer:
    with tensorflow_engines():
        return Scorer(tiny, load_engine(tiny))


@pytest.fixture
def run(tiny_model: Path) -> Callable[..., Result]:
    """Runs `explain` with the tiny model in this process."""

    def explain(*args: object, given: bytes | None = None) -> Result:
        command = ["explain", "--model", str(tiny_model), *map(str, args)]
        return CliRunner().invoke(main, command, input=given)

    return explain


def shown(review: ExplainedReview, width: int = 80, colours: str | None = None) -> str:
    """What a console of `width` columns gets; `colours` is rich's name of a colour system."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=bool(colours), color_system=colours, no_color=not colours
    )
    highlight.show(console, review)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("top_k", [0, 3])
@tensorflow_engines()
def test_json_is_the_row_that_the_job_writes_to_the_last_bit(
    top_k: int, config: Callable[..., ScoreConfig], reviews_file: Path, scorer: Scorer
) -> None:
    job = config(reviews_file, top_k=top_k, no_text_hash=True)
    bias = score_here(job)["bias"]
    for (_, text), row in zip(REVIEWS, rows(job.output.directory), strict=True):
        found = json.loads(json.dumps(to_json(explain_review(text, scorer, top_k))))
        expected = {name: row[name] for name in row if name not in ("record_id", "source", "offset", "run_id")}
        assert {*expected, "bias", "temperature"} == found.keys()
        assert (bias, 1.3) == (found["bias"], found["temperature"])
        for name, value in expected.items():
            assert as_float32(value) == as_float32(found[name]), name


def as_float32(value: object) -> object:
    if isinstance(value, float):
        return np.float32(value)
    if isinstance(value, list):
        return [{name: as_float32(part) for name, part in word.items()} for word in value]
    return value


def test_text_of_a_terminal_shows_words_label_sum_and_table(run: Callable[..., Result]) -> None:
    result = run("--top-k", 2, "A wonderful film,\nand unheard of.")
    row = json.loads(run("--top-k", 2, "--json", "A wonderful film,\nand unheard of.").stdout)
    assert (0, "") == (result.exit_code, result.stderr)
    text = lines(result.stdout)

    for word in row["top_contributing"]:
        mark = f"({word['contribution']:+.2f})"
        assert mark in text[0] + text[1]
        table_row = f"{word['token']} {word['position']} {word['contribution']:+.3f} {word['attention']:.3f}"
        assert table_row in text
    assert ["A wonderful film,", "and _unheard_ _of_."] == [re.sub(r"\([+-].*?\)", "", line) for line in text[:2]]
    assert "word(+0.50) for positive, word(-0.50) for negative, _word_ unknown" == text[3]
    assert f"{row['predicted_label']}: 6 words, 2 unknown; temperature 1.300" == text[5]
    assert SUM.fullmatch(text[6])


def test_sentences_and_phrases_are_shown_and_in_the_row_where_they_are_asked_for(run: Callable[..., Result]) -> None:
    text = "A wonderful\nfilm, and unheard of. Not boring!"
    options = ("--sentences", "--spans", 2, text)
    row = json.loads(run("--json", *options).stdout)
    found = lines(run(*options).stdout)
    for title, column in (("the sentences", "sentences"), ("the phrases that weigh most", "top_spans")):
        at = found.index(title) + 1
        assert "text position words contribution" == found[at]
        cells = [
            f"{text[s['char_start'] : s['char_end']]} {s['position']} {s['n_words']} {s['contribution']:+.3f}"
            for s in row[column]
        ]
        assert [" ".join(cell.split()) for cell in cells] == found[at + 1 : at + 1 + len(cells)]
    assert ["A wonderful\nfilm, and unheard of", "Not boring"] == [
        text[s["char_start"] : s["char_end"]] for s in row["sentences"]
    ]
    assert not {"sentences", "top_spans"} & set(json.loads(run("--json", text).stdout))


@pytest.mark.parametrize("colours", [None, "truecolor"])
def test_console_shows_phrases_in_the_colour_of_their_sign(colours: str | None, scorer: Scorer) -> None:
    review = explain_review("a wonderful film, boring bad plot", scorer, 0, Segments(spans=9))
    found = shown(review, colours=colours)
    assert all(f"{s['contribution']:+.3f}" in found for s in review.row["top_spans"])
    assert "the phrases that weigh most" in found and "the sentences" not in found


def test_deletions_are_shown_and_in_the_row_where_they_are_asked_for(run: Callable[..., Result]) -> None:
    text = "A wonderful film. Not bad!"

    shown = run("--what-if", "--sentences", "--spans", 1, text)
    assert 0 == shown.exit_code, shown.output
    lines = shown.output.partition("the same text without each of these, scored again (P(positive) was 0.")[
        2
    ].splitlines()
    assert ["text", "is", "a", "contribution", "P(positive)", "change"] == lines[1].split()
    assert {"word", "phrase", "sentence"} <= {word for line in lines[2:] for word in line.split()}
    assert "scored again" not in run(text).output

    row = json.loads(run("--what-if", "--json", text).output)
    assert 5 == len(row["what_if"]) == len(row["top_contributing"])
    first = row["what_if"][0]
    assert {"kind", "char_start", "char_end", "contribution", "probability", "change"} == first.keys()
    assert first["change"] == pytest.approx(first["probability"] - row["probability"], abs=1e-6)
    assert "what_if" not in json.loads(run("--json", text).output)


def test_words_before_the_last_are_marked_as_not_read(scorer: Scorer) -> None:
    review = explain_review("bad " * 3 + "good " * MAX_WORDS, scorer, 0)
    assert [False] * 3 + [True] * MAX_WORDS == [word.is_read for word in review.words]
    text = shown(review)
    assert text.startswith("[not read: bad bad bad] good good")
    assert f": {MAX_WORDS + 3} words, the last {MAX_WORDS} read, 0 unknown" in text
    coloured = shown(review, colours="truecolor")
    assert coloured.startswith("\x1b[2mbad\x1b[0m\x1b[2m \x1b[0m\x1b[2mbad")
    assert "not read:" not in coloured


def test_colour_is_the_sign_and_strength_is_the_attention(scorer: Scorer) -> None:
    review = explain_review("a wonderful film and it's not boring, unheard of", scorer, 10)
    marked = highlight.marked_text(review)
    assert review.text == marked.plain
    style_at = {span.start: str(span.style) for span in marked.spans}
    largest = max(word.attention for word in review.words)
    for word in review.words:
        colours = highlight.POSITIVE if word.contribution >= 0 else highlight.NEGATIVE
        step = sum(word.attention / largest >= edge for edge in highlight.STEPS)
        expected = colours[step] if word.is_known else f"{colours[step]} underline"
        assert expected.strip() == style_at.get(word.start, "").strip()
    assert {len(highlight.STEPS)} & {sum(w.attention / largest >= e for e in highlight.STEPS) for w in review.words}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good\nbad", "good\nbad"),
        ("\n  good\r\n\r\nbad \n\n", "good\n\nbad"),
        ("good<br /><br />bad", "good\n\nbad"),
        ("good   film\tbad", "good   film bad"),
        ("good\u2028bad\x85film", "good bad film"),
        ("good\x1b[2Jbad\x00 a\u202eb", "good�[2Jbad� a�b"),
        ("[bold]good[/] :heart:", "[bold]good[/] :heart:"),
    ],
)
def test_text_is_shown_with_its_line_breaks_and_obeyed_in_nothing(text: str, expected: str, scorer: Scorer) -> None:
    assert expected == highlight.marked_text(explain_review(text, scorer, 0)).plain


@settings(max_examples=60)
@given(text=TEXTS.filter(words), top_k=st.integers(0, 25), width=st.integers(20, 120))
def test_any_text_is_shown_with_its_words_in_order_and_without_control_characters(
    text: str, top_k: int, width: int, scorer: Scorer
) -> None:
    review = explain_review(text, scorer, top_k)
    plain, coloured = shown(review, width), shown(review, width, "truecolor")

    without_styles = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    for output in (plain, without_styles):
        assert not {unicodedata.category(c) for c in output.replace("\n", "")} & FORBIDDEN
    at = 0
    unbroken = plain.replace("\n", "")  # a word longer than the line is broken
    for start, end in zip(*spans(text), strict=True):
        at = unbroken.index(text[start:end], at) + end - start


@settings(max_examples=60)
@given(text=TEXTS.filter(words), top_k=st.integers(0, 25))
def test_sum_adds_up_as_printed_and_in_the_row(text: str, top_k: int, scorer: Scorer) -> None:
    review = explain_review(text, scorer, top_k)
    row = review.row
    total = review.bias + sum(word["contribution"] for word in row["top_contributing"]) + row["rest_contribution"]
    assert row["logit"] == pytest.approx(total, abs=1e-5)
    assert row["probability"] == pytest.approx(1 / (1 + np.exp(-row["logit"] / review.temperature)), abs=1e-6)

    match = SUM.fullmatch(plain.sum_line(review))
    assert match
    bias, listed, rest, logit, probability = map(float, match.groups())
    assert logit == pytest.approx(bias + listed + rest, abs=0.0021)  # four roundings of half a thousandth
    assert row["probability"] == pytest.approx(probability, abs=0.00051)
    every = sum(word.contribution for word in review.words)
    start_mark = explain_review(text, scorer, len(review.words)).row["rest_contribution"]
    assert row["logit"] == pytest.approx(review.bias + every + start_mark, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"", ["nothing to score", "where:    standard input", "to fix:"]),
        (b"?! ... \n", ["nothing to score", "got:      no letter or digit"]),
        (b"caf\xe9", ["not UTF-8", "where:    standard input, byte 3", "got:      0xe9", "iconv"]),
        (b"good " * 200_001, ["too large", "expected: at most 1,000,000 bytes"]),
    ],
    ids=["empty", "no words", "invalid UTF-8", "too large"],
)
def test_standard_input_that_cannot_be_scored_is_exit_2_and_says_why(
    given: bytes, expected: list[str], run: Callable[..., Result]
) -> None:
    result = run("-", given=given)
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: ")
    assert [] == [part for part in expected if part not in result.stderr]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "nothing to score"),
        ("half \ud83d of a pair", "where:    TEXT, character 5"),
        ("é" * 500_001, "got:      1,000,002 bytes"),
    ],
    ids=["empty", "lone surrogate", "too large"],
)
def test_text_that_cannot_be_scored_is_exit_2_and_says_why(
    text: str, expected: str, run: Callable[..., Result]
) -> None:
    result = run(text)
    assert (2, "") == (result.exit_code, result.stdout)
    assert expected in result.stderr


def test_text_of_the_largest_size_with_a_byte_order_mark_is_scored(run: Callable[..., Result]) -> None:
    result = run("-", "--json", given=b"\xef\xbb\xbf" + b"good " * 200_000)
    assert 0 == result.exit_code, result.stderr
    row = json.loads(result.stdout)
    assert (200_000, MAX_WORDS, True) == (row["n_tokens"], row["n_tokens_used"], row["truncated"])


def test_unknown_model_is_exit_2_and_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["explain", "good", "--model", str(tmp_path / "none")])
    assert (2, "") == (result.exit_code, result.stdout)
    assert f"where:    {tmp_path}/none" in result.stderr


def test_text_on_which_the_model_fails_is_exit_1(scorer: Scorer) -> None:
    class Failing:
        batch_size, bias = 4, 0.0

        def run(self, batch: object) -> None:
            raise ValueError("no room")

    with pytest.raises(EngineError, match="fails on this text") as caught:
        explain_review("good", Scorer(scorer.artifact, Failing()), 1)  # type: ignore[arg-type]
    assert (1, "ValueError: no room") == (caught.value.exit_code, caught.value.got)


def test_whole_process_is_silent_on_standard_error_and_does_without_tensorflow_and_beam(tiny_model: Path) -> None:
    done = process("-c", SHOW_IMPORTS, "explain", "--model", tiny_model, "a good film")
    assert (0, "") == (done.returncode, done.stderr)
    assert "P(positive)" in done.stdout
    assert "\x1b" not in done.stdout
    assert "imported: numpy pyarrow" == done.stdout.splitlines()[-1]


def test_whole_process_imports_neither_pandas_nor_jsonschema_and_leaves_no_trace_of_hiding_pandas(
    tiny_model: Path,
) -> None:
    code = """
import sys
from click.testing import CliRunner
from batch_scorer.cli.main import main

done = CliRunner().invoke(main, sys.argv[1:], catch_exceptions=False)
print(done.exit_code, sorted({"pandas", "jsonschema"} & sys.modules.keys()))
import pandas
print(pandas.__name__)
"""
    done = process("-c", code, "explain", "--model", tiny_model, "a good film")
    assert ["0 []", "pandas"] == done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("text", ["good film", "very " * 60 + "boring"])
def test_notebooks_variant_is_explained_as_its_own_engine_does(text: str, tmp_path: Path) -> None:
    architecture = dataclasses.replace(TINY, masked=False, recurrent_activation="relu")
    model = save_tiny(tmp_path / "notebook", architecture=architecture)
    result = CliRunner().invoke(main, ["explain", "--model", str(model), "--json", text])
    assert 0 == result.exit_code, result.output
    row, loaded = json.loads(result.stdout), artifact.load(str(model))
    expected = explain_review(text, Scorer(loaded, load_engine(loaded)), 10).row
    for name in ("logit", "probability", "rest_contribution"):
        assert row[name] == pytest.approx(expected[name], abs=1e-5)
    listed, theirs = (
        {word["position"]: word["contribution"] for word in found["top_contributing"]} for found in (row, expected)
    )
    assert listed == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("text", ["-5 stars, boring", "--- what a good film", "-hm, good", "-"])
def test_text_that_begins_with_a_dash_is_scored_after_two_dashes(text: str, run: Callable[..., Result]) -> None:
    result = run("--json", "--", text, given=b"good film")
    assert 0 == result.exit_code, result.stderr
    row = json.loads(result.stdout)
    assert len(words("good film" if text == "-" else text)) == row["n_tokens"]


@pytest.mark.parametrize("text", ["-5 stars, boring", "--- what a good film"])
def test_text_that_begins_with_a_dash_is_refused_with_a_hint(text: str, run: Callable[..., Result]) -> None:
    result = run(text)
    assert (2, "") == (result.exit_code, result.stdout)
    assert "No such option" in result.stderr
    assert "A TEXT that begins with a dash goes after --." in result.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ["there is nothing to explain", "explain --run OUT --id ID"]),
        (("good", "--run", "OUT", "--id", "r1"), ["a TEXT and --run exclude each other", "got:      TEXT 'good'"]),
        (("--run", "OUT"), ["--run needs the --id of a row", "inspect OUT"]),
        (("good", "--id", "r1"), ["--id needs --run"]),
        (("good", "--text-from", "in.jsonl"), ["--text-from needs --run"]),
        (("--run", "OUT", "--id", "r1", "--top-k", "3"), ["--top-k does not go with --run"]),
        (("--run", "OUT", "--id", "r1", "--sentences"), ["--sentences does not go with --run"]),
        (("--run", "OUT", "--id", "r1", "--spans", "3"), ["--spans does not go with --run"]),
        (("--run", "OUT", "--id", "r1", "--what-if"), ["--what-if scores again, and does not go with --run"]),
        (("--run", "OUT", "--id", "r1"), ["there is no run", "where:    OUT"]),
    ],
)
def test_options_that_do_not_go_together_are_exit_2_and_said_so(args: tuple[str, ...], expected: list[str]) -> None:
    result = CliRunner().invoke(main, ["explain", *args])
    assert (2, "") == (result.exit_code, result.stdout)
    assert [] == [part for part in expected if part not in result.stderr]
