"""The recipe of docs/analysts.md for Iceberg, on runs as they come: resumed, with more columns, night after night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from tests.docs.test_analysts import RUN
from tests.finished_runs import edit
from tests.jobs import part_bytes, score_here
from tests.made_runs import write_run

pyiceberg = pytest.importorskip("pyiceberg", reason="needs pyiceberg")
NAME = "reviews.predictions"

AddRun = Callable[[Any, str, str], str]


@pytest.fixture(scope="module")
def add_run() -> AddRun:
    """The function of the page."""
    recipe = next(block.code for block in RUN if block.section == "Iceberg")
    names: dict[str, Any] = {}
    exec(compile(recipe[: recipe.index("os.makedirs")], "analysts.md", "exec"), names)
    found: AddRun = names["add_run"]
    return found


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Any]:
    from pyiceberg.catalog.sql import SqlCatalog

    lake = tmp_path / "lake"
    lake.mkdir()
    made = SqlCatalog("lake", uri=f"sqlite:///{lake}/catalog.db", warehouse=lake.as_uri())
    made.create_namespace("reviews")
    yield made
    made.close()


def rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: (row["run_id"], row["record_id"], row["offset"]))


def test_nights_are_added_once_each_and_read_as_they_were_written(
    add_run: AddRun, catalog: Any, tmp_path: Path
) -> None:
    for night in (1, 2):
        write_run(tmp_path / f"n{night}", 30, seed=night, run_id=f"night{night}", part_rows=20, rejected=1)
    before = [part_bytes(tmp_path / name) for name in ("n1", "n2")]
    said = [add_run(catalog, NAME, str(tmp_path / name)) for name in ("n1", "n1", "n2", "n1")]
    assert [
        "night1: 2 parts added",
        "night1: already there",
        "night2: 2 parts added",
        "night1: already there",
    ] == said
    table = catalog.load_table(NAME)
    assert 2 == len(table.snapshots())
    read = table.scan().to_arrow()
    written = pa.concat_tables(pq.read_table(tmp_path / name / "predictions") for name in ("n1", "n2"))
    assert rows(written) == rows(read.select(written.column_names))
    # The rows stay where they are.
    assert before == [part_bytes(tmp_path / name) for name in ("n1", "n2")]
    assert [] == list((tmp_path / "lake").rglob("*.parquet"))


def test_run_that_was_resumed_is_added_once(
    add_run: AddRun, catalog: Any, tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    options: dict[str, Any] = {"model": str(tiny_model), "shard_rows": 3, "id_column": "id", "no_text_hash": True}
    output = tmp_path / "out"
    run_id = score_here(ScoreConfig.of((str(reviews_file),), str(output), **options))["run_id"]
    last = sorted(output.glob("predictions/*"))[-1]
    for lost in (last, output / "shards" / f"{last.stem.removeprefix('part-')}.json", output / "_SUCCESS"):
        lost.unlink()
    with pytest.raises(ValueError, match="resume it first"):
        add_run(catalog, NAME, str(output))
    score_here(ScoreConfig.of((str(reviews_file),), str(output), resume=True, **options))
    assert [f"{run_id}: 2 parts added", f"{run_id}: already there"] == [
        add_run(catalog, NAME, str(output)) for _ in range(2)
    ]
    assert rows(pq.read_table(output / "predictions")) == rows(catalog.load_table(NAME).scan().to_arrow())


def test_later_run_with_more_columns_adds_them_and_the_earlier_has_nulls(
    add_run: AddRun, catalog: Any, tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    options: dict[str, Any] = {"model": str(tiny_model), "id_column": "id", "no_text_hash": True}
    more = {"sentences": True, "spans": 2, "unusual": True, "kept": (Kept("text", "body"),)}
    for name, others in (("a", {}), ("b", more), ("c", {})):
        score_here(
            ScoreConfig.of((str(reviews_file),), str(tmp_path / name), run_id=f"night-{name}", **options, **others)
        )
        add_run(catalog, NAME, str(tmp_path / name))
    read = catalog.load_table(NAME).scan().to_arrow()
    for name in "abc":
        written = pq.read_table(tmp_path / name / "predictions")
        own = read.filter(pc.equal(read["run_id"], f"night-{name}"))
        assert rows(written) == rows(own.select(written.column_names))
        assert (name != "b") == (own["sentences"].null_count == own["body"].null_count == len(own) > 0)


def test_run_with_hashes_of_its_texts_is_refused_with_a_way_on(
    add_run: AddRun, catalog: Any, tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    score_here(ScoreConfig.of((str(reviews_file),), str(tmp_path / "a"), model=str(tiny_model)))
    with pytest.raises(ValueError, match="score it with --no-text-hash"):
        add_run(catalog, NAME, str(tmp_path / "a"))


def test_run_whose_files_the_table_has_is_refused_where_its_snapshot_is_forgotten(
    add_run: AddRun, catalog: Any, tmp_path: Path
) -> None:
    write_run(tmp_path / "n1", 5, run_id="night1")
    add_run(catalog, NAME, str(tmp_path / "n1"))
    for document in ("plan.json", "manifest.json"):
        edit(tmp_path / "n1" / document, run_id="another")
    with pytest.raises(ValueError, match="already referenced"):
        add_run(catalog, NAME, str(tmp_path / "n1"))
    assert 1 == len(catalog.load_table(NAME).snapshots())
