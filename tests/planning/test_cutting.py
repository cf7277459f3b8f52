"""Small files share a shard: which ones, and that nothing but the number of shards changes for it."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OutputError
from batch_scorer.formats.records import Fields, InputFile, Shard
from batch_scorer.planning.cutting import cut, cut_apart
from batch_scorer.planning.plan import make_plan, planned_apart
from batch_scorer.runs.plan_files import resumed, write_plan
from batch_scorer.scoring import read as reading
from tests.formats.test_xlsx import workbook
from tests.jobs import part_bytes, rows, score_here

MakeConfig = Callable[..., ScoreConfig]


def file(name: str, kind: str, reviews: int, **more: Any) -> InputFile:
    """A file of 10 bytes a review, as inspected."""
    groups = more.pop("row_groups", (reviews,) if kind == "parquet" else ())
    return InputFile(name, kind, 10 * reviews, reviews, row_groups=groups, **more)


def names(files: Iterable[InputFile], shard_rows: int) -> list[str]:
    return ["".join(one.path for one in piece.files) for piece in cut(files, shard_rows)]


def test_neighbours_share_a_shard_as_long_as_they_fit() -> None:
    files = [file("a", "csv", 3), file("b", "parquet", 4), file("c", "jsonl", 3), file("d", "files", 1)]
    assert ["abc", "d"] == names(files, 10)
    assert ["ab", "cd"] == names(files, 7)
    assert ["a", "b", "cd"] == names(files, 4)


def test_large_file_is_cut_as_before_and_its_neighbours_stay_in_order() -> None:
    files = [
        file("a", "csv", 2),
        file("b", "jsonl", 25),
        file("c", "csv", 2),
        file("d", "csv", 30),
        file("e", "csv", 1),
    ]
    assert ["a", "b", "b", "b", "c", "d", "e"] == names(files, 10)


def test_file_alone_is_cut_as_before() -> None:
    files = [file("a", "parquet", 6, row_groups=(1, 2, 3)), file("b", "parquet", 9, row_groups=(4, 5))]
    assert [*cut_apart(files, 9)] == [*cut(files, 9)]
    assert ["a", "a", "a", "b", "b"] == names(files, 9)
    assert ["ab"] == names(files, 15)


def test_file_without_records_is_opened_by_nobody_and_a_damaged_one_counts_like_a_review() -> None:
    damaged = file("d", "parquet", 0, damage="cut short")
    files = [file("a", "csv", 1), file("b", "csv", 0), file("c", "jsonl", 0), damaged, file("e", "csv", 1)]
    assert ["ade"] == names(files, 3)
    assert ["ad", "e"] == names(files, 2)


@given(
    files=st.lists(
        st.builds(
            lambda kind, reviews, damage: file(
                "x", kind, 0 if damage else 1 if kind == "files" else reviews, damage=damage
            ),
            st.sampled_from(["csv", "jsonl", "parquet", "xlsx", "files"]),
            st.integers(1, 12),
            st.sampled_from([None, None, "damaged"]),
        ),
        max_size=30,
    ),
    shard_rows=st.integers(1, 15),
)
def test_cut_any_files_keeps_each_once_in_order_and_shards_full(files: list[InputFile], shard_rows: int) -> None:
    files = [one._replace(path=f"{i:03d}") for i, one in enumerate(files)]
    weights = {one.path: max(one.reviews, 1) for one in files}

    pieces = [*cut(files, shard_rows)]

    assert [one.path for one in files] == list(dict.fromkeys(one.path for piece in pieces for one in piece.files))
    assert sum(one.reviews for one in files) == sum(piece.reviews for piece in pieces)
    for piece, after in pairwise(pieces):
        weight = sum(weights[one.path] for one in piece.files)
        assert weight <= shard_rows or len(piece.files) == 1
        assert weight + weights[after.files[0].path] > shard_rows


SCHEMA = pa.schema({"text": pa.string(), "id": pa.int64(), "stars": pa.int64(), "more": pa.string()})


def write_every_format(folder: Path) -> None:
    """Small files of every format, in an order that mixes them, some of them damaged."""
    for place in ("", "year=2023/", "year=2024/"):
        here = folder / place
        here.mkdir(exist_ok=True)
        with pq.ParquetWriter(here / "a.parquet", SCHEMA) as writer:
            for size in (2, 1):
                texts, numbers = [f"good {size}"] * size, pa.array(range(size))
                writer.write_table(pa.table({"text": texts, "id": numbers, "stars": numbers, "more": texts}))
        (here / "b.csv").write_text("id,text\n1,bad\n2\n3,very bad\n")
        (here / "c.csv").write_text("more;text;id\nx;a film;9\n")
        (here / "c2.csv").write_text('text,more,id\n"two\nlines",x,9\n')
        (here / "d.csv.gz").write_bytes(gzip.compress(b"text,id\nzipped,8\n", mtime=0))
        (here / "e.jsonl").write_text(
            '{"text": "one", "id": 1, "stars": 4, "more": "of it"}\nno json\n\n{"text": "two", "id": 2}'
        )
        (here / "f.json").write_text(json.dumps([{"text": "in an array", "id": 4}]))
        (here / "g.txt").write_text("a whole file")
        (here / "h.parquet").write_bytes(b"damaged")
        (here / "i.jsonl.gz").write_bytes(gzip.compress(b'{"text": "cut", "id": 3}\n' * 400, mtime=0)[:40])
        (here / "j.csv").write_text("text,id\n")
        workbook(here / "k.xlsx", sheet=[["id", "text"], [7, "in a workbook"]])
        (here / "l.txt").write_text("the last")


def all_of(shards: Iterable[Shard], fields: Fields) -> tuple[list[Any], list[Any]]:
    """Everything that reading some shards gives: reviews with their texts, and rejections."""
    reviews, rejected = [], []
    for chunk in (chunk for shard in shards for chunk in reading.read(shard, fields)):
        reviews += [(*row.values(), text) for row, text in zip(chunk.reviews.to_pylist(), chunk.texts, strict=True)]
        rejected += chunk.rejected
    return reviews, rejected


@pytest.mark.parametrize("limit", [None, 1, 5, 11, 23, 1_000])
@pytest.mark.parametrize("shard_rows", [4, 10, 1_000])
def test_shared_shards_give_the_records_of_files_that_are_read_apart(
    shard_rows: int, limit: int | None, folder: Path, config: MakeConfig
) -> None:
    write_every_format(folder)
    (folder / "c.csv").unlink()  # which has another delimiter than the rest
    for year in (2023, 2024):
        (folder / f"year={year}/c.csv").unlink()
    job = config(folder, shard_rows=shard_rows, limit=limit, id_column="id" if limit else None,
                 kept=(Kept("year", "year"), Kept("more", "more"), Kept("stars", "stars")))  # fmt: skip
    plan, shards = make_plan(job, "model")
    apart = planned_apart(plan, shards)[1]

    assert len(shards) < len(apart) or limit in (1, 5)
    (reviews, rejected), (reviews_apart, rejected_apart) = (all_of(cut, plan.fields) for cut in (shards, apart))
    assert reviews_apart == reviews
    if limit is None:
        assert rejected_apart == rejected
        assert 6 == sum(rejection.offset is None for rejection in rejected)
    else:  # behind the last record, other files may still be looked into
        assert [r for r in rejected_apart if r.offset is not None] == [r for r in rejected if r.offset is not None]


def test_run_of_shared_shards_has_the_rows_of_one_of_files_apart(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    write_every_format(folder)
    for path in folder.rglob("c.csv"):
        path.unlink()
    common = {"run_id": "r", "allow_unreadable": True, "max_error_rate": 1}

    shared = score_here(config(folder, **common))
    apart = score_here(config(folder, output=str(tmp_path / "apart"), shard_rows=1, **common))

    assert apart["counts"] == shared["counts"]
    for kind in ("predictions", "errors"):
        assert rows(tmp_path / "apart", kind) == rows(tmp_path / "out", kind)
        assert 1 == len(list((tmp_path / "out" / kind).iterdir()))


def test_a_thousand_small_files_are_one_shard_of_a_few_bytes_for_each(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    for i in range(1_000):
        (folder / f"{i:04d}.jsonl").write_text('{"text": "a good film"}\n')

    _, shards = make_plan(config(folder), "model")

    assert [1_000] == [*shards.reviews]
    (shard,) = shards
    assert [(1_000, "jsonl", (), (), None)] == [*shard.members]
    assert len(shard.to_json()) < 1_000 * (len(str(folder)) + 60)


def test_run_that_an_earlier_version_planned_goes_on_with_its_own_shards(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    for i in range(4):
        (folder / f"{i}.jsonl").write_text('{"text": "a good film"}\n')
    job = config(folder)
    made = make_plan(job, "model")
    earlier, apart = planned_apart(*made)
    earlier = dataclasses.replace(earlier, run_id="earlier")
    write_plan(earlier, apart, str(tmp_path / "out"))

    plan, shards = resumed(*made, str(tmp_path / "out"))

    assert (earlier, [*apart]) == (plan, [*shards])
    assert (4, 1) == (len(shards), len(made[1]))
    with pytest.raises(OutputError, match="--run-id was 'earlier'"):
        resumed(*made, str(tmp_path / "out"), "another")


def test_unreadable_file_of_a_shared_shard_is_repaired_and_its_neighbours_may_not_change(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    whole = gzip.compress(b'{"text": "a good film"}\n' * 50, mtime=0)
    for name in "abc":
        (folder / f"{name}.jsonl").write_text('{"text": "a bad film"}\n')
    (folder / "b.jsonl.gz").write_bytes(whole[:30])  # which only reading shows
    job = config(folder, run_id="r")
    assert {"unreadable": 1, "scored": 3}.items() <= score_here(job)["counts"].items()

    (folder / "b.jsonl.gz").write_bytes(whole)
    date = (folder / "c.jsonl").stat().st_mtime
    os.utime(folder / "c.jsonl", (1_000, 1_000))
    with pytest.raises(OutputError, match="has changed"):
        score_here(job.with_options(resume=True))
    os.utime(folder / "c.jsonl", (date, date))
    assert {"unreadable": 0, "scored": 53}.items() <= score_here(job.with_options(resume=True))["counts"].items()

    undisturbed = job.with_options(output=str(tmp_path / "undisturbed"))
    score_here(undisturbed)
    assert part_bytes(tmp_path / "undisturbed") == part_bytes(tmp_path / "out")


def test_line_of_a_plan_whose_members_do_not_fit_its_files_is_damaged() -> None:
    shard = Shard(0, "csv", ("a", "b"), stamps=((1, 1.0), (1, 1.0)))
    line = json.loads(shard.to_json())
    assert shard == Shard.from_json(json.dumps(line))
    with pytest.raises(ValueError, match="not as many"):
        Shard.from_json(json.dumps({**line, "members": [[3, "csv", [], [], None]]}))
