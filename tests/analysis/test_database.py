"""The DuckDB connection to finished runs: its views, and what it says of damaged parts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.analysis.database import connect
from batch_scorer.errors import RefusedError
from batch_scorer.runs.finished import open_run
from tests.finished_runs import Original, seal


@pytest.fixture
def connected(original: Original, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    old, new = (open_run(original.copy(tmp_path / name, name)) for name in ("old", "new"))
    with connect("report", new=[new], old=[old]) as connection:
        yield connection


def test_connection_has_the_views_of_each_group_under_its_name(connected: duckdb.DuckDBPyConnection) -> None:
    for name in ("new", "old"):
        assert [(name,)] == connected.execute(f"select distinct run_id from {name}_tokens").fetchall()


def test_damaged_part_is_refused_by_name_before_any_query(original: Original, tmp_path: Path) -> None:
    output = Path(original.copy(tmp_path / "run", "it"))
    part = output / "predictions/part-00001.parquet"  # DuckDB reads the columns from the first one
    part.write_bytes(part.read_bytes()[:-9])
    with (
        pytest.raises(RefusedError, match="is damaged") as refused,
        connect("report", new=[open_run(str(output))]) as connection,
    ):
        pytest.fail(f"{connection} is of a damaged run")
    assert str(output) == refused.value.where
    assert "part-00001.parquet" in str(refused.value.got)
    assert "--resume" in str(refused.value.fix)


def test_part_without_a_column_of_ours_is_damage_even_if_the_manifest_names_it(
    original: Original, tmp_path: Path
) -> None:
    for column in ("source", "top_contributing", "kept"):
        output = Path(original.copy(tmp_path / column, "it", kept={"kept": pa.scalar(1)}))
        for part in output.glob("predictions/*.parquet"):
            pq.write_table(pq.read_table(part).drop_columns([column]), part)
        seal(output)
        with (
            pytest.raises(RefusedError, match="is damaged") as refused,
            connect("report", new=[open_run(str(output))]) as connection,
        ):
            connection.execute(f"select {column} from new_predictions")
        assert f"part-00000.parquet has no column '{column}'" in str(refused.value.got)


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
