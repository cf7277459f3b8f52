"""The DuckDB connection to finished runs: its views, and what it says of damaged parts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from batch_scorer.analysis.database import connect
from batch_scorer.errors import RefusedError
from batch_scorer.runs.finished import open_run
from tests.finished_runs import Original


@pytest.fixture
def connected(original: Original, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    old, new = (open_run(original.copy(tmp_path / name, name)) for name in ("old", "new"))
    with connect("report", new=[new], old=[old]) as connection:
        yield connection


def test_connection_has_the_views_of_each_group_under_its_name(connected: duckdb.DuckDBPyConnection) -> None:
    for name in ("new", "old"):
        assert [(name,)] == connected.execute(f"select distinct run_id from {name}_tokens").fetchall()


def test_damaged_part_is_refused_by_name_even_if_only_a_query_notices(original: Original, tmp_path: Path) -> None:
    output = Path(original.copy(tmp_path / "run", "it"))
    part = output / "predictions/part-00001.parquet"  # DuckDB reads the columns from the first one
    part.write_bytes(part.read_bytes()[:-9])
    with (
        pytest.raises(RefusedError, match="cannot be read") as refused,
        connect("report", new=[open_run(str(output))]) as connection,
    ):
        connection.execute("select count(*) from new_tokens").fetchall()
    assert str(output) == refused.value.where
    assert "part-00001.parquet" in str(refused.value.got)
    assert "--resume" in str(refused.value.fix)


def test_wrong_query_is_not_taken_for_damage(original: Original) -> None:
    with (
        pytest.raises(duckdb.BinderException),
        connect("report", new=[open_run(str(original.output))]) as connection,
    ):
        connection.execute("select no_such_column from new_predictions")


def test_missing_duckdb_is_refused_with_what_to_install(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with (
        pytest.raises(RefusedError, match="needs a package") as refused,
        connect("report", new=[open_run(str(original.output))]),
    ):
        pass
    assert "pip install -e '.[report]'" in str(refused.value.fix)
