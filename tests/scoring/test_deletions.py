"""A text without its parts, one at a time: what each deletion leaves, and what the model makes of it."""

from __future__ import annotations

import pytest

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.schema import Segments
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.deletions import delete_each, left_over
from batch_scorer.scoring.review import explain_review

TEXT = "A wonderful film, not boring. The plot was bad!"


@pytest.fixture(scope="module")
def scorer(tiny: Artifact) -> Scorer:
    return Scorer(tiny, ExactEngine(tiny))


def test_each_listed_part_is_deleted_and_the_rest_scored_as_a_text_of_its_own(scorer: Scorer) -> None:
    review = explain_review(TEXT, scorer, 4, Segments(sentences=True, spans=2))

    found = delete_each(review, scorer)

    listed = [*review.row["top_contributing"], *review.row["top_spans"], *review.row["sentences"]]
    assert sorted((one["char_start"], one["char_end"]) for one in listed) == sorted(
        (one.char_start, one.char_end) for one in found
    )
    assert [4, 2] == [sum(one.kind == kind for one in found) for kind in ("word", "sentence")]
    for one in found:
        rest = left_over(TEXT, [(one.char_start, one.char_end)])
        alone = explain_review(rest, scorer, 0).row["probability"]
        assert (alone, alone - review.row["probability"]) == (one.probability, one.change)
    assert [abs(one.change or 0) for one in found] == sorted((abs(one.change or 0) for one in found), reverse=True)


def test_deletion_that_leaves_no_word_has_no_probability_and_comes_last(scorer: Scorer) -> None:
    review = explain_review("good!", scorer, 3, Segments(sentences=True))

    assert [("word", None, None), ("sentence", None, None)] == [
        (one.kind, one.probability, one.change) for one in delete_each(review, scorer)
    ]


def test_text_that_lists_nothing_has_nothing_to_delete(scorer: Scorer) -> None:
    assert [] == delete_each(explain_review(TEXT, scorer, 0), scorer)


@pytest.mark.parametrize(
    ("places", "left"),
    [
        ([(0, 1)], " wonderful film"),
        ([(2, 11)], "A film"),
        ([(12, 16)], "A wonderful "),
        ([(0, 1), (12, 16)], " wonderful "),
        ([], "A wonderful film"),
    ],
)
def test_one_of_the_blanks_around_a_cut_stays(places: list[tuple[int, int]], left: str) -> None:
    assert left == left_over("A wonderful film", places)
