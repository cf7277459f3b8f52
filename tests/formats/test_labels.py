"""Labels in words and figures: how they divide, what a model's manifest keeps, and what is missing."""

from __future__ import annotations

from collections import Counter

import pytest

from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.formats.labels import clean, described, number_of, ordered
from batch_scorer.models.json_schema import first_fault
from batch_scorer.models.manifest_schema import ARTIFACTS

STARS = LabelRule.of("stars", [">=4"], ["<=2"]).read(Counter(["5", "5.0", "4", "3", "1"]) + Counter([None]))


def test_sentence_says_how_the_labels_divide() -> None:
    expected = "labels in stars: 3 positive (4, 5), 1 negative (1), 1 neither (3), 1 without a label"
    assert expected == STARS.sentence()
    one_sided = LabelRule.of("x", ["no"], ["yes"]).read({"no": 2})
    assert "labels in x: 2 positive (no), 0 negative" == one_sided.sentence()


def test_labels_as_a_manifest_keeps_them_fit_its_schema_and_are_described_in_words() -> None:
    kept = STARS.to_json()
    assert {"column": "stars", "positive": [">=4"], "negative": ["<=2"]}.items() <= kept.items()
    assert {"positive": 3, "negative": 1, "neither": 1, "missing": 1} == kept["counts"]
    assert first_fault(ARTIFACTS[1]["properties"]["training"]["properties"]["labels"], kept) is None
    assert "stars: >=4 positive, <=2 negative (3 and 1; 2 left out)" == described(kept)
    folders = {**kept, "column": None, "positive": ["pos/"], "negative": []}
    assert "folders: pos/ positive, any other negative (3 and 1; 2 left out)" == described(folders)


def test_meaning_of_a_label_is_the_same_with_blanks_around_it() -> None:
    assert (True, False, None, None) == tuple(STARS.of(label) for label in (" 5\n", "1", "3", None))


@pytest.mark.parametrize("missing", [None, "", " \t\r\n", "nan", "NaN "])
def test_null_blank_and_nan_are_missing(missing: str | None) -> None:
    assert clean(missing) is None


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        *(("5", 5.0), ("05", 5.0), ("+5.", 5.0), (".5", 0.5), ("-1e2", -100.0), ("True", 1.0), ("FALSE", 0.0)),
        *(("1e999", None), ("5_0", None), ("inf", None), ("٥", None), ("five", None), ("5 0", None), ("0x5", None)),
    ],
)
def test_number_of_a_label_is_its_decimal_value(label: str, expected: float | None) -> None:
    assert expected == number_of(label)


def test_labels_are_ordered_by_number_and_else_by_frequency() -> None:
    assert {"2": 3, "10": 1} == ordered({"10": 1, "2": 1, "2.0": 2})
    assert ["2", "10"] == [*ordered({"10": 1, "2": 1})]
    assert ["b", "a", "10"] == [*ordered({"10": 1, "a": 2, "b": 3})]
