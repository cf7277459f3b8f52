"""Errors: one tree, a text that says what to do, and nothing lost on the way from a worker."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer import errors
from batch_scorer.errors import InputError, JobError, RefusedError, ScorerError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ScorerError)]
DETAILS = ("where", "expected", "got", "fix")
text = st.none() | st.text(min_size=1, max_size=20)


def test_text_with_all_details_lists_them_aligned_in_reading_order() -> None:
    error = InputError("a column is missing", where="a.parquet", expected="text", got="body", fix="--text-column body")
    expected = (
        "a column is missing\n  where:    a.parquet\n  expected: text\n  got:      body\n  to fix:   --text-column body"
    )
    assert expected == str(error)


def test_text_leaves_out_the_details_that_are_not_given() -> None:
    assert "it broke\n  got:      smoke" == str(JobError("it broke", got="smoke"))
    assert "it broke" == str(JobError("it broke"))


@pytest.mark.parametrize("kind", KINDS)
def test_exit_code_is_2_for_what_was_refused_and_1_for_what_failed(kind: type[ScorerError]) -> None:
    assert (2 if issubclass(kind, RefusedError) else 1) == kind("x").exit_code


def test_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in str(errors.__doc__).splitlines():
        if found := re.match(r"(?P<indent>    [|+ -]*)(?P<name>[A-Z]\w+Error)", line):
            depth = len(found["indent"]) // 4
            above[depth] = found["name"]
            parents[found["name"]] = above.get(depth - 1, "Exception")
    assert parents == {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(what=st.text(max_size=20), details=st.tuples(text, text, text, text))
def test_pickling_keeps_the_class_and_every_detail(
    kind: type[ScorerError], what: str, details: tuple[str | None, ...]
) -> None:
    error = kind(what, **dict(zip(DETAILS, details, strict=True)))

    again = pickle.loads(pickle.dumps(error))

    assert kind is type(again)
    assert (what, *details) == (again.what, again.where, again.expected, again.got, again.fix)
    assert str(error) == str(again)
