"""The output directory: what may be overwritten, and what is deleted to make room."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OutputError
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.planning.shards import Shards
from batch_scorer.runs.directory import REPORT_MARK, begin, finish, prepare
from batch_scorer.runs.layout import REPORT
from batch_scorer.runs.plan_files import write_plan

MakeConfig = Callable[..., ScoreConfig]
Planned = tuple[Plan, Shards]
PARTS = (
    "_SUCCESS",
    "manifest.json",
    "shards/00000.json",
    "predictions/part-00000.parquet",
    "errors/part-00000.parquet",
    ".staging/00001-abc/predictions",
)
FOREIGN = ("notes.txt", "plans/mine.json", "shards.bak")


def put(output: Path, *names: str, text: str = "") -> None:
    """Files with these names."""
    for name in names:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(text)


def names(output: Path) -> set[str]:
    """Every file below `output`."""
    return {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where `config` puts the output; nothing is there yet."""
    return tmp_path / "out"


@pytest.fixture
def planned(config: MakeConfig, reviews_file: Path) -> Planned:
    """A plan for `reviews_file`, and its shards."""
    return make_plan(config(reviews_file, run_id="now"), "model")


@pytest.fixture
def earlier(config: MakeConfig, reviews_file: Path, output: Path) -> Plan:
    """The same plan, written to the output, with the files of a run and some that are not ours."""
    plan, shards = make_plan(config(reviews_file, run_id="earlier"), "model")
    write_plan(plan, shards, str(output))
    put(output, *PARTS, *FOREIGN)
    return plan


@pytest.mark.parametrize("changes", [{}, {"resume": True}, {"overwrite": True}], ids=str)
@pytest.mark.parametrize("there", [False, True], ids=["absent", "empty"])
def test_prepare_without_an_earlier_run_starts(
    there: bool, changes: dict[str, bool], config: MakeConfig, planned: Planned, output: Path
) -> None:
    if there:
        output.mkdir()

    assert planned == prepare(config(**changes).output, *planned)
    if not changes.get("overwrite"):  # which tries whether it can write
        begin(config(**changes).output, planned[0])
        assert there == output.exists()


def test_prepare_on_an_earlier_run_is_refused_with_the_ways_out(
    config: MakeConfig, planned: Planned, earlier: Plan, output: Path
) -> None:
    before = names(output)

    with pytest.raises(OutputError, match="the output directory is not empty") as refused:
        prepare(config().output, *planned)

    assert (str(output), "an earlier run") == (refused.value.where, refused.value.got)
    assert "--resume" in (refused.value.fix or "") and "--overwrite" in (refused.value.fix or "")
    assert before == names(output)


def test_prepare_resume_of_the_same_run_keeps_its_id(config: MakeConfig, planned: Planned, earlier: Plan) -> None:
    assert "now" == planned[0].run_id
    assert (earlier, planned[1]) == prepare(config(resume=True).output, *planned)


def test_prepare_resume_of_another_run_is_refused(config: MakeConfig, earlier: Plan, reviews_file: Path) -> None:
    another = make_plan(config(reviews_file, top_k=3), "model")

    with pytest.raises(OutputError, match="cannot be resumed"):
        prepare(config(resume=True).output, *another)


@pytest.mark.parametrize("changes", [{}, {"resume": True}, {"overwrite": True}], ids=str)
@pytest.mark.parametrize(
    ("foreign", "text"),
    [
        ("notes.txt", ""),
        (".hidden", ""),
        ("predictions/part-00000.parquet", ""),
        ("manifest.json", '{"run_id": "x"}'),
        ("plan.json", '{"format_version": "1.2", "planned_values": {}}'),
        ("plan.json", "[]"),
        ("plan.json", "not JSON"),
    ],
)
def test_prepare_without_a_plan_of_ours_is_refused_whatever_is_asked(
    foreign: str, text: str, changes: dict[str, bool], config: MakeConfig, planned: Planned, output: Path
) -> None:
    put(output, foreign, text=text)

    with pytest.raises(OutputError, match="the output directory is not empty") as refused:
        prepare(config(**changes).output, *planned)

    assert "files that are not a run of batch-scorer" == refused.value.got
    assert "choose another --output" == refused.value.fix  # and nothing that would delete them
    assert {foreign} == names(output)


