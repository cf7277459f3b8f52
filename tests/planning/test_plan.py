"""Plan: everything is covered once, in shards that follow from the inputs and options alone."""

from __future__ import annotations

import dataclasses
import json
import os
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig, ScoringConfig
from batch_scorer.errors import OutputError
from batch_scorer.formats.records import Shard
from batch_scorer.planning.plan import make_plan, planned_apart
from batch_scorer.runs import plan_files
from batch_scorer.runs.plan_files import read_shards, resumed, shard_at, write_plan
from batch_scorer.scoring.read import read

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

    plan, shards = make_plan(ScoreConfig.of((str(folder),), str(folder) + ".out", shard_rows=shard_rows), "model")

    covered: dict[tuple[str, str], list[int]] = defaultdict(list)
    for whole in shards:
        assert len(whole.paths) <= shard_rows
        assert whole == Shard.from_json(whole.to_json())
    for shard in (one for whole in shards for one in whole.each()):
        if shard.format == "files":
            for path in shard.paths:
                covered["files", path].append(0)
        else:
            stop = shard.stamps[0][0] if shard.stop is None else shard.stop  # a whole file has no stop
            covered[shard.format, *shard.paths] += range(shard.start, stop)
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
    assert plan.reviews == sum(shards.reviews)
    assert max(shards.reviews) <= shard_rows
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

    _, cut = make_plan(config(tmp_path / "a.parquet"), "model")

    assert (shards, largest) == (len(cut), max(shard.stop - shard.start for shard in cut))


