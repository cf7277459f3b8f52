"""A finished run from Python: its rows, some columns, batches, DuckDB, and what damage looks like."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer import open_run
from batch_scorer.errors import OptionError, RefusedError
from tests.finished_runs import Original
from tests.jobs import rows


def test_tables_are_the_rows_of_the_parts_in_order(original: Original) -> None:
    run = open_run(original.output)
    assert rows(original.output) == run.predictions().to_pylist()
    assert rows(original.output, "errors") == run.errors().to_pylist()
    assert (6, 1) == (run.predictions().num_rows, run.errors().num_rows)
    assert pq.read_schema(original.output / "predictions/part-00000.parquet") == run.predictions().schema


def test_columns_may_be_chosen(original: Original) -> None:
    run = open_run(original.output)
    assert ["logit", "record_id"] == run.predictions(["logit", "record_id"]).column_names
    assert ["code"] == run.errors(["code"]).column_names
    with pytest.raises(OptionError, match="no column 'logits'"):
        run.predictions(["logits"])


def test_batches_are_the_same_rows(original: Original) -> None:
    run = open_run(original.output)
    batches = list(run.batches(["record_id"], batch_rows=2))
    assert 4 == len(batches) and max(batch.num_rows for batch in batches) == 2
    assert run.predictions(["record_id"]).to_pylist() == pa.Table.from_batches(batches).to_pylist()


def test_run_is_found_from_anywhere_once_it_is_open(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(original.output.parent)
    run = open_run(original.output.name)
    monkeypatch.chdir("/")
    assert 6 == run.predictions().num_rows
    assert str(original.output) == run.path


def test_views_are_made_in_duckdb(original: Original) -> None:
    with duckdb.connect() as connection:
        assert connection is open_run(original.output).to_duckdb(connection)
        open_run(original.output).to_duckdb(connection, "old_")
        assert [(6, 1)] == connection.sql(
            "select count(*), min(n) from predictions, (select count(*) n from errors)"
        ).fetchall()
        assert [(True,)] == connection.sql("select complete from old_runs").fetchall()
        assert [(True,)] == connection.sql("select count(*) >= 12 from tokens").fetchall()


def test_run_shows_what_it_did(original: Original) -> None:
    run = open_run(original.output)
    assert f"Run(run='{run.run_id}', state='complete', model='tiny " in repr(run)
    assert "reviews='6 scored, 1 rejected'" in repr(run)
    assert run._repr_html_().startswith("<table><tr>") and "6 scored, 1 rejected" in run._repr_html_()


def test_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        open_run(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_part_is_refused_with_a_fix(original: Original, tmp_path: Path, damage: str) -> None:
    shutil.copytree(original.output, tmp_path / "run")
    run, part = open_run(tmp_path / "run"), tmp_path / "run/predictions/part-00001.parquet"
    part.write_bytes(part.read_bytes()[:100]) if damage == "cut" else part.unlink()
    for read in (run.predictions, lambda: list(run.batches())):
        with pytest.raises(RefusedError, match="damaged") as refused:
            read()
        assert (str(part), True) == (refused.value.where, "resume=True" in str(refused.value.fix))
    assert 1 == run.errors().num_rows
    if damage == "missing":
        with pytest.raises(RefusedError, match="damaged"):
            run.to_duckdb(duckdb.connect())