def test_prepare_resume_after_a_crash_between_the_pieces_and_the_plan_starts(
    config: MakeConfig, planned: Planned, output: Path
) -> None:
    put(output, "plan/00000.jsonl")

    assert planned == prepare(config(resume=True).output, *planned)
    with pytest.raises(OutputError, match="not empty"):
        prepare(config().output, *planned)


@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_prepare_output_that_is_not_a_directory_is_refused(
    kind: str, config: MakeConfig, planned: Planned, output: Path
) -> None:
    if kind == "file":
        output.write_text("a")
    else:
        output.symlink_to(output.parent / "nowhere")

    with pytest.raises(OutputError, match="the output is not a directory"):
        prepare(config().output, *planned)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_prepare_output_that_cannot_be_created_is_refused(config: MakeConfig, planned: Planned, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)

    with pytest.raises(OutputError, match="cannot be created"):
        prepare(config(output=str(closed / "new" / "out")), *planned)


def test_begin_overwrite_deletes_what_is_ours_and_nothing_else(
    config: MakeConfig, planned: Planned, earlier: Plan, output: Path
) -> None:
    settings = config(overwrite=True)

    assert planned == prepare(settings.output, *planned)
    begin(settings.output, planned[0])

    # The plan shows that the directory is ours, until another one takes its place.
    assert {*FOREIGN, "plan.json"} == names(output)
    assert {"notes.txt", "plan.json", "plans", "shards.bak"} == set(os.listdir(output))


@pytest.mark.parametrize("page", ["report", "other", "pipe", "folder"])
def test_begin_overwrite_deletes_the_report_of_the_earlier_run_but_no_page_of_others(
    page: str, config: MakeConfig, earlier: Plan, output: Path
) -> None:
    place = output / REPORT
    if page == "pipe":
        os.mkfifo(place)
    elif page == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"<!doctype html><head>" + (REPORT_MARK if page == "report" else b""))

    begin(config(overwrite=True).output, earlier)

    assert (page != "report") == os.path.lexists(place)


def test_begin_overwrite_of_a_linked_folder_leaves_what_it_points_to(
    config: MakeConfig, earlier: Plan, output: Path, tmp_path: Path
) -> None:
    (output / "predictions").rename(tmp_path / "elsewhere")
    (output / "predictions").symlink_to(tmp_path / "elsewhere")

    begin(config(overwrite=True).output, earlier)

    assert not os.path.lexists(output / "predictions")
    assert {"part-00000.parquet"} == names(tmp_path / "elsewhere")


def test_begin_resume_deletes_only_what_says_the_run_is_done_or_was_half_written(
    config: MakeConfig, earlier: Plan, output: Path
) -> None:
    before = names(output)

    begin(config(resume=True).output, earlier)

    assert before - {"_SUCCESS", "manifest.json", ".staging/00001-abc/predictions"} == names(output)


def test_begin_without_either_deletes_nothing(config: MakeConfig, earlier: Plan, output: Path) -> None:
    before = names(output)

    begin(config().output, earlier)

    assert before == names(output)


def test_finish_removes_the_staging_folder_only(config: MakeConfig, earlier: Plan, output: Path) -> None:
    before = names(output)

    finish(config().output.directory)

    assert before - {".staging/00001-abc/predictions"} == names(output)
    assert not (output / ".staging").exists()


def test_prepare_and_begin_resume_after_a_crash_in_the_middle_of_a_file_clear_it(
    config: MakeConfig, planned: Planned, output: Path
) -> None:
    job = config(resume=True)
    put(output, ".plan.json.7.draft", "plan/.00000.jsonl.7.draft")
    assert planned == prepare(job.output, *planned)
    put(output, "shards/.00000.json.7.draft")
    begin(job.output, planned[0])
    assert set() == names(output)


def test_end_of_a_run_deletes_drafts_of_dead_workers_once_it_is_complete(tmp_path: Path) -> None:
    drafts = [tmp_path / "shards/.00003.json.17.draft", tmp_path / ".manifest.json.17.draft"]
    (tmp_path / "shards").mkdir()
    for draft in drafts:
        draft.write_text("{")
    finish(str(tmp_path))
    assert all(draft.exists() for draft in drafts)
    (tmp_path / "_SUCCESS").touch()
    finish(str(tmp_path))
    assert [tmp_path / "_SUCCESS", tmp_path / "shards"] == sorted(tmp_path.rglob("*"))
