"""The explanation against a plain sort, and its exact sums."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import words
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.explain import Explanation
from batch_scorer.scoring.score import ScoredBatch

BIAS = 0.25
# Few distinct values, so that ties are the rule.
VALUES = st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5, 0.125, -1e-30])
WORD = st.sampled_from(["Good", "bad", "İ", "film", "it's"])
REVIEW = st.lists(st.tuples(WORD, VALUES, VALUES), min_size=1, max_size=9)


def encoded(texts: list[str], max_words: int) -> Encoded:
    found = [words(text) for text in texts]
    n_tokens = np.array([len(f) for f in found], np.int32)
    used = np.minimum(n_tokens, max_words).astype(np.int32)
    ids = [np.ones(n + 1, np.int32) for n in used]
    return Encoded(pa.table({"record_id": texts}), texts, ids, n_tokens, used, np.zeros_like(used), np.zeros_like(used))


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
    explanation = Explanation(chunk, top_k)
    explanation.add(ScoredBatch(np.arange(len(reviews)), scores))
    columns = {name: column.to_pylist() for name, column in explanation.columns(np.arange(len(reviews))).items()}

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
    explanation = Explanation(chunk, 0)
    explanation.add(ScoredBatch(np.arange(1), scores))
    columns = explanation.columns(np.arange(1))
    assert [[]] == columns["top_attended"].to_pylist() == columns["top_contributing"].to_pylist()
    assert [1.25] == columns["rest_contribution"].to_pylist()
