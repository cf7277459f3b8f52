"""Runs that go on after something was repaired, and runs that were to be overwritten and could not be."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import JobError, OutputError, ScorerError
from batch_scorer.runs import plan_files
from tests.jobs import part_bytes, rows, score_here

Config = Callable[..., ScoreConfig]


def files(output: Path) -> set[str]:
    return {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}


def parquet(path: Path, texts: list[str], **options: object) -> bytes:
    pq.write_table(pa.table({"text": texts}), path, **options)
    return path.read_bytes()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_part_of_an_earlier_attempt_is_gone_once_the_input_can_be_read(
    tmp_path: Path, config: Config, output: Path
) -> None:
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress(b'{"text": "good"}\n' * 3_000, mtime=0)
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    os.utime(path, (1_000, 1_000))
    job = config(path, run_id="r")
    assert 1 == score_here(job)["counts"]["unreadable"]
    assert "errors/part-00000.parquet" in files(output)

    path.write_bytes(whole)
    os.utime(path, (1_000, 1_000))
    manifest = score_here(job.with_options(resume=True))

    assert {"read": 3_000, "scored": 3_000, "rejected": 0, "unreadable": 0}.items() <= manifest["counts"].items()
    undisturbed = config(path, run_id="r", output=str(tmp_path / "undisturbed"))
    score_here(undisturbed)
    assert files(tmp_path / "undisturbed") == files(output)
    assert part_bytes(tmp_path / "undisturbed") == part_bytes(output)


def test_strays_that_are_not_ours_stay(jsonl_file: Callable[..., Path], config: Config, output: Path) -> None:
    job = config(jsonl_file({"text": "good"}, {"text": "bad"}))
    score_here(job)
    for name in ("errors/part-00000.parquet", "predictions/part-00009.parquet", "shards/00009.json", "errors/mine"):
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("{}")

    score_here(job.with_options(resume=True))

    assert {"errors/mine", "predictions/part-00000.parquet", "shards/00000.json"} == {
        name for name in files(output) if "/" in name and not name.startswith("plan/")
    }


def test_resume_under_another_name_is_refused_by_that_name(reviews_file: Path, config: Config, output: Path) -> None:
    score_here(config(reviews_file, run_id="one"))
    (output / "_SUCCESS").unlink()

    with pytest.raises(OutputError) as refused:
        score_here(config(reviews_file, run_id="two", resume=True))

    assert "--run-id was 'one' and is now 'two'" == refused.value.got
    for same in ({}, {"run_id": "one"}):
        assert "one" == score_here(config(reviews_file, resume=True, **same))["run_id"]


def test_resume_with_another_format_is_refused_by_that_option(reviews_file: Path, config: Config) -> None:
    score_here(config(reviews_file))

    with pytest.raises(OutputError) as refused:
        score_here(config(reviews_file, input_format="lines", resume=True))

    assert f"the format of {reviews_file} (--input-format) was jsonl and is now lines" in str(refused.value.got)


@pytest.mark.parametrize(
    ("texts", "options", "same_date"),
    [
        (["good"] * 5, {}, True),  # one shard before, one now
        (["good"] * 5, {"row_group_size": 2}, True),  # one before, three now
        (["good"] * 50, {}, False),  # and the file was cut short before
    ],
)
@pytest.mark.parametrize("shard_rows", [5, 1_000])  # each file in shards of its own, or both in one
@pytest.mark.parametrize("where", ["first", "last"])
def test_file_that_could_not_be_read_is_repaired_and_the_run_goes_on_to_the_same_rows(
    texts: list[str], options: dict[str, object], same_date: bool, shard_rows: int, where: str, tmp_path: Path,
    config: Config, output: Path,
) -> None:  # fmt: skip
    other, broken = (
        tmp_path / name for name in (("b.parquet", "a.parquet") if where == "first" else ("a.parquet", "b.parquet"))
    )
    parquet(other, ["a bad film", "a good film"] * 3)  # more than fit into a shard of five
    whole = parquet(broken, texts, **options)
    broken.write_bytes(whole[:-8] + b"damaged!" if same_date else whole[:40])
    os.utime(broken, (1_000, 1_000))
    job = config(tmp_path / "a.parquet", tmp_path / "b.parquet", run_id="r", shard_rows=shard_rows)
    assert 1 == score_here(job)["counts"]["unreadable"]
    marker = output / "shards" / ("00001.json" if where == "first" and shard_rows == 5 else "00000.json")
    before = marker.stat().st_mtime_ns

    broken.write_bytes(whole)
    os.utime(broken, (1_000, 1_000) if same_date else (2_000, 2_000))
    resumed = job.with_options(resume=True)
    manifest = score_here(resumed)

    assert {"read": len(texts) + 6, "unreadable": 0}.items() <= manifest["counts"].items()
    if same_date and not options and shard_rows == 5:
        assert before == marker.stat().st_mtime_ns  # what was done is kept
    undisturbed = job.with_options(output=str(tmp_path / "undisturbed"))
    score_here(undisturbed)
    assert files(tmp_path / "undisturbed") == files(output)
    assert part_bytes(tmp_path / "undisturbed") == part_bytes(output)
    assert manifest["counts"] == score_here(resumed)["counts"]  # and once more


def test_repaired_file_whose_kept_column_changes_the_type_is_scored_with_the_rest(
    tmp_path: Path, config: Config, output: Path
) -> None:
    pq.write_table(pa.table({"text": ["good"], "n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["bad"], "n": [1.5]}), tmp_path / "b.parquet")
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:50])
    job = config(tmp_path / "a.parquet", tmp_path / "b.parquet", kept=(Kept("n", "n"),))
    score_here(job)

    (tmp_path / "b.parquet").write_bytes(whole)
    score_here(job.with_options(resume=True))

    assert [1.0, 1.5] == [row["n"] for row in rows(output)]


@pytest.mark.parametrize("change", ["another file", "now damaged", "another option"])
def test_change_beside_a_repaired_file_is_refused_by_name(change: str, tmp_path: Path, config: Config) -> None:
    good = parquet(tmp_path / "a.parquet", ["good"])
    whole = parquet(tmp_path / "b.parquet", ["bad"])
    (tmp_path / "b.parquet").write_bytes(whole[:50])
    job = config(tmp_path / "a.parquet", tmp_path / "b.parquet")
    score_here(job)
    (tmp_path / "b.parquet").write_bytes(whole)
    if change == "another file":
        os.utime(tmp_path / "a.parquet", (1_000, 1_000))
    elif change == "now damaged":
        date = (tmp_path / "a.parquet").stat().st_mtime_ns
        (tmp_path / "a.parquet").write_bytes(bytes(len(good)))
        os.utime(tmp_path / "a.parquet", ns=(date, date))
        shutil.copy(tmp_path / "b.parquet", tmp_path / "c.parquet")

    with pytest.raises(OutputError) as refused:
        score_here(job.with_options(resume=True, **({"top_k": 3} if change == "another option" else {})))

    assert "another version" not in str(refused.value.got)
    said = {
        "another file": "a.parquet has changed",
        "now damaged": "a.parquet can no longer be read",
        "another option": "--top-k",
    }
    assert said[change] in str(refused.value.got)


@contextmanager
def no_file_may_be_written() -> Iterator[None]:
    """Every byte that is written to a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_overwrite_on_a_full_disk_leaves_the_earlier_run_and_goes_on_once_there_is_room(
    reviews_file: Path, config: Config, output: Path
) -> None:
    score_here(config(reviews_file, run_id="r"))
    (output / "notes.txt").write_text("mine")
    before, parts = files(output), part_bytes(output)

    for changes in ({}, {"top_k": 3}):
        with no_file_may_be_written(), pytest.raises(OutputError, match="cannot be written"):
            score_here(config(reviews_file, overwrite=True, **changes))
        assert (before, parts) == (files(output), part_bytes(output))

    assert 3 == score_here(config(reviews_file, overwrite=True, top_k=3))["top_k"]
    assert "mine" == (output / "notes.txt").read_text()


