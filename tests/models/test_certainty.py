"""The certainty that a wanted accuracy asks for: the lowest one that validation shows, or a refusal that says why."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import OptionError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED, Artifact
from batch_scorer.models.calibration import ConfidenceCurve
from batch_scorer.models.certainty import RULE_OF_THREE, Certainty, certainty_for

EDGES = (0.5, 0.6, 0.7, 0.8, 0.9)
SURE = ConfidenceCurve(EDGES, (100, 100, 100, 200, 500), (60, 70, 80, 190, 495))


def model_of(curve: ConfidenceCurve | None) -> Artifact:
    metrics: dict[str, Any] = {} if curve is None else {"confidence_curve": curve.to_json()}
    return Artifact("0" * 12, {"name": "made", "metrics": metrics}, (), {})


def refusal(curve: ConfidenceCurve | None, target: float) -> OptionError:
    with pytest.raises(OptionError) as refused:
        certainty_for(model_of(curve), target)
    return refused.value


@pytest.mark.parametrize(
    ("target", "threshold", "right", "decided"),
    [
        (0.5, 0.5, 895, 1000),
        (0.895, 0.5, 895, 1000),
        (0.9, 0.6, 835, 900),
        (0.95, 0.7, 765, 800),
        (0.96, 0.8, 685, 700),
        (0.99, 0.9, 495, 500),
    ],
)
def test_threshold_is_the_lowest_above_which_enough_labels_are_right(
    target: float, threshold: float, right: int, decided: int
) -> None:
    expected = Certainty(target, threshold, right / decided, decided / 1000, 1000)
    assert expected == certainty_for(model_of(SURE), target)


counts = st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), min_size=1, max_size=6)


@given(counts, st.floats(0.5, 0.999))
def test_certainty_is_that_of_a_search_or_the_highest_suggested_one_is_granted(
    bins: list[tuple[int, float]], target: float
) -> None:
    curve = ConfidenceCurve(
        tuple(0.5 + 0.08 * at for at in range(len(bins))),
        tuple(n for n, _ in bins),
        tuple(round(n * share) for n, share in bins),
    )
    above = [(sum(curve.reviews[at:]), sum(curve.correct[at:])) for at in range(len(bins))]
    good = [at for at, (n, right) in enumerate(above) if n * (1 - target) >= RULE_OF_THREE and right / n >= target]
    if good:
        found = certainty_for(model_of(curve), target)
        assert (curve.confidence[good[0]], above[good[0]][0]) == (found.threshold, round(found.share * found.reviews))
        return
    error = refusal(curve, target)
    suggested = re.fullmatch(r"--target-accuracy ([\d.]+), or lower.*", error.fix or "")
    if suggested is None:
        assert "too few reviews" in error.what
        assert all(min(right / n, 1 - RULE_OF_THREE / n) < 0.501 for n, right in above if n)
    else:
        assert float(suggested[1]) <= target
        assert certainty_for(model_of(curve), float(suggested[1])).accuracy >= float(suggested[1])


def test_accuracy_beyond_the_surest_reviews_is_refused_with_the_highest_there_is() -> None:
    error = refusal(SURE, 0.995)
    assert "the model cannot be trusted that far" == error.what
    assert "at most 0.99, which the 500 of its 1,000 validation reviews that it is surest of show" == error.expected
    assert "--target-accuracy 0.99, or lower: then more reviews are decided" == error.fix
    assert "at most 0.99," in str(refusal(SURE, 1.0).expected)


def test_accuracy_that_few_reviews_cannot_show_is_refused_even_if_none_was_wrong() -> None:
    error = refusal(ConfidenceCurve((0.5, 0.9), (10, 50), (5, 50)), 0.97)
    assert "too few validation reviews show such an accuracy" == error.what
    assert "at most 0.94, which the 50 of its 60 validation reviews that it is surest of show" == error.expected
    nobody = refusal(ConfidenceCurve((0.5,), (0,), (0,)), 0.9)
    assert ("at least 30 of them", "0 validation reviews") == (nobody.expected, nobody.got)


def test_model_without_a_curve_is_refused_by_name() -> None:
    error = refusal(None, 0.97)
    assert "the model does not say how often it is right by its confidence" == error.what
    assert "made 000000000000" in (error.got or "") and "train or adapt it again" in (error.fix or "")


@given(st.lists(st.floats(0, 1, width=32), max_size=20), st.sampled_from([0.5, 0.7, 0.85, 0.99]))
def test_review_is_decided_if_the_likelier_label_is_likely_enough(values: list[float], threshold: float) -> None:
    found = Certainty(0.97, threshold, 0.97, 0.8, 100).decides(np.array(values, np.float32))
    assert [max(p, 1 - p) >= threshold for p in values] == found.tolist()


def test_shipped_model_decides_four_of_five_reviews_for_97_in_100() -> None:
    found = certainty_for(artifact.load(SHIPPED), 0.97)
    assert 0.86 == found.threshold
    assert 0.97 <= found.accuracy < 0.975 and math.isclose(0.828, found.share, abs_tol=0.001)
