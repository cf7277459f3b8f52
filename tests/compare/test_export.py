"""The tables of a comparison: their columns and values, and that all of them are written or none."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batch_scorer.compare import export
from batch_scorer.compare.compare import compare
from batch_scorer.compare.result import Question
from batch_scorer.errors import JobError
from batch_scorer.storage.stores import client, retry
from tests.compare.conftest import WriteRun, run, scores
from tests.jobs import rows
from tests.stubs import gcs


def test_tables_have_the_documented_columns_and_the_values_of_both_runs(
    scored: tuple[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "new" / "tables"
    result = run(*scored, "--output", output, "--label-column", "truth")
    assert 0 == result.exit_code, result.output
    assert ["reviews.parquet", "tokens.parquet", "words.parquet"] == sorted(os.listdir(output))
    assert [output.name] == os.listdir(output.parent)
    assert all(str(output / name) in result.output for name in os.listdir(output))
    a, b = ({row["record_id"]: row for row in rows(run)} for run in scored)

    reviews = pq.read_table(output / "reviews.parquet")
    twice = [f"{name}_{side}" for name in ("logit", "label") for side in "ab"]
    leading = ["record_id", "source", "offset", "in_a", "in_b", "probability_a", "probability_b", "change"]
    assert [*leading, *twice, "flipped", "truth"] == reviews.column_names
    assert "ZSTD" == pq.ParquetFile(output / "reviews.parquet").metadata.row_group(0).column(0).compression
    assert sorted(a) == reviews["record_id"].to_pylist()
    for row in reviews.to_pylist():
        one, other = a[row["record_id"]], b.get(row["record_id"])
        assert (one["probability"], one["logit"], one["predicted_label"]) == (
            row["probability_a"],
            row["logit_a"],
            row["label_a"],
        )
        assert (one["source"], one["offset"]) == (row["source"], row["offset"])
        assert (True, other is not None) == (row["in_a"], row["in_b"])
        assert (other and other["probability"], other and other["logit"]) == (row["probability_b"], row["logit_b"])
        assert (other and other["probability"] - one["probability"]) == row["change"]
        assert (other and other["predicted_label"] != one["predicted_label"]) == row["flipped"]
        assert ("positive" if one["truth"] == 1 else "negative") == row["truth"]

    def contributions(of: dict[str, Any]) -> dict[tuple[str, int, str], float]:
        lists = [(i, w) for i, row in of.items() for w in (*row["top_attended"], *row["top_contributing"])]
        return {(i, w["position"], w["token"]): w["contribution"] for i, w in lists}

    tokens = pq.read_table(output / "tokens.parquet")
    assert ["record_id", "source", "offset", "position", "token", "contribution_a", "contribution_b"] == (
        tokens.column_names
    )
    by_word = {(r["record_id"], r["position"], r["token"]): r for r in tokens.to_pylist()}
    in_a, in_b = contributions(a), contributions(b)
    assert sorted(in_a.keys() | in_b.keys()) == list(by_word)
    assert all(in_a.get(key) == row["contribution_a"] for key, row in by_word.items())
    assert all(in_b.get(key) == row["contribution_b"] for key, row in by_word.items())


def test_tables_in_a_store_are_written_all_or_none(scored: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        monkeypatch.setattr(retry, "WAITS_S", ())
        client.use(())
        client._client.cache_clear()
        for name, output in zip("ab", scored, strict=True):
            for path in Path(output).rglob("*"):
                if path.is_file():
                    store.put("bucket", f"{name}/{path.relative_to(output)}", path.read_bytes())
        places = ("gs://bucket/a", "gs://bucket/b/", "--output", "gs://bucket/tables")
        store.fault = lambda asked: gcs.Fault(status=403) if "tokens" in asked.target and asked.is_upload else None
        assert 2 == run(*places).exit_code
        assert [] == store.names("bucket", "tables/")
        store.fault = lambda asked: None
        result = run(*places)
        assert 0 == result.exit_code, result.output
        assert [f"tables/{name}" for name in sorted(export.TABLES)] == store.names("bucket", "tables/")
        assert "the output directory is not empty" in run(*places).output
        client._client.cache_clear()


def test_tables_that_cannot_be_finished_leave_nothing_behind(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = write_run("a", scores(x=0.1)), write_run("b", scores(x=0.2))
    monkeypatch.setitem(export.TABLES, "tokens.parquet", "select error('disk full')")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(JobError, match="`batch-scorer compare` failed"):
        compare(a, b, Question(output=str(tmp_path / "tables")))
    assert before == sorted(os.listdir(tmp_path))
    (tmp_path / "tables").mkdir()
    with pytest.raises(JobError, match="`batch-scorer compare` failed"):
        compare(a, b, Question(output=str(tmp_path / "tables")))
    assert [] == os.listdir(tmp_path / "tables")


def test_empty_directory_is_filled_and_not_replaced(write_run: WriteRun, tmp_path: Path) -> None:
    a, b = write_run("a", scores(x=0.1)), write_run("b", scores(x=0.2))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    comparison = compare(a, b, replace(Question(), output=str(tmp_path / "link")))
    assert sorted(export.TABLES) == sorted(os.listdir(tmp_path / "real"))
    assert all(os.path.isfile(path) for path in comparison.tables)
