"""A label column in SQL: every value means there what the rule says it means."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_scorer.analysis import labels
from batch_scorer.errors import OptionError
from batch_scorer.formats.label_rule import LabelRule

RULE = LabelRule.of("label", [">=4", "good", "yes"], ["<=2", "bad", "0x1"])
WORDS = {True: "positive", False: "negative", None: None}


@functools.cache
def database() -> duckdb.DuckDBPyConnection:
    """One for all tests: to start it takes longer than to ask it."""
    return duckdb.connect(config={"threads": 1})


@pytest.fixture(scope="module", autouse=True)
def closed_in_the_end() -> Iterator[None]:
    yield
    database().close()
    database.cache_clear()


def in_sql(column: pa.Array, rule: LabelRule) -> list[str | None]:
    with database().cursor() as db:
        db.register("given", pa.table({"label": column, "place": range(len(column))}))
        db.execute("create or replace temp view reviews as from given")
        found = labels.find_labels(db, "reviews", "label", rule)
        assert found is not None
        rows = db.execute(f"select {labels.truth(found, 'label')} from reviews order by place").fetchall()
    return [truth for (truth,) in rows]


LABELS = st.one_of(
    st.sampled_from(
        ["5", "4.0", "04", "+4", "3", "2", "true", "Good", "good", " good\t", "YES", "it's", "nan", "", " "]
    ),
    st.text(max_size=5),
    st.floats(allow_nan=True).map(str),
)


@given(st.lists(st.one_of(st.none(), LABELS), max_size=20))
@example(["5\r\n", "'", "good\x00", "\u00a05", "5" * 300, "\x1b[0m", "good'"])
def test_sql_gives_each_value_the_meaning_that_the_rule_gives_it(values: list[str | None]) -> None:
    values = [None if value is None else value.encode("utf-8", "replace").decode() for value in values] + ["5", "1"]
    for rule in (RULE, LabelRule.of("label", [">=4", "good"])):
        told = rule.read(Counter(values))
        assert [WORDS[told.of(value)] for value in values] == in_sql(pa.array(values, pa.string()), rule)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([5, 3, 1, None], pa.int8()), ["positive", None, "negative", None]),
        (pa.array([5.0, 3.5, float("nan"), 1.0]), ["positive", None, None, "negative"]),
        (pa.array(["5", "3", "1", ""]).dictionary_encode(), ["positive", None, "negative", None]),
        (pa.array([5, 3, 1, None], pa.decimal128(5, 2)), ["positive", None, "negative", None]),
    ],
)
def test_column_of_any_type_is_read_alike(column: pa.Array, expected: list[Any]) -> None:
    assert expected == in_sql(column, RULE)


def test_column_of_more_values_than_labels_have_is_refused() -> None:
    with pytest.raises(OptionError, match="too many different values"):
        in_sql(pa.array(range(labels.MAX_LABELS + 1)), RULE)
    assert "positive" == in_sql(pa.array(range(labels.MAX_LABELS)), RULE)[-1]
