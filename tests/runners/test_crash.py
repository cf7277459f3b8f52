"""Crash safety: one job an output, inputs that stay as they were, and a resumed run that trusts nothing unchecked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import pytest
from click.testing import CliRunner

from batch_scorer import storage
from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OutputError, PipelineError
from batch_scorer.formats.records import Shard
from batch_scorer.planning.plan import make_plan
from batch_scorer.runs.claim import claimed
from batch_scorer.runs.directory import begin
from batch_scorer.scoring import shard as shards
from tests.jobs import part_bytes, rows, score_here
from tests.processes import running

Config = Callable[..., ScoreConfig]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Sixty reviews, in a file of an earlier day."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": f"good film {i}"}) + "\n" for i in range(60)))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def test_second_job_on_an_output_is_refused_until_the_first_ends(source: Path, config: Config) -> None:
    job = config(source)
    with claimed(job.output.directory), pytest.raises(OutputError) as refused, claimed(job.output.directory):
        pass
    assert ("another job is writing to this output", job.output.directory) == (refused.value.what, refused.value.where)
    with claimed(job.output.directory):
        pass


def test_lock_of_a_killed_job_is_released(source: Path, config: Config) -> None:
    job = config(source)
    holds = (
        "import sys, threading\nfrom batch_scorer.runs.claim import claimed\n"
        "with claimed(sys.argv[1]):\n    print('held', flush=True)\n    threading.Event().wait()\n"
    )
    with running([sys.executable, "-c", holds, job.output.directory], stdout=PIPE) as other:
        assert other.stdout and b"held\n" == other.stdout.readline()
        with pytest.raises(OutputError, match="another job"), claimed(job.output.directory):
            pass
    with claimed(job.output.directory):
        pass


@pytest.mark.parametrize("more", [[], ["--resume"], ["--overwrite"]], ids=str)
def test_job_whose_output_another_one_holds_is_refused_and_changes_nothing(
    more: list[str], source: Path, config: Config, tiny_model: Path
) -> None:
    job = config(source)
    output = Path(job.output.directory)
    if more:
        score_here(job)
    with claimed(job.output.directory):
        before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
        words = ("score", source, "--output", output, "--model", tiny_model, "--workers", 1, *more)
        refused = CliRunner().invoke(main, [str(word) for word in words])
        assert before == {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert 2 == refused.exit_code
    assert refused.stderr.startswith("error: another job is writing to this output")


CHANGES: dict[str, Callable[[Path], object]] = {
    "no such file": lambda path: path.unlink(),
    "0 bytes": lambda path: os.truncate(path, 0),
    "1 bytes": lambda path: path.write_text("\n"),
    "1,490 bytes, of 2023-11-14 22:13:21": lambda path: os.utime(path, (1_700_000_001, 1_700_000_001)),
}


@pytest.mark.parametrize("got", CHANGES)
def test_input_that_changes_while_it_is_read_fails_the_job_and_put_back_it_is_resumed_to_the_same_bytes(
    got: str, source: Path, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = config(source, run_id="r", shard_rows=20, output=str(tmp_path / "undisturbed"))
    score_here(undisturbed)
    job, before, score_chunk = config(source, run_id="r", shard_rows=20), source.read_bytes(), shards.score_chunk

    def changes_the_input(*args: object) -> object:
        CHANGES[got](source)
        return score_chunk(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "score_chunk", changes_the_input)
    with pytest.raises(PipelineError) as failed:
        score_here(job)
    monkeypatch.undo()
    said = str(failed.value)
    assert f"the job failed: an input has changed since the job was planned\n  where:    {source}\n" in said
    assert "  expected: 1,490 bytes, of 2023-11-14 22:13:20.000000 UTC\n" in said and f"\n  got:      {got}" in said
    assert "then run the same command with --resume" in said
    assert not Path(job.output.directory, "_SUCCESS").exists() and {} == part_bytes(job.output.directory)

    source.write_bytes(before)
    os.utime(source, (1_700_000_000, 1_700_000_000))
    score_here(config(source, run_id="r", shard_rows=20, resume=True))
    assert part_bytes(undisturbed.output.directory) == part_bytes(job.output.directory)


def test_one_file_of_a_group_that_changes_is_named(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text("good film")
    _, (shard,) = make_plan(config(folder), "m")
    assert shard == Shard.from_json(shard.to_json()) and 3 == len(shard.stamps)
    shards._refuse_changed(shard)
    (folder / "b.txt").write_text("bad film")
    with pytest.raises(Exception, match=r"where: .*/in/b\.txt"):
        shards._refuse_changed(shard)


def test_file_that_could_not_be_read_for_a_while_is_read_on_resume(
    source: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, open_read = config(source, shard_rows=20), storage.open_read

    def fails(path: str, beat: storage.Beat | None = None) -> object:
        if path == str(source) and beat:
            raise OSError(5, "Input/output error")
        return open_read(path, beat)

    monkeypatch.setattr(storage, "open_read", fails)
    counts = score_here(job)["counts"]
    assert (0, 3) == (counts["read"], counts["unreadable"])
    monkeypatch.undo()
    assert {"read": 60, "scored": 60, "rejected": 0, "unreadable": 0, "empty": 0} == score_here(
        config(source, shard_rows=20, resume=True)
    )["counts"]


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def replace(path: Path, old: str, new: str) -> None:
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


# What may happen to the part and the marker of a shard while nobody looks.
DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "bit of the part": lambda part, marker: part.write_bytes(part.read_bytes()[:-1] + b"x"),
    "part cut": lambda part, marker: cut(part, 100),
    "part gone": lambda part, marker: part.unlink(),
    "marker cut": lambda part, marker: cut(marker, marker.stat().st_size - 9),
    "marker empty": lambda part, marker: cut(marker, 0),
    "marker of another run": lambda part, marker: replace(marker, '"run_id": "r"', '"run_id": "s"'),
    "figure in the marker": lambda part, marker: replace(marker, '"rows": 6', '"rows": 7'),
}


def test_resume_keeps_finished_shards_and_repeats_damaged_ones(source: Path, config: Config) -> None:
    job = config(source, shard_rows=6, run_id="r")
    score_here(job)
    output, whole = Path(job.output.directory), part_bytes(job.output.directory)
    parts = [output / f"predictions/part-{i:05d}.parquet" for i in range(10)]
    for i, damage in enumerate(DAMAGES.values()):
        damage(parts[i], output / f"shards/{i:05d}.json")
    cut(output / "plan/00000.jsonl", 100)
    before = [path.stat().st_ino if path.exists() else None for path in parts]
    score_here(config(source, shard_rows=6, run_id="r", resume=True))
    assert whole == part_bytes(job.output.directory)
    kept = [old == path.stat().st_ino for old, path in zip(before, parts, strict=True)]
    assert [False] * len(DAMAGES) + [True] * (10 - len(DAMAGES)) == kept
    assert 60 == len(rows(job.output.directory))


def test_resume_deletes_what_a_crash_left_half_written_and_nothing_else(source: Path, config: Config) -> None:
    job = config(source, shard_rows=10, run_id="r")
    score_here(job)
    output, whole = Path(job.output.directory), part_bytes(job.output.directory)
    left = [".plan.json.7.draft", "plan/.00000.jsonl.7.draft", "shards/.00003.json.7.draft", ".staging/00003-x/errors"]
    for name in (*left, "predictions/mine.txt", "notes.txt"):
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text("left over")
    score_here(config(source, shard_rows=10, run_id="r", resume=True))
    found = {str(path.relative_to(output)) for path in output.rglob("*")}
    assert set() == found & {*left, ".staging"}
    assert {"predictions/mine.txt", "notes.txt"} <= found
    assert whole == part_bytes(output)


def test_overwrite_deletes_what_the_contract_names_and_no_neighbour(source: Path, config: Config) -> None:
    score_here(config(source, shard_rows=10, run_id="r"))
    job = config(source, overwrite=True)
    output = Path(job.output.directory)
    foreign = (
        *("predictions/mine.parquet", "predictions/part-00000-of-9.parquet", "errors/part-1.parquet", "shards/a.json"),
        *("plan/old.jsonl", "manifest.json.bak", "_SUCCESS.txt", "predictions/part-00000.parquet.crc"),
    )
    for name in foreign:
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("mine")
    begin(job.output, make_plan(job, "model")[0])
    assert {*foreign, "plan.json"} == {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}


def test_disk_that_is_full_while_a_marker_is_written_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.publish_bytes(b"{}", str(tmp_path / "00000.json"))
    assert [] == list(tmp_path.iterdir())


def test_resumed_command_is_shown_as_it_can_be_run() -> None:
    command = ("/usr/bin/batch-scorer", "score", "my file.jsonl", "--output", "out", "--overwrite", "--", "--runner=X")
    hint = ScoreConfig.of(("my file.jsonl",), "out", command=command, overwrite=True).how_to_resume()
    assert "run `batch-scorer score 'my file.jsonl' --output out --resume -- --runner=X`: finished work is kept" == hint
    many = (*command[:2], *(f"reviews-{i}.jsonl" for i in range(100)), *command[3:5])
    assert (
        "run the same command with --resume: finished work is kept"
        == ScoreConfig.of((), "", command=many).how_to_resume()
    )
