"""What labels mean: plain ones, told ones, and those that are refused, with options that would do."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import OptionError
from batch_scorer.formats.label_rule import LabelRule, Term
from batch_scorer.formats.labels import Labels


def read(labels: Iterable[str | None], positive: Sequence[str] = (), negative: Sequence[str] = ()) -> Labels:
    return LabelRule.of("stars", positive, negative).read(Counter(labels))


def counts(*arguments: Any) -> tuple[int, ...]:
    """How many of the labels are positive, negative, neither and missing."""
    return tuple(read(*arguments).counts.values())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "0", "1"], (2, 1, 0, 0)),
        (["1.0", "0.0", "01", "0"], (2, 2, 0, 0)),
        (["1", "-1", "-1"], (1, 2, 0, 0)),
        (["True", "false", "TRUE"], (2, 1, 0, 0)),
        (["True", "1", "0"], (2, 1, 0, 0)),
        (["Yes", "no"], (1, 1, 0, 0)),
        (["Positive", " negative ", "POSITIVE\n"], (2, 1, 0, 0)),
        (["pos", "neg"], (1, 1, 0, 0)),
        (["P", "N"], (1, 1, 0, 0)),
        (["t", "f"], (1, 1, 0, 0)),
        (["y", "n", "n"], (1, 2, 0, 0)),
        (["+", "-"], (1, 1, 0, 0)),
        (["neg", "neg"], (0, 2, 0, 0)),
        (["0", None, "", "  ", "NaN", "1"], (1, 1, 0, 4)),
    ],
)
def test_labels_that_are_plainly_two_valued_need_no_telling(
    labels: list[str | None], expected: tuple[int, ...]
) -> None:
    assert expected == counts(labels)


@pytest.mark.parametrize(
    "labels",
    [
        *(["1", "2", "3", "4", "5"], ["1", "2"], ["0", "1", "2"], ["-1", "0", "1"], ["1", "5"], ["2"], ["0.2", "0.9"]),
        *(["positive", "negative", "neutral"], ["good", "bad"], ["yes", "false"], ["pos", "negative"], ["oui"]),
    ],
)
def test_labels_that_are_not_plain_are_refused_with_options_that_read_them(labels: list[str]) -> None:
    with pytest.raises(OptionError, match="cannot tell which labels mean positive") as refused:
        read(labels)
    assert "--label-column stars" == refused.value.where
    words = shlex.split(str(refused.value.fix).partition(", for instance ")[2].split(";")[0])
    told = {option: [words[i + 1] for i, word in enumerate(words) if word == option] for option in words[::2]}
    assert {"--positive-value"} <= told.keys() <= {"--positive-value", "--negative-value"}
    assert counts(labels, told["--positive-value"], told.get("--negative-value", []))[0] > 0


def test_refusal_lists_the_labels_in_order_with_their_counts() -> None:
    with pytest.raises(OptionError) as refused:
        read(["5", "1", "3", "5.0", "10"])
    assert "1 (1 review), 3 (1), 5 (2), 10 (1)" == refused.value.got


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        ("12345", "--positive-value '>=4' --negative-value '<=2'"),
        ("1345", "--positive-value '>=4' --negative-value '<=1'"),
        ("1235", "--positive-value '>=5' --negative-value '<=2'"),
        ("1234", "--positive-value '>=3' --negative-value '<=2'"),
        ("12", "--positive-value '>=2' --negative-value '<=1'"),
        ("0123456789", "--positive-value '>=6' --negative-value '<=3'"),
    ],
)
def test_refusal_of_numbers_proposes_both_ends_of_the_scale(labels: str, options: str) -> None:
    with pytest.raises(OptionError) as refused:
        read(labels)
    assert f"for instance {options};" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("labels", "example"),
    [
        (["bad", "good", "neutral"], "good"),
        (["1 star", "5 stars"], "'5 stars'"),
        (["happy", "sad"], "happy"),
    ],
)
def test_example_of_a_positive_value_is_not_one_that_turns_the_model_upside_down(
    labels: list[str], example: str
) -> None:
    with pytest.raises(OptionError) as refused:
        read(labels)
    assert f", for instance --positive-value {example}; all others then mean negative" in str(refused.value.fix)


def test_refusal_shows_a_few_of_many_labels_without_control_characters() -> None:
    with pytest.raises(OptionError) as refused:
        read([*(f"label {i}" for i in range(40)), "\x1b[31mred\x1b[0m" + "x" * 90] * 2)
    assert "and 29 more" in str(refused.value.got)
    assert "\x1b" not in str(refused.value.got)
    assert len(str(refused.value.got)) < 300


@pytest.mark.parametrize(
    ("labels", "positive", "negative", "expected"),
    [
        ("5 4 3 2 1", [">=4"], ["<=2"], (2, 2, 1, 0)),
        ("5 4 3 2 1", [">3"], ["<3"], (2, 2, 1, 0)),
        ("5 4 3 2 1", ["4..5"], ["1..2"], (2, 2, 1, 0)),
        ("5 4 3 2 1", ["4", "5"], ["1", "2"], (2, 2, 1, 0)),
        ("5 4 3 2 1", ["4", "5"], [], (2, 3, 0, 0)),
        ("5 4 3 2 1", [">=4"], [], (2, 3, 0, 0)),
        ("5.0 4.5 3.5 nan", [">= 4"], ["<4"], (2, 1, 0, 1)),
        ("5 1", ["5.0"], [], (1, 1, 0, 0)),
        ("5.0 1.0", ["05"], [], (1, 1, 0, 0)),
        ("05 01", ["05"], [], (1, 1, 0, 0)),
        ("True False", ["1"], [], (1, 1, 0, 0)),
        ("true false", ["True"], [], (1, 1, 0, 0)),
        ("1 0 2", ["1"], [], (1, 2, 0, 0)),
        ("1e1 9", ["10"], [], (1, 1, 0, 0)),
        ("good bad awful", ["good"], [], (1, 2, 0, 0)),
        ("good Good bad", ["good"], [], (1, 2, 0, 0)),
        ("positive neutral negative", ["positive"], [], (1, 1, 1, 0)),
        ("Positive neutral Negative", ["positive"], [], (1, 1, 1, 0)),
        ("positive neutral mixed", ["positive"], [], (1, 2, 0, 0)),
        ("positive neutral negative", ["positive", "neutral"], [], (2, 1, 0, 0)),
        ("negative negative", ["positive"], ["negative"], (0, 2, 0, 0)),
        ("0 0 1", ["0"], [], (2, 1, 0, 0)),
        ("5 n/a 1", [">=4"], ["<=2"], (1, 1, 1, 0)),
    ],
)
def test_told_labels_are_read_by_value_and_range(
    labels: str, positive: list[str], negative: list[str], expected: tuple[int, ...]
) -> None:
    assert expected == counts(labels.split(), positive, negative)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        (["5"], ["5.0"]),
        ([">=4"], ["<=4"]),
        ([">=4"], ["4"]),
        (["4..5"], ["5..9"]),
        (["True"], ["1"]),
        (["good"], [" good"]),
        (["Positive"], ["positive"]),
        (["1", "good"], ["bad", "good"]),
    ],
)
def test_value_that_would_be_both_is_refused(positive: list[str], negative: list[str]) -> None:
    with pytest.raises(OptionError, match="both positive and negative"):
        LabelRule.of("stars", positive, negative)


@pytest.mark.parametrize(("positive", "negative"), [([">4"], ["<=4"]), (["good"], ["Good"]), (["4..5"], ["3.9"])])
def test_values_and_ranges_that_only_touch_are_told_apart(positive: list[str], negative: list[str]) -> None:
    assert "stars" == LabelRule.of("stars", positive, negative).column


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        ([], ["1"], "--negative-value needs --positive-value"),
        ([" "], [], "--positive-value is empty"),
        (["5"], [""], "--negative-value is empty"),
        (["x" * 201], [], "longer than 200 characters"),
        (["5..4"], [], "holds no number"),
    ],
)
def test_options_that_say_nothing_are_refused(positive: list[str], negative: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LabelRule.of("stars", positive, negative)


@pytest.mark.parametrize(
    ("labels", "positive", "negative"),
    [
        ("1 2 3", ["5"], []),
        ("1 2 3", [">=4"], []),
        ("good bad", ["Good"], []),
        ("bad bad", ["good"], []),
        ("3 3", [">=4"], ["<=2"]),
        ("1 5", ["4,5"], []),
    ],
)
def test_value_that_never_occurs_is_refused_with_what_does(
    labels: str, positive: list[str], negative: list[str]
) -> None:
    with pytest.raises(OptionError, match="does not occur among the labels") as refused:
        read(labels.split(), positive, negative)
    assert set(labels.split()) == {shown.split()[0] for shown in str(refused.value.got).split(", ")}


def test_value_that_never_occurs_beside_others_that_do_is_a_remark() -> None:
    remarks = read(["5", "1"], ["5", "6"], ["1", "one"]).remarks
    assert (
        "--positive-value 6 does not occur among the labels in stars.",
        "--negative-value one does not occur among the labels in stars.",
    ) == remarks
    assert () == read(["5", "1"], ["5"], ["1"]).remarks
    assert ("--positive-value '>=4' does not occur among the labels in stars.",) == read("1", [">=4"], ["<=2"]).remarks


def test_column_without_labels_means_nothing_and_is_not_refused() -> None:
    assert (0, 0, 0, 2) == counts([None, " "])
    assert (0, 0, 0, 1) == counts(["nan"], ["5"])


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_ranges_hold_what_their_signs_say(limit: float, number: float) -> None:
    holds = {sign: Term.of(f"{sign}{limit!r}", "").holds(repr(number)) for sign in (">=", ">", "<", "<=")}
    assert {">=": number >= limit, ">": number > limit, "<": number < limit, "<=": number <= limit} == holds


@given(st.text(max_size=8), st.text(max_size=8))
def test_value_meets_another_exactly_where_it_holds_it(one: str, other: str) -> None:
    if not (one.strip(" \t\r\n") and other.strip(" \t\r\n")):
        return
    a, b = Term.of(one, ""), Term.of(other, "")
    if not (a.is_range or b.is_range):
        assert a.holds(b.text) == a.meets(b)
