"""An artefact and a run that commit 3faf644 wrote (tests/old/README.md): today's version reads and continues them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats.records import Shard
from tests.cli.test_main import run
from tests.jobs import score_here

OPTIONS: dict[str, Any] = {
    **{"model": "model", "id_column": "id", "kept": (Kept("label", "label"), Kept("year", "year"))},
    **{"shard_rows": 4, "max_error_rate": 0.5, "allow_unreadable": True, "top_k": 3, "workers": 1},
    "worker_timeout_s": 600.0,
}
TEXT = "A wonderful film, and it's not boring."  # the first one


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of tests/old, with the inputs' times as they were: the current directory of all these tests."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(Path(__file__).parent / "old", place, dirs_exist_ok=True)
    for line in (place / "run/plan/00000.jsonl").read_text().splitlines():
        shard = Shard.from_json(line)
        for path, (_, modified) in zip(shard.paths, shard.stamps, strict=True):
            os.utime(place / path, (modified, modified))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield place


@pytest.fixture(scope="module")
def again(place: Path) -> Path:
    """The same inputs, scored by the old artefact today."""
    score_here(ScoreConfig.of(["reviews"], "again", run_id="old-run", no_text_hash=True, **OPTIONS))
    return place / "again"


def without_floats(value: Any, floats: list[float]) -> Any:
    """`value` with None for each float, which goes to `floats`."""
    if isinstance(value, float):
        floats.append(value)
        return None
    if isinstance(value, dict):
        return {name: without_floats(inner, floats) for name, inner in value.items()}
    return [without_floats(inner, floats) for inner in value] if isinstance(value, list) else value


def same_rows(expected: pa.Table, rows: pa.Table) -> bool:
    """Checks that two tables are the same, floats within 1e-5; returns whether floats are the same to the last bit."""
    floats: tuple[list[float], list[float]] = ([], [])
    assert expected.schema.equals(rows.schema, check_metadata=True)
    assert without_floats(expected.to_pylist(), floats[0]) == without_floats(rows.to_pylist(), floats[1])
    assert floats[0] == pytest.approx(floats[1], abs=1e-5)
    return bool(floats[0] == floats[1])


def all_rows(output: Path, kind: str) -> pa.Table:
    """The rows of all parts of one kind, in their order."""
    return pa.concat_tables([pq.ParquetFile(path).read() for path in sorted((output / kind).iterdir())])


def same_parts(output: Path, kind: str) -> None:
    """Checks that the parts in `output` are those of the old run.

    Another processor may compute other last bits, and another version of Arrow write other bytes; else all bytes agree.
    """
    names = sorted(path.name for path in Path("run", kind).iterdir())
    assert names == sorted(path.name for path in (output / kind).iterdir())
    for name in names:
        old, new = Path("run", kind, name), output / kind / name
        with pq.ParquetFile(old) as before, pq.ParquetFile(new) as now:
            same = same_rows(before.read(), now.read())
            same_writer = before.metadata.created_by == now.metadata.created_by
        assert not (same and same_writer) or old.read_bytes() == new.read_bytes(), name


def test_old_artefact_scores_the_same_texts_to_the_same_rows(again: Path) -> None:
    same_rows(all_rows(Path("run"), "predictions"), all_rows(again, "predictions"))
    # Messages are in English, which may improve. The id of a line of too few fields is no longer guessed.
    errors = (all_rows(output, "errors").drop_columns(["message", "record_id"]) for output in (Path("run"), again))
    same_rows(*errors)
    old, new = (len([*(output / "predictions").iterdir()]) for output in (Path("run"), again))
    assert old > new  # small files did not share a shard then


def test_old_run_is_resumed_to_the_same_parts(tmp_path: Path) -> None:
    output = tmp_path / "run"
    shutil.copytree("run", output)
    for name in ("shards/00001.json", "predictions/part-00004.parquet", "manifest.json", "_SUCCESS"):
        (output / name).unlink()

    manifest = score_here(ScoreConfig.of(["reviews"], str(output), resume=True, **OPTIONS))

    old = json.loads(Path("run/manifest.json").read_text())
    same_parts(output, "predictions")
    same_parts(output, "errors")  # in the words of the old plan
    same = ("run_id", "model_id", "inputs", "notices", "profile", "warnings", "not_a_success")
    assert [old[name] for name in same] == [manifest[name] for name in same]
    assert {**old["counts"], "empty": 0} == manifest["counts"]  # markers of shards did not count them
    assert (output / "_SUCCESS").exists()
    # Shards 1 and 4 were scored again; 6 is unreadable, which is always tried again. The rest was left as it was.
    kept = [path.relative_to(output) for path in output.glob("*/part-*") if not path.stem.endswith(("1", "4", "6"))]
    assert 7 == len(kept)
    assert [] == [path for path in kept if Path("run", path).stat().st_mtime_ns != (output / path).stat().st_mtime_ns]


def test_old_artefact_and_run_are_inspected() -> None:
    for path, shown in (("model", "ef976e430e9f"), ("run", "old-run"), ("run", "left out 1 x .md")):
        result = run("inspect", path)
        assert (0, "") == (result.exit_code, result.stderr)
        assert shown in result.stdout


def test_old_artefact_explains_a_text_as_in_the_old_run() -> None:
    result = run("explain", TEXT, "--model", "model", "--top-k", "3", "--json")
    explained = json.loads(result.stdout)
    row = pq.ParquetFile("run/predictions/part-00000.parquet").read().to_pylist()[0]
    for name in ("probability", "logit", "rest_contribution"):
        assert row[name] == pytest.approx(explained[name], abs=1e-5)
    for name in ("top_attended", "top_contributing"):
        assert [t["token"] for t in row[name]] == [t["token"] for t in explained[name]]


def test_row_of_the_old_run_is_explained_on_its_text() -> None:
    result = run("explain", "--run", "run", "--id", "r00", "--json")
    row = pq.ParquetFile("run/predictions/part-00000.parquet").read().to_pylist()[0]
    explained = json.loads(result.stdout)
    assert (0, TEXT, "old-run") == (result.exit_code, explained["text"], explained["run_id"])
    assert row["logit"] == pytest.approx(explained["logit"], abs=1e-6)
    assert [t["token"] for t in row["top_contributing"]] == [t["token"] for t in explained["top_contributing"]]


def test_old_run_is_reported_with_its_texts(tmp_path: Path) -> None:
    result = run("report", "run", "--text-from", "reviews", "--output", tmp_path / "page.html")
    assert (0, "") == (result.exit_code, result.stderr)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "old-run" in page and "wonderful film" in page


def test_old_run_is_compared_with_one_of_today(again: Path) -> None:
    result = run("compare", "run", again, "--json")
    comparison = json.loads(result.stdout)
    assert (0, "old-run", 15) == (result.exit_code, comparison["a"]["run_id"], comparison["pairs"]["both"])
    assert 0 == comparison["changes"]["flipped"]


def test_old_run_is_tables_of_duckdb() -> None:
    result = run("sql", "run")
    connection = duckdb.connect()
    connection.execute(result.stdout)
    for view, count in (("predictions", 15), ("errors", 4), ("runs", 1)):
        assert [(count,)] == connection.execute(f"select count(*) from {view}").fetchall()
    words = connection.execute("select count(*) from tokens where run_id = 'old-run'").fetchone()
    assert words is not None and words[0] >= 15
