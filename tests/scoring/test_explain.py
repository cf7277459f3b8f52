"""The explanation against a plain sort, and its exact sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.protocol import Scores
from batch_scorer.models.scripts import COUNT
from batch_scorer.models.tokenizer import RESERVED, Tokenizer, words
from batch_scorer.models.windows import Windows
from batch_scorer.schema import Rejection
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.explain import Explained, explain
from batch_scorer.scoring.score import Scored, ScoredBatch

BIAS = 0.25
# Few distinct values, so that ties are the rule.
VALUES = st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5, 0.125, -1e-30])
WORD = st.sampled_from(["Good", "bad", "İ", "film", "it's"])
REVIEW = st.lists(st.tuples(WORD, VALUES, VALUES), min_size=1, max_size=9)


def encoded(texts: list[str], max_words: int) -> Encoded:
    found = [words(text) for text in texts]
    n_tokens = np.array([len(f) for f in found], np.int32)
    used = np.minimum(n_tokens, max_words).astype(np.int32)
    windows = Windows([np.ones(n + 1, np.int32) for n in used], np.arange(len(used)), used.astype(np.int64), len(used))
    none = np.zeros_like(used)
    reviews = pa.table({"record_id": texts, "source": ["-"] * len(texts), "offset": range(len(texts))})
    scripts = np.zeros((len(texts), COUNT), np.int32)
    unknown = [None] * len(texts)  # places, which are looked for then
    return Encoded(reviews, texts, windows, Tokenizer(RESERVED), unknown, n_tokens, used, used, none, scripts, [])


def lists(explained: Explained) -> dict[str, list[Any]]:
    """The columns that `explain` makes."""
    return {
        "logit": explained.logit.tolist(),
        "top_attended": explained.top_attended.to_pylist(),
        "top_contributing": explained.top_contributing.to_pylist(),
        "rest_contribution": explained.rest_contribution.tolist(),
    }


@given(st.lists(REVIEW, min_size=1, max_size=5), st.integers(0, 12), st.integers(3, 9), VALUES)
def test_lists_are_those_of_a_plain_sort_and_sums_are_exact(
    reviews: list[list[tuple[str, float, float]]], top_k: int, max_words: int, start_mark: float
) -> None:
    chunk = encoded([", ".join(word for word, _, _ in review) for review in reviews], max_words)
    length = int(chunk.n_tokens_used.max()) + 3  # the start mark and some padding
    attention, contribution = np.zeros((length, len(reviews))), np.zeros((length, len(reviews)))
    for row, review in enumerate(reviews):
        used = review[-max_words:]
        attention[-len(used) :, row] = [abs(a) for _, a, _ in used]
        contribution[-len(used) :, row] = [c for _, _, c in used]
        contribution[-len(used) - 1, row] = start_mark
    scores = Scores(BIAS + contribution.sum(axis=0), attention, contribution)
    columns = lists(explain(Scored(chunk, [ScoredBatch(np.arange(len(reviews)), scores)]), top_k))

    for row, review in enumerate(reviews):
        first = max(len(review) - max_words, 0)
        plain = [
            {"token": word.lower(), "position": p, "attention": abs(a), "contribution": c}
            for p, (word, a, c) in enumerate(review)
            if p >= first
        ]
        by_attention = sorted(plain, key=lambda t: (-np.float32(t["attention"]), t["position"]))[:top_k]
        by_contribution = sorted(plain, key=lambda t: (-abs(np.float32(t["contribution"])), t["position"]))[:top_k]
        text = chunk.texts[row]
        for expected, name in ((by_attention, "top_attended"), (by_contribution, "top_contributing")):
            found = columns[name][row]
            assert [t["position"] for t in expected] == [t["position"] for t in found]
            for token in found:
                assert token["token"] == text[token["char_start"] : token["char_end"]].lower()
            for key in ("token", "attention", "contribution"):
                assert [t[key] for t in expected] == pytest.approx([t[key] for t in found])
        total = BIAS + math.fsum(t["contribution"] for t in columns["top_contributing"][row])
        assert total + columns["rest_contribution"][row] == pytest.approx(columns["logit"][row], abs=1e-6)


def test_top_k_zero_gives_empty_lists_and_all_in_the_rest() -> None:
    chunk = encoded(["good film"], 5)
    scores = Scores(np.array([1.5]), np.array([[0.2], [0.3], [0.5]]), np.array([[0.25], [0.5], [0.5]]))
    columns = lists(explain(Scored(chunk, [ScoredBatch(np.arange(1), scores)]), 0))
    assert [[]] == columns["top_attended"] == columns["top_contributing"]
    assert [1.25] == columns["rest_contribution"]


def test_explained_reviews_are_those_in_a_batch_in_order_of_the_input_and_rejections_travel_along() -> None:
    chunk = encoded(["good", "bad film", "film", "it's bad"], 5)
    before = Rejection("-", 9, None, "missing_text", "the text is None")
    chunk.rejected.append(before)
    failed = chunk.rejection(2, "engine_failed", "ValueError: no such id")

    def batch(rows: list[int], contribution: float) -> ScoredBatch:
        values = np.full((3, len(rows)), contribution)
        return ScoredBatch(np.array(rows), Scores(values.sum(axis=0), values, values))

    explained = explain(Scored(chunk, iter([batch([3], 0.5), failed, batch([1, 0], 0.25)])), 1)
    assert 3 == len(explained)
    assert [0, 1, 3] == explained.encoded.reviews["offset"].to_pylist()
    assert [0.75, 0.75, 1.5] == explained.logit.tolist()
    assert [["good"], ["bad"], ["it's"]] == [
        [word["token"] for word in row] for row in explained.top_contributing.to_pylist()
    ]
    assert [before, failed] == explained.rejected
    assert [before] == chunk.rejected, "a stage wrote into the result of an earlier one"