def test_plan_jsonl_longer_than_its_sample_is_cut_by_mean_size(tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text((json.dumps({"text": "x" * 187}) + "\n") * 5_000)  # 200 bytes each

    plan, shards = make_plan(config(path), "model")

    assert (5_000, True) == (plan.reviews, plan.estimated)
    assert [200_000] * 5 == [shard.stop - shard.start for shard in shards]


def test_plan_damaged_file_is_between_its_neighbours(tmp_path: Path, config: MakeConfig) -> None:
    write_parquet(tmp_path / "a.parquet", [3])
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    write_parquet(tmp_path / "c.parquet", [4])

    for rows, count in ((1_000, 1), (4, 2), (3, 4)):
        _, shards = make_plan(config(tmp_path / "*.parquet", shard_rows=rows), "model")

        assert count == len(shards)
        read = [one for shard in shards for one in shard.each()]
        names = [Path(one.paths[0]).stem for one in read]
        assert ["a", "b", "c"] == list(dict.fromkeys(names))
        assert ["b"] == [name for name, one in zip(names, read, strict=True) if one.damage is not None]
        assert [str(tmp_path / "b.parquet")] == [path for shard in shards for path, _ in shard.damaged()]


def test_plan_same_inputs_and_options_gives_the_same_plan(reviews_file: Path, config: MakeConfig) -> None:
    once = make_plan(config(reviews_file, shard_rows=2), "model")
    again = make_plan(config(reviews_file, shard_rows=2, workers=9, output="elsewhere", max_error_rate=0.5), "model")

    assert once[0] == again[0]
    assert list(once[1]) == list(again[1])
    assert once[0].plan_hash[:12] == once[0].run_id
    assert 64 == len(once[0].plan_hash)


# The hashes of plans that an earlier version made, and its words for what it skipped and what was damaged in `in`.
SKIPPED = ("in: left out 2 x .xml", "in: 1 links to others of its files were left out")
DAMAGED = "no Parquet file, or one that was cut off: its last four bytes are not PAR1"
HASHES: dict[str, tuple[str, dict[str, Any]]] = {
    "64": ("a1cf0ecfa26159f85e8794117fd89436b032dd1fea9de54e9e5f1c90faa15ba1", {}),
    "rows": ("9ab3c4f6bbeb435f0c2082f4ae75e297ad5adaabaec978024403450c9f3d792a", {"shard_rows": 7}),
    "limit": ("9e3ec79c801f9a0dd0eec62a6dafaa35cb9a81c753f49397f3a4616c0a9738d4", {"shard_rows": 3, "limit": 60}),
    "kept": (
        "7adae87720aec16bfe263b458a38492f03726870e55ce38e7cc3eb8023f72cbf",
        {"inputs": ("in/*/a.jsonl",), "kept": (Kept("year", "year"), Kept("n", "out")), "id_column": "id"},
    ),
    "lines": (
        "0087590e96d96add9847784df9368981e590f5d7008d4320621ad232832871f0",
        {"inputs": ("in/year=2024/a.jsonl", "in/year=2023"), "input_format": "lines"},
    ),
}


@pytest.mark.parametrize("case", HASHES)
def test_resumed_unchanged_inputs_of_an_earlier_version_continue_its_plan(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths are hashed as they are given
    for year in (2023, 2024):
        here = Path(f"in/year={year}")
        here.mkdir(parents=True)
        for i in range(5):
            (here / f"{i}.txt").write_text("good " * i)
        (here / "a.jsonl").write_text(
            "".join(json.dumps({"id": i, "text": "x" * i, "n": i}) + "\n" for i in range(300))
        )
        (here / "b.csv").write_text("id,text,n\n1,good,2\n2,bad,3\n")
        (here / "bad.parquet").write_bytes(b"good")
        (here / "left_out.xml").touch()
    Path("in/year=2024/link.jsonl").symlink_to("a.jsonl")
    for path in Path("in").rglob("*.*"):
        if not path.is_symlink():
            os.utime(path, (0, 1_000.125 + len(path.name)))
    digest, changes = HASHES[case]
    options = {"inputs": ("in",), "output": "out", "top_k": 10, **changes}  # 10 was the default
    plan, shards = make_plan(ScoreConfig.of(**options), "model")
    notices = SKIPPED if plan.notices else ()
    apart = planned_apart(plan, shards)[1]
    damage = {shard.index: DAMAGED for shard in apart if shard.damage}
    changed = {"run_id": "earlier", "plan_hash": digest, "notices": notices, "shard_count": len(apart)}
    earlier = dataclasses.replace(plan, text_hash=False, **changed)
    earlier_shards = [dataclasses.replace(shard, damage=damage.get(shard.index)) for shard in apart]
    write_plan(earlier, earlier_shards, "out")

    continued, same = resumed(plan, shards, "out")

    assert (earlier, earlier_shards) == (continued, list(same))
    write_plan(continued, same, "out")
    assert continued == resumed(plan, shards, "out")[0]
    assert (len(apart), apart.reviews) == (len(same), same.reviews)
    assert len(shards) <= len(same)


@pytest.mark.parametrize("limit", [None, 1, 7, 23, 40, 1_000])
def test_shards_iterated_again_are_the_same_and_their_reviews_add_up(
    limit: int | None, folder: Path, config: MakeConfig
) -> None:
    write_parquet(folder / "a.parquet", [3, 8])
    (folder / "b.jsonl").write_text('{"text": "a"}\n' * 11)
    (folder / "c.parquet").write_bytes(b"PAR1")
    for i in range(9):
        (folder / f"d{i}.txt").write_text("a")
    (folder / "e.csv").write_text("text\na\nb\nc\n")

    plan, shards = make_plan(config(folder, shard_rows=4, limit=limit), "model")

    assert list(shards) == list(shards)
    assert len(shards) == plan.shard_count == len(list(shards))
    assert min(limit or 34, 34) == plan.reviews == sum(shards.reviews)
    for shard, reviews in zip(shards, shards.reviews, strict=True):
        chunks = list(read(shard, plan.fields))
        damage = sum(rejection.offset is None for chunk in chunks for rejection in chunk.rejected)
        count = sum(len(chunk.texts) + len(chunk.rejected) for chunk in chunks) - damage
        assert abs(count - reviews) <= (shard.format == "jsonl" and limit is None)  # which is estimated from bytes
        assert len([*shard.damaged()]) == damage or limit is not None


@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_plan_of_more_files_takes_a_few_hundred_bytes_more_of_each(
    ending: str, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    def peak(files: int) -> int:
        """The most bytes in use, from the listing until the plan is written."""
        here = folder / f"{files}"
        here.mkdir()
        for i in range(files):
            (here / f"{i:04d}{ending}").write_text('{"text": "a"}\n')
        tracemalloc.start()
        try:
            plan, shards = make_plan(config(here), "model")
            write_plan(plan, shards, str(tmp_path / f"out-{files}"))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is imported and cached
    few, many = peak(1_500), peak(4_500)  # more than a piece of the plan in both
    assert (many - few) / 3_000 < 500


CHANGES: dict[str, dict[str, Any]] = {
    "--text-column was 'text' and is now 'id'": {"text_column": "id"},
    "--id-column was None and is now 'id'": {"id_column": "id"},
    "--keep was [] and is now [{'name': 'id', 'output_name': 'id', 'type': 'string'}]": {"kept": (Kept("id", "id"),)},
    "--max-text-bytes was 1000000 and is now 5000": {"max_text_bytes": 5_000},
    f"--top-k was {ScoringConfig.top_k} and is now 3": {"top_k": 3},
    "--sentences was None and is now True": {"sentences": True},
    "--spans was None and is now 5": {"spans": 5},
    "--precision was 'float32' and is now 'bfloat16'": {"precision": "bfloat16"},
    "--target-accuracy was None and is now 0.9": {"target_accuracy": 0.9},
    "--unusual was None and is now True": {"unusual": True},
    "--shard-rows was None and is now 1": {"shard_rows": 1},
    "--limit was None and is now 2": {"limit": 2},
    "excerpts (--no-excerpt) was True and is now False": {"excerpts": False},
}


@pytest.mark.parametrize("changed", [*CHANGES, "the model was 'model' and is now 'other'", "input"])
def test_plan_anything_changed_is_another_run_and_refused_by_name_on_resume(
    changed: str, reviews_file: Path, config: MakeConfig, tmp_path: Path
) -> None:
    earlier, shards = make_plan(config(reviews_file), "model")
    write_plan(earlier, shards, str(tmp_path / "out"))
    if changed == "input":
        os.utime(reviews_file, (1_000, 1_000))
        size = f"{reviews_file.stat().st_size:,} bytes in 1 file"
        changed = f"input {reviews_file} has changed: {size}; now with other names or times"

    now = make_plan(config(reviews_file, **CHANGES.get(changed, {})), "other" if "the model" in changed else "model")

    assert earlier.run_id != now[0].run_id
    with pytest.raises(OutputError) as refused:
        resumed(*now, str(tmp_path / "out"))
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
        resumed(*plans[1], str(tmp_path / "out"))


def test_plan_run_id_given_names_the_run_without_changing_its_hash(reviews_file: Path, config: MakeConfig) -> None:
    unnamed, _ = make_plan(config(reviews_file), "model")
    named, _ = make_plan(config(reviews_file, run_id="friday"), "model")

    assert dataclasses.replace(unnamed, run_id="friday") == named


def test_resumed_unchanged_keeps_the_earlier_run_id(reviews_file: Path, config: MakeConfig, tmp_path: Path) -> None:
    earlier, shards = make_plan(config(reviews_file, run_id="friday"), "model")
    write_plan(earlier, shards, str(tmp_path / "out"))

    assert earlier == resumed(*make_plan(config(reviews_file), "model"), str(tmp_path / "out"))[0]


@pytest.mark.parametrize("piece_bytes", [1, 500, 1 << 20])
@pytest.mark.parametrize("piece_shards", [1, 2, 5, 6, 7, 1_000])
def test_write_plan_in_pieces_is_read_back_in_order(
    piece_shards: int,
    piece_bytes: int,
    reviews_file: Path,
    config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan_files, "PIECE_SHARDS", piece_shards)
    monkeypatch.setattr(plan_files, "PIECE_BYTES", piece_bytes)
    plan, cut = make_plan(config(reviews_file, shard_rows=1), "model")
    output, shards = tmp_path / "out", list(cut)

    write_plan(plan, shards, str(output))

    assert shards == list(read_shards(str(output), plan.shard_count))
    assert shards == [shard_at(str(output), i) for i in range(len(shards))]
    document = json.loads((output / "plan.json").read_text())
    assert {**plan.to_json(), "pieces": document["pieces"]} == document
    assert document["pieces"] == sorted(f"plan/{path.name}" for path in (output / "plan").iterdir())


@pytest.mark.parametrize("damage", ["a line gone", "a line twice", "a piece gone"])
def test_read_shards_of_a_damaged_plan_never_gives_other_shards(
    damage: str, reviews_file: Path, config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_files, "PIECE_SHARDS", 2)
    plan, shards = make_plan(config(reviews_file, shard_rows=1), "model")
    write_plan(plan, shards, str(tmp_path))
    piece = tmp_path / "plan" / "00001.jsonl"
    lines = piece.read_text().splitlines(keepends=True)
    piece.write_text("".join(lines[1:] if damage == "a line gone" else [*lines[:1], *lines]))
    if damage == "a piece gone":
        piece.unlink()

    read_back = read_shards(str(tmp_path), plan.shard_count)

    assert list(shards)[:2] == [next(read_back), next(read_back)]
    with pytest.raises((OSError, ValueError)):
        list(islice(read_back, damage == "a line twice", None))


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
