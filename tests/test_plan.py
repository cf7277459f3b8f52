"""Plan: everything is covered once, in shards that follow from the inputs and options alone."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer import stored_plan
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OutputError
from batch_scorer.plan import make_plan
from batch_scorer.records import Shard
from batch_scorer.stored_plan import read_shards, resumed, shard_at, write_plan

MakeConfig = Callable[..., ScoreConfig]


def write_parquet(path: Path, groups: list[int]) -> None:
    """A Parquet file with row groups of these sizes."""
    with pq.ParquetWriter(path, pa.schema({"text": pa.string()})) as writer:
        for rows in groups:
            writer.write_table(pa.table({"text": pa.repeat("a", rows)}), row_group_size=max(rows, 1))


@given(
    groups=st.lists(st.lists(st.integers(1, 40), max_size=4), max_size=3),
    lines=st.lists(st.integers(0, 60), max_size=3),
    texts=st.integers(0, 12),
    shard_rows=st.integers(1, 50),
)
def test_plan_any_shard_rows_covers_every_row_byte_and_file_once(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[list[int]],
    lines: list[int],
    texts: int,
    shard_rows: int,
) -> None:
    folder = tmp_path_factory.mktemp("in")
    rows_of = {str(folder / f"{i}.parquet"): sizes for i, sizes in enumerate(groups)}
    for path, sizes in rows_of.items():
        write_parquet(Path(path), sizes)
    for i, count in enumerate(lines):
        (folder / f"{i}.jsonl").write_text("".join(json.dumps({"text": "é" * j}) + "\n" for j in range(count)))
    for i in range(texts):
        (folder / f"{i}.txt").write_text("a")
    (folder / "one.txt").write_text("a")

    plan, shards = make_plan(ScoreConfig((str(folder),), str(folder) + ".out", shard_rows=shard_rows), "model")

    covered: dict[tuple[str, str], list[int]] = defaultdict(list)
    for shard in shards:
        if shard.format == "files":
            assert len(shard.paths) <= shard_rows
            for path in shard.paths:
                covered["files", path].append(0)
        else:
            covered[shard.format, *shard.paths] += range(shard.start, shard.stop)
        if shard.format == "parquet":
            sizes = rows_of[shard.paths[0]]
            first = sum(sizes[: shard.row_group])
            assert first == shard.row_group_start <= shard.start < shard.stop <= first + sizes[shard.row_group]
            assert shard.stop - shard.start <= shard_rows
    expected = {("files", str(folder / name)): [0] for name in ("one.txt", *(f"{i}.txt" for i in range(texts)))}
    expected |= {("parquet", path): list(range(sum(sizes))) for path, sizes in rows_of.items() if sizes}
    for path in folder.glob("*.jsonl"):
        expected |= {("jsonl", str(path)): list(range(size))} if (size := path.stat().st_size) else {}
    assert expected == covered
    assert list(range(plan.shard_count)) == [shard.index for shard in shards]
    assert 1 + texts + sum(lines) + sum(map(sum, groups)) == plan.reviews


@pytest.mark.parametrize(
    ("rows", "shards", "largest"),
    [
        (999, 1, 999),
        (1_001, 2, 501),
        (64_000, 64, 1_000),
        (130_000, 65, 2_000),  # of 130 000 / 64 = 2 031 at most
        (3_300_000, 66, 50_000),
    ],
)
def test_plan_shard_size_is_a_64th_within_its_bounds(
    rows: int, shards: int, largest: int, tmp_path: Path, config: MakeConfig
) -> None:
    write_parquet(tmp_path / "a.parquet", [rows])

    _, found = make_plan(config(tmp_path / "a.parquet"), "model")

    assert (shards, largest) == (len(found), max(shard.stop - shard.start for shard in found))


def test_plan_jsonl_longer_than_its_sample_is_cut_by_mean_size(tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text((json.dumps({"text": "x" * 187}) + "\n") * 5_000)  # 200 bytes each

    plan, shards = make_plan(config(path), "model")

    assert (5_000, True) == (plan.reviews, plan.estimated)
    assert [200_000] * 5 == [shard.stop - shard.start for shard in shards]


def test_plan_damaged_file_is_a_shard_of_its_own_between_its_neighbours(tmp_path: Path, config: MakeConfig) -> None:
    write_parquet(tmp_path / "a.parquet", [3])
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    write_parquet(tmp_path / "c.parquet", [4])

    _, shards = make_plan(config(tmp_path / "*.parquet"), "model")

    assert ["a", "b", "c"] == [Path(shard.paths[0]).stem for shard in shards]
    assert [False, True, False] == [shard.damage is not None for shard in shards]


def test_plan_same_inputs_and_options_gives_the_same_plan(reviews_file: Path, config: MakeConfig) -> None:
    once = make_plan(config(reviews_file, shard_rows=2), "model")
    again = make_plan(config(reviews_file, shard_rows=2, workers=9, output="elsewhere", max_error_rate=0.5), "model")

    assert once == again
    assert once[0].plan_hash[:12] == once[0].run_id
    assert 64 == len(once[0].plan_hash)


CHANGES: dict[str, dict[str, Any]] = {
    "--text-column was 'text' and is now 'id'": {"text_column": "id"},
    "--id-column was None and is now 'id'": {"id_column": "id"},
    "--keep was [] and is now [{'name': 'id', 'output_name': 'id', 'type': 'string'}]": {"kept": (Kept("id", "id"),)},
    "--max-text-bytes was 1000000 and is now 5000": {"max_text_bytes": 5_000},
    "--top-k was 10 and is now 3": {"top_k": 3},
    "--precision was 'float32' and is now 'bfloat16'": {"precision": "bfloat16"},
    "--shard-rows was None and is now 1": {"shard_rows": 1},
    "--limit was None and is now 2": {"limit": 2},
    "excerpts (--no-excerpt) was True and is now False": {"excerpts": False},
}


@pytest.mark.parametrize("changed", [*CHANGES, "the model was 'model' and is now 'other'", "input"])
def test_plan_anything_changed_is_another_run_and_refused_by_name_on_resume(
    changed: str, reviews_file: Path, config: MakeConfig, tmp_path: Path
) -> None:
    stood, shards = make_plan(config(reviews_file), "model")
    write_plan(stood, shards, str(tmp_path / "out"))
    if changed == "input":
        os.utime(reviews_file, (1_000, 1_000))
        size = f"{reviews_file.stat().st_size:,} bytes in 1 file(s)"
        changed = f"input {reviews_file} has changed: {size}; now of another name or date"

    now, _ = make_plan(config(reviews_file, **CHANGES.get(changed, {})), "other" if "the model" in changed else "model")

    assert stood.run_id != now.run_id
    with pytest.raises(OutputError) as refused:
        resumed(now, str(tmp_path / "out"))
    assert changed == refused.value.got


def test_plan_row_groups_changed_in_a_file_of_the_same_size_and_time_is_refused_on_resume(
    tmp_path: Path, config: MakeConfig
) -> None:
    path, plans = tmp_path / "a.parquet", []
    for groups in ([2, 3], [3, 2]):
        write_parquet(path, groups)
        os.utime(path, (1_000, 1_000))
        plans.append(make_plan(config(path), "model"))
    write_plan(*plans[0], str(tmp_path / "out"))

    assert plans[0][0].inputs == plans[1][0].inputs
    with pytest.raises(OutputError, match="got:      other shards"):
        resumed(plans[1][0], str(tmp_path / "out"))


def test_plan_run_id_given_names_the_run_without_changing_its_hash(reviews_file: Path, config: MakeConfig) -> None:
    unnamed, _ = make_plan(config(reviews_file), "model")
    named, _ = make_plan(config(reviews_file, run_id="friday"), "model")

    assert dataclasses.replace(unnamed, run_id="friday") == named


def test_resumed_unchanged_keeps_the_run_id_that_stands(reviews_file: Path, config: MakeConfig, tmp_path: Path) -> None:
    stood, shards = make_plan(config(reviews_file, run_id="friday"), "model")
    write_plan(stood, shards, str(tmp_path / "out"))

    assert stood == resumed(make_plan(config(reviews_file), "model")[0], str(tmp_path / "out"))


@pytest.mark.parametrize("piece_shards", [1, 2, 5, 6, 7, 1_000])
def test_write_plan_in_pieces_is_read_back_in_order(
    piece_shards: int, reviews_file: Path, config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_plan, "PIECE_SHARDS", piece_shards)
    plan, shards = make_plan(config(reviews_file, shard_rows=1), "model")
    output = tmp_path / "out"

    write_plan(plan, shards, str(output))

    assert shards == list(read_shards(str(output), plan.shard_count))
    assert shards == [shard_at(str(output), i) for i in range(len(shards))]
    document = json.loads((output / "plan.json").read_text())
    assert {**plan.to_json(), "pieces": document["pieces"]} == document
    assert document["pieces"] == sorted(f"plan/{path.name}" for path in (output / "plan").iterdir())


SHARDS = st.builds(
    Shard,
    index=st.integers(0),
    format=st.sampled_from(["parquet", "jsonl", "files"]),
    paths=st.lists(st.text() | st.just("caf\udce9\n\u2028.txt"), min_size=1, max_size=3).map(tuple),
    start=st.integers(0, 2**62),
    stop=st.integers(0, 2**62),
    row_group=st.integers(0),
    row_group_start=st.integers(0),
    damage=st.none() | st.text(),
)


@given(shard=SHARDS)
def test_shard_as_json_is_one_line_and_comes_back_equal(shard: Shard) -> None:
    line = shard.to_json()

    assert [line] == line.splitlines()
    assert line.isascii()
    assert shard == Shard.from_json(line)
