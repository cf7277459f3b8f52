"""Sentences and phrases as columns: against plain Python, their exact sums, and every kind of model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.protocol import Scores
from batch_scorer.models.splitting import WHITE_SPACE, Splitting
from batch_scorer.models.tokenizer import has_words
from batch_scorer.schema import SPANS, Rejection, Segments
from batch_scorer.scoring import score
from batch_scorer.scoring.chunk import Scorer, score_chunk
from batch_scorer.scoring.explain import explain
from batch_scorer.scoring.gaps import gaps
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.score import Scored, ScoredBatch
from tests.conftest import TINY, save_tiny
from tests.plain_model import expected, segments
from tests.scoring.test_explain import BIAS, encoded

WORD = st.sampled_from(
    ["Good", "bad", "film", "Movie", "it's", "strange", "İ", "最高です", "goodness", "10", "Mr", "not"]
)
BETWEEN = st.sampled_from([" ", " ", ", ", ". ", "<br />", "\n", "... ", "! ", "。"])
TEXT = (
    st.lists(st.tuples(WORD, BETWEEN), min_size=1, max_size=40)
    .map(lambda pairs: "".join(map("".join, pairs)))
    .filter(has_words)
)
LISTS = (("sentences", "start_contribution"), ("top_spans", "spans_rest"))


def rows(texts: Sequence[str], model: Artifact, asked: Segments) -> list[dict[str, Any]]:
    (chunk,) = read_texts(texts)
    pieces = score_chunk(chunk, Scorer(model, ExactEngine(model)), 3, segments=asked)
    return [row for piece in pieces for row in pa.table(piece.columns(model)).to_pylist()]


def test_rows_do_not_depend_on_how_many_batches_are_joined(tiny_2: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ["Good film!", "Bad. Not good, not bad.", "it's a strange movie " * 30, "", "plot, good " * 9]
    texts = [f"{few[i % 5]} {'good bad film. ' * (i % 7)}" for i in range(300)]
    found, sizes = [], []

    def counted(batches: Sequence[ScoredBatch]) -> ScoredBatch:
        sizes.append(len(batches))
        return join(batches)

    join = ScoredBatch.join
    monkeypatch.setattr(ScoredBatch, "join", counted)
    for most in (0, 500, score.JOINED):
        monkeypatch.setattr(score, "JOINED", most)
        found.append(rows(texts, tiny_2, Segments(sentences=True, spans=2)))
        assert (max(sizes) > 1) == (most > 0)
    assert found[0] == found[1] == found[2]


def read_gaps(text: str, model: Artifact, row: dict[str, Any]) -> tuple[list[bool], list[bool]]:
    start, end = model.tokenizer.spans(text)
    first = row["n_tokens"] - row["n_tokens_used"]
    found = gaps([text], [(start[first:], end[first:])])
    return found.new_sentence.tolist(), found.new_clause.tolist()


@pytest.mark.parametrize("name", ["tiny", "tiny_2", "tiny_subwords"])
def test_segments_are_those_of_plain_python(name: str, request: pytest.FixtureRequest) -> None:
    model: Artifact = request.getfixturevalue(name)

    @settings(max_examples=15)
    @given(st.lists(TEXT, min_size=1, max_size=4), st.integers(1, 6))
    def check(texts: list[str], spans: int) -> None:
        for text, row in zip(texts, rows(texts, model, Segments(True, spans)), strict=True):
            wanted = segments(expected(model, text, 1_000), *read_gaps(text, model, row), spans)
            for column, rest in LISTS:
                assert len(wanted[column]) == len(row[column])
                for one, found in zip(wanted[column], row[column], strict=True):
                    assert one == pytest.approx(found, abs=1e-6)
                assert wanted[rest] == pytest.approx(row[rest], abs=1e-6)

    check()


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model without a mask: padding counts."""
    architecture = dataclasses.replace(TINY, masked=False, recurrent_activation="relu")
    return artifact.load(str(save_tiny(tmp_path_factory.mktemp("models") / "notebook", architecture=architecture)))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model that reads words as Keras splits them, punctuation and all."""
    rules = Splitting(WHITE_SPACE, start_mark=True)
    return artifact.load(str(save_tiny(tmp_path_factory.mktemp("models") / "imported", pattern=rules)))


@pytest.mark.parametrize("name", ["tiny", "tiny_2", "tiny_subwords", "notebook", "imported"])
def test_sums_are_exact_and_segments_are_disjoint_slices_of_words_that_are_read(
    name: str, request: pytest.FixtureRequest
) -> None:
    model: Artifact = request.getfixturevalue(name)
    bias = ExactEngine(model).bias

    @settings(max_examples=15)
    @given(st.lists(TEXT, min_size=1, max_size=4), st.integers(1, 40))
    def check(texts: list[str], spans: int) -> None:
        for text, row in zip(texts, rows(texts, model, Segments(True, spans)), strict=True):
            start, end = (edge.tolist() for edge in model.tokenizer.spans(text))
            read = range(row["n_tokens"] - row["n_tokens_used"], row["n_tokens"])
            for column, rest in LISTS:
                total = sum(one["contribution"] for one in row[column]) + row[rest]
                assert row["logit"] == pytest.approx(bias + total, abs=1e-5)
                inside = [at for one in row[column] for at in range(one["position"], one["position"] + one["n_words"])]
                assert len(set(inside)) == len(inside) and set(inside) <= set(read)
                for one in row[column]:
                    last = one["position"] + one["n_words"] - 1
                    assert (start[one["position"]], end[last]) == (one["char_start"], one["char_end"])
                if column == "sentences":
                    assert list(read) == inside
                else:
                    strength = [abs(one["contribution"]) for one in row[column]]
                    assert sorted(strength, reverse=True) == strength
                    assert len(strength) <= spans

    check()


def test_padding_that_counts_and_the_start_mark_are_in_what_completes_the_sums() -> None:
    chunk = encoded(["good. Bad film", "film"], 5)
    contribution = np.array([[0.5, 0.25], [1.0, 0.5], [2.0, 0.125], [-4.0, 0.0625], [8.0, 16.0]])
    attention = np.full((5, 2), 0.2)
    scores = Scores(BIAS + contribution.sum(axis=0), attention, contribution)
    columns = explain(Scored(chunk, [ScoredBatch(np.arange(2), scores)]), 0, Segments(True, 1)).segments
    assert [1.5, 0.9375] == columns["start_contribution"].to_pylist()
    assert [[2.0, 4.0], [16.0]] == [[s["contribution"] for s in row] for row in columns["sentences"].to_pylist()]
    assert np.float32([0.2, 0.4]).tolist() == [s["attention"] for s in columns["sentences"][0].as_py()]
    for row, logit in enumerate(scores.logit):
        top = sum(s["contribution"] for s in columns["top_spans"][row].as_py())
        assert logit == BIAS + top + columns["spans_rest"][row].as_py()


@pytest.mark.parametrize("asked", [Segments(True), Segments(spans=2), Segments(True, 2)])
def test_columns_are_those_asked_for_in_the_types_of_the_contract(tiny: Artifact, asked: Segments) -> None:
    (piece,) = score_chunk(next(read_texts(["Good. Bad!"])), Scorer(tiny, ExactEngine(tiny)), 1, segments=asked)
    assert asked.columns == tuple(piece.segments)
    for name, values in piece.segments.items():
        assert (pa.float32() if name in ("start_contribution", "spans_rest") else SPANS) == values.type


def test_reviews_that_failed_leave_the_others_as_they_are_alone() -> None:
    texts, values = (
        ["good film. Bad", "bad", "film. film"],
        np.array([[0.5, -1.0, 2.0], [1.0, 2.0, 3.0], [4.0, 1.0, 8.0]]),
    )
    chunk = encoded(texts, 5)

    def batch(row: int) -> ScoredBatch:
        column = np.concatenate([[0.25], values[: len(texts[row].split()), row]])[:, None]
        return ScoredBatch(np.array([row]), Scores(BIAS + column.sum(axis=0), np.abs(column) / 9, column))

    failed = chunk.rejection(1, "engine_failed", "ValueError: no such id")
    assert isinstance(failed, Rejection)
    some = explain(Scored(chunk, [batch(2), failed, batch(0)]), 1, Segments(True, 2))
    for row, text in enumerate((0, 2)):
        alone = explain(
            Scored(encoded([texts[text]], 5), [ScoredBatch(np.arange(1), batch(text).scores)]), 1, Segments(True, 2)
        )
        for name, column in alone.segments.items():
            assert column[0] == some.segments[name][row]
    none = explain(Scored(encoded(["bad"], 5), [failed]), 1, Segments(True, 2))
    assert [0] * 4 == [len(column) for column in none.segments.values()]


@settings(max_examples=30)
@given(st.lists(TEXT, min_size=2, max_size=6))
def test_neighbours_change_no_bit(tiny_2: Artifact, texts: list[str]) -> None:
    asked = Segments(True, 3)
    assert [rows([text], tiny_2, asked)[0] for text in texts] == rows(texts, tiny_2, asked)


def test_reviews_of_several_blocks_are_those_of_one(tiny: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["Good film. Bad! " * n + "not" for n in range(1, 12)]
    whole = rows(texts, tiny, Segments(True, 3))
    monkeypatch.setattr("batch_scorer.scoring.segments._REVIEWS", 4)
    assert whole == rows(texts, tiny, Segments(True, 3))
