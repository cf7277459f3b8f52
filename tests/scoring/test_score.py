"""Score: every review once, and of those that the engine fails on only these are lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import EngineError
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import Ids
from batch_scorer.scoring.score import FailedReview, ScoredBatch, score_ids


@dataclass
class Fake:
    """An engine whose logit is the review's second id, and that fails on the reviews told."""

    batch_size: int
    raises_on: frozenset[int] = frozenset()
    nan_on: frozenset[int] = frozenset()
    bias: float = 0.0
    message: str = "no such id\nat some address"
    kind: type[Exception] = ValueError
    batches: list[list[int]] = field(default_factory=list)

    def run(self, batch: Sequence[Ids]) -> Scores:
        marks = [int(ids[1]) for ids in batch]
        self.batches.append(marks)
        if self.raises_on & set(marks):
            raise self.kind(self.message)
        logit = np.array([np.nan if mark in self.nan_on else mark for mark in marks], np.float64)
        shares = np.ones((max(len(ids) for ids in batch), len(batch)))
        return Scores(logit, shares, shares)


def reviews(*lengths: int) -> list[Ids]:
    """Reviews of so many ids; the second id of each is its place."""
    return [np.array([1, place, *[2] * (length - 2)], np.int32) for place, length in enumerate(lengths)]


def found(engine: Fake, ids: Sequence[Ids]) -> tuple[dict[int, float], dict[int, str]]:
    """Logit of each scored review, and reason of each failed one; a review that comes twice is an error."""
    scored: dict[int, float] = {}
    failed: dict[int, str] = {}
    for result in score_ids(engine, ids):
        if isinstance(result, ScoredBatch):
            assert len(result.rows) == len(result.scores.logit) == result.scores.attention.shape[1]
            rows = [int(row) for row in result.rows]
            assert not scored.keys() & rows
            scored |= dict(zip(rows, result.scores.logit.tolist(), strict=True))
        else:
            assert isinstance(result, FailedReview)
            assert result.row not in failed
            failed[result.row] = result.reason
    return scored, failed


lengths = st.lists(st.integers(2, 9), max_size=25)