@pytest.mark.parametrize("after", ["pieces", "deletion"])
def test_overwrite_that_fails_after_it_has_deleted_is_a_failed_job_that_may_be_run_again(
    after: str, reviews_file: Path, config: Config, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_here(config(reviews_file))
    write_plan = plan_files.write_plan

    def fails(*args: object) -> None:
        if after == "pieces":
            write_plan(args[0], args[1], str(output))  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    job = config(reviews_file, overwrite=True, top_k=3)
    with monkeypatch.context() as patch:
        patch.setattr(plan_files, "write_plan", fails)
        with pytest.raises(JobError, match="after the earlier run was deleted") as failed:
            score_here(job)
    assert 1 == failed.value.exit_code
    assert not (output / "manifest.json").exists()

    assert 3 == score_here(job)["top_k"]


def test_first_run_on_a_full_disk_leaves_an_output_that_any_run_may_use(
    reviews_file: Path, config: Config, output: Path
) -> None:
    for changes in ({}, {"resume": True}, {"overwrite": True}):
        with no_file_may_be_written(), pytest.raises(ScorerError, match="cannot be written"):
            score_here(config(reviews_file, **changes))
    assert set() == files(output)
    (output / "plan").mkdir(exist_ok=True)
    (output / "plan" / "00000.jsonl").write_text("")  # of a run that was killed

    with pytest.raises(OutputError, match="not empty"):
        score_here(config(reviews_file))
    assert 6 == score_here(config(reviews_file, overwrite=True))["counts"]["read"]


def test_file_called_star_hides_no_file_of_a_run(reviews_file: Path, config: Config, output: Path) -> None:
    score_here(config(reviews_file, shard_rows=2))
    for name in ("*", "predictions/*", "shards/*.json", "shards/*", "plan/*", ".*.draft"):
        (output / name).write_text("mine")

    manifest = score_here(config(reviews_file, overwrite=True))

    assert 1 == len(manifest["parts"])
    assert {"shards/00000.json", "shards/*.json", "shards/*"} == {n for n in files(output) if n.startswith("shards/")}
    assert manifest == json.loads((output / "manifest.json").read_text())


def test_page_that_does_not_fit_its_checksum_is_unreadable(tmp_path: Path, config: Config, output: Path) -> None:
    texts = [f"good film{i}" for i in range(5_000)]
    for version in ("1.0", "2.0"):
        path = tmp_path / f"{version}.parquet"
        whole = parquet(
            path, texts, write_page_checksum=True, compression="none", use_dictionary=False, write_statistics=False,
            data_page_version=version,
        )  # fmt: skip
        job = config(path, output=str(tmp_path / f"whole-{version}"), shard_rows=5_000)
        assert {"read": 5_000, "unreadable": 0}.items() <= score_here(job)["counts"].items()
        path.write_bytes(whole.replace(b"good film77", b"evil film77", 1))

        manifest = score_here(job.with_options(output=str(output), overwrite=output.exists()))

        assert 1 == manifest["counts"]["unreadable"]
        assert "CRC" in rows(output, "errors")[-1]["message"]