@given(lengths=lengths, batch_size=st.integers(1, 7))
def test_good_reviews_are_scored_once_each_in_batches_of_like_length(lengths: list[int], batch_size: int) -> None:
    engine = Fake(batch_size)
    expected = {row: float(row) for row in range(len(lengths))}

    assert (expected, {}) == found(engine, reviews(*lengths))
    assert -(-len(lengths) // batch_size) == len(engine.batches)
    assert sorted(lengths) == [lengths[mark] for batch in engine.batches for mark in batch]


@given(lengths=lengths, batch_size=st.integers(1, 7), bad=st.sets(st.integers(0, 24)), as_nan=st.booleans())
def test_reviews_that_fail_come_back_alone_and_all_others_are_scored(
    lengths: list[int], batch_size: int, bad: set[int], as_nan: bool
) -> None:
    bad &= set(range(len(lengths)))
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    first = len(order) % batch_size  # the batch that is not full is that of the shortest
    batches = [order[:first]] * bool(first)
    batches += [order[start : start + batch_size] for start in range(first, len(order), batch_size)]
    engine = Fake(batch_size, **{"nan_on" if as_nan else "raises_on": frozenset(bad)})

    if any(len(batch) > 1 and bad >= set(batch) for batch in batches):
        with pytest.raises(EngineError):
            found(engine, reviews(*lengths))
        return
    scored, failed = found(engine, reviews(*lengths))
    assert bad == failed.keys()
    assert {row: float(row) for row in range(len(lengths)) if row not in bad} == scored
    assert all(len(batch) <= batch_size for batch in engine.batches)


@given(
    marks=st.lists(st.integers(0, 5), max_size=25),
    batch_size=st.integers(1, 4),
    bad=st.sets(st.integers(0, 5), max_size=1),
)
def test_equal_reviews_are_scored_once_and_all_get_the_result(marks: list[int], batch_size: int, bad: set[int]) -> None:
    engine = Fake(batch_size, raises_on=frozenset(bad))
    ids = [np.array([1, mark, *[2] * mark], np.int32) for mark in marks]

    if batch_size == 1 or not bad & set(marks):
        scored, failed = found(engine, ids)
        assert {row: float(mark) for row, mark in enumerate(marks) if mark not in bad} == scored
        assert {row for row, mark in enumerate(marks) if mark in bad} == failed.keys()
        assert sorted(set(marks)) == sorted(mark for batch in engine.batches for mark in batch)


@pytest.mark.parametrize("bad", [{0}, {7}, {3, 4}, {0, 2, 4, 6}, {1, 2, 3, 4, 5, 6, 7}])
def test_batch_with_bad_reviews_is_halved_until_these_are_alone(
    bad: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    engine = Fake(8, raises_on=frozenset(bad))
    with caplog.at_level(logging.WARNING):
        scored, failed = found(engine, reviews(*[4] * 8))

    assert bad == failed.keys()
    assert set(range(8)) - bad == scored.keys()
    assert {(mark,) for mark in bad} <= {tuple(batch) for batch in engine.batches}
    assert any("a batch of 8 reviews failed" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (Fake(4, raises_on=frozenset({1})), "ValueError: no such id"),
        (Fake(4, raises_on=frozenset({1}), message=""), "ValueError"),
        (Fake(4, raises_on=frozenset({1}), message="\n\x1b[31mred"), "ValueError"),
        (Fake(4, raises_on=frozenset({1}), message="a\x1b[31m\u202eb\x85c"), "ValueError: a[31mb"),
        (Fake(4, raises_on=frozenset({1}), message="x" * 500), "ValueError: " + "x" * 188),
        (Fake(4, nan_on=frozenset({1})), "the logit is nan"),
    ],
    ids=["raises", "raises without a message", "of an empty line", "of control characters", "long", "NaN"],
)
def test_reason_of_a_failed_review_is_one_line(engine: Fake, reason: str) -> None:
    assert {1: reason} == found(engine, reviews(5, 5, 5))[1]


@pytest.mark.parametrize("as_nan", [True, False])
def test_batch_of_which_every_review_fails_stops_the_job(as_nan: bool) -> None:
    bad = frozenset({2, 3})  # the second batch, whole
    engine = Fake(2, **{"nan_on" if as_nan else "raises_on": bad})

    with pytest.raises(EngineError) as caught:
        found(engine, reviews(4, 5, 6, 7, 8, 9))

    assert "2 reviews of 6 to 7 ids" == caught.value.where
    assert ("the logit is nan" if as_nan else "ValueError: no such id") == caught.value.got
    assert 4 not in {mark for batch in engine.batches for mark in batch}, "went on after the failure"


def test_lone_review_that_fails_is_its_own_fault() -> None:
    assert ({}, {0: "ValueError: no such id"}) == found(Fake(4, raises_on=frozenset({0})), reviews(5))


@pytest.mark.parametrize("lengths", [(5,), (5, 6, 7, 8)])
def test_want_of_memory_is_no_failure_of_a_review_and_stops_the_job_at_once(lengths: tuple[int, ...]) -> None:
    engine = Fake(4, raises_on=frozenset({0}), kind=MemoryError, message="std::bad_alloc")

    with pytest.raises(EngineError, match="too little memory") as caught:
        found(engine, reviews(*lengths))

    assert "MemoryError: std::bad_alloc" == caught.value.got
    assert f"{len(lengths)} reviews of {min(lengths)} to {max(lengths)} ids" == caught.value.where
    assert 1 == len(engine.batches), "halved"


def test_interrupt_is_no_failure_of_a_review() -> None:
    class Interrupted(Fake):
        def run(self, batch: Sequence[Ids]) -> Scores:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(Interrupted(2), reviews(4, 4))


def test_chunk_without_reviews_gives_nothing() -> None:
    assert [] == list(score_ids(Fake(4), []))
