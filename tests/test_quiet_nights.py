"""Runs that have nothing to score: which of them succeed, what they leave, and whether everybody can read it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer import open_run
from batch_scorer.api.job_options import config_of
from batch_scorer.cli.main import main
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError, OutputError
from batch_scorer.events import Event
from batch_scorer.runners.job import run_job
from batch_scorer.schema import COLUMNS
from tests.finished_runs import Original
from tests.jobs import part_bytes, rows, score_here

MakeConfig = Callable[..., ScoreConfig]


def write_nothing(folder: Path, kind: str) -> Path:
    """Makes an input of some kind that has nothing to score, and returns it."""
    contents = {
        "header.csv": b"text,stars\n",
        "zero.jsonl": b"",
        "blank lines.jsonl": b"\n\n\n",
        "zero.csv": b"",
        "header.csv.gz": gzip.compress(b"text,stars\n"),
        "array.json": b"[]",
    }
    path = folder / kind
    if kind in contents:
        path.write_bytes(contents[kind])
    elif kind == "no rows.parquet":
        pq.write_table(pa.table({"text": pa.array([], pa.string()), "stars": pa.array([], pa.int32())}), path)
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "folder of others":
        path.mkdir()
        (path / "README.md").write_text("of no format")
    return path


NOTHING = {  # an input -> what is said of it where it is allowed
    "*.jsonl": "no file matches",
    "mising/*.jsonl": "no such directory as ",
    "mising.jsonl": "no such file or directory",
    "empty folder": "no file in it has a known format",
    "folder of others": "skipped 1 .md file",
}
ALL_COLUMNS = [*COLUMNS[:-2], "text_hash", *COLUMNS[-2:]]
NO_RECORDS = ("header.csv", "header.csv.gz", "zero.jsonl", "blank lines.jsonl", "zero.csv", "array.json",
              "no rows.parquet")  # fmt: skip


@pytest.mark.parametrize("kind", NOTHING)
def test_input_that_matches_nothing_is_refused_or_allowed_and_named(
    kind: str, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    path = write_nothing(folder, kind)
    with pytest.raises(InputError, match="no input file matches"):
        score_here(config(path))
    assert not (tmp_path / "out").exists()

    events: list[Event] = []
    result = run_job(config(path, allow_empty=True), events.append)

    assert result is not None and result.is_success and (tmp_path / "out/_SUCCESS").exists()
    notices = [event.message for event in events if event.name == "notice"]
    assert any(NOTHING[kind] in notice and str(path) in notice for notice in notices)
    assert "nothing was scored: the inputs have no records" == notices[-1] == result.manifest["notices"][-1]
    finished = next(event for event in events if event.name == "finished")
    assert (0, True, None) == tuple(finished.fields[name] for name in ("files", "success", "positive"))
    assert "0 reviews scored" in finished.message


@pytest.mark.parametrize("kind", NO_RECORDS)
def test_files_without_records_leave_one_part_that_has_the_columns(
    kind: str, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    path = write_nothing(folder, kind)

    manifest = score_here(config(path, allow_empty=True))

    assert ["predictions/part-00000.parquet"] == [part["path"] for part in manifest["parts"]]
    part = pq.read_table(tmp_path / "out/predictions/part-00000.parquet")
    assert (0, ALL_COLUMNS) == (part.num_rows, part.schema.names)
    assert (tmp_path / "out/_SUCCESS").exists()


@pytest.mark.parametrize(("kind", "stars"), [("zero.jsonl", pa.null()), ("header.csv", pa.string()),
                                             ("no rows.parquet", pa.int32()), ("*.csv", pa.null())])  # fmt: skip
def test_kept_column_of_no_records_has_the_type_that_its_file_shows_or_none(
    kind: str, stars: pa.DataType, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    score_here(config(write_nothing(folder, kind), allow_empty=True, kept=(Kept("stars", "points"),)))

    assert stars == pq.read_schema(tmp_path / "out/predictions/part-00000.parquet").field("points").type


def test_part_without_rows_is_what_the_rows_of_another_night_fit_to(
    folder: Path, config: MakeConfig, reviews_file: Path, tmp_path: Path
) -> None:
    score_here(config(folder, allow_empty=True, output=str(tmp_path / "quiet")))
    score_here(config(reviews_file, output=str(tmp_path / "busy")))

    quiet, busy = (pq.read_schema(tmp_path / name / "predictions/part-00000.parquet") for name in ("quiet", "busy"))
    assert quiet.equals(busy)
    assert {*quiet.metadata} == {*busy.metadata}
    glob = str(tmp_path / "*/predictions/*.parquet")
    assert [(6,)] == duckdb.sql(f"select count(*) from read_parquet('{glob}')").fetchall()


@pytest.mark.parametrize(("options", "code"), [((), 3), (("--allow-empty",), 0), (("--max-error-rate", "1"), 0)])
def test_records_without_text_succeed_where_that_is_allowed(
    options: tuple[str, ...], code: int, jsonl_file: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    source = jsonl_file({"text": " "}, {"text": None}, {"text": "..."})

    done = command("score", source, "--output", tmp_path / "out", "--model", tiny_model, *options)

    assert code == done.exit_code, done.output
    assert "nothing was scored: 3 of 3 records had no text, or none with words" in done.output
    assert (code == 0) == (tmp_path / "out/_SUCCESS").exists()
    assert (3, 0) == (len(rows(tmp_path / "out", "errors")), len(rows(tmp_path / "out")))
    if code:
        (accept,) = (line.strip() for line in done.output.splitlines() if line.endswith("--resume --allow-empty"))
        assert "accept that nothing is scored" in done.output and accept.startswith("batch-scorer ")
        again = command("score", source, "--output", tmp_path / "out", "--model", tiny_model, *accept.split()[-2:])
        assert 0 == again.exit_code, again.output


@pytest.mark.parametrize("name", ["malformed.jsonl", "damaged.parquet"])
def test_faults_are_no_quiet_night(name: str, folder: Path, config: MakeConfig, tmp_path: Path) -> None:
    (folder / name).write_bytes(b'{"text": "a film"\n')

    assert score_here(config(folder, allow_empty=True))["not_a_success"]
    assert not (tmp_path / "out/_SUCCESS").exists()


def test_input_that_matches_nothing_does_not_hide_the_others(
    reviews_file: Path, folder: Path, config: MakeConfig
) -> None:
    manifest = score_here(config(folder / "*.csv", reviews_file, allow_empty=True))

    assert (6, [f"{folder}/*.csv: no file matches, so nothing of it is scored"]) == (
        manifest["counts"]["scored"],
        manifest["notices"],
    )


def test_quiet_run_resumes_to_the_same_bytes_and_not_once_there_are_files(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    job = config(folder, allow_empty=True)
    score_here(job)
    before = part_bytes(tmp_path / "out")
    (tmp_path / "out/_SUCCESS").unlink()
    (tmp_path / "out/predictions/part-00000.parquet").write_bytes(b"damaged")

    manifest = score_here(job.with_options(resume=True))
    assert (before, None) == (part_bytes(tmp_path / "out"), manifest["not_a_success"])
    assert (tmp_path / "out/_SUCCESS").exists()

    (folder / "a.csv").write_text("text\na good film\n")
    with pytest.raises(OutputError, match="would not be the same run"):
        score_here(job.with_options(resume=True))
    assert (1, None) == (score_here(job.with_options(overwrite=True))["counts"]["scored"], None)


def test_part_without_rows_makes_room_for_what_is_scored_once_a_file_is_repaired(
    folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    (folder / "a.csv").write_text("text\n \n")
    (folder / "b.parquet").write_bytes(b"damaged")
    job = config(folder, shard_rows=1)
    assert ["predictions/part-00000.parquet"] == [part["path"] for part in score_here(job)["parts"]][-1:]

    pq.write_table(pa.table({"text": ["a good film"]}), folder / "b.parquet")
    score_here(job.with_options(resume=True, max_error_rate=1))

    parts = sorted(path.name for path in (tmp_path / "out/predictions").iterdir())
    assert (1, 1) == (len(rows(tmp_path / "out")), len(parts))


def command(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def quiet(folder: Path, config: MakeConfig, tmp_path: Path) -> Path:
    """The output of a run whose input matched nothing."""
    score_here(config(folder / "*.jsonl", allow_empty=True))
    return tmp_path / "out"


def test_quiet_run_can_be_inspected_and_queried(quiet: Path) -> None:
    shown = command("inspect", quiet)
    assert (0, True) == (shown.exit_code, "no file matches" in shown.output), shown.output
    assert "positive" not in shown.output and " report " not in shown.output

    script = command("sql", quiet)
    assert 0 == script.exit_code, script.output
    database = duckdb.connect()
    database.execute(script.output)
    for view in ("predictions", "tokens", "errors"):
        assert [(0,)] == database.sql(f"select count(*) from {view}").fetchall()
    assert [(0, True)] == database.sql("select scored, complete from runs").fetchall()


def test_quiet_run_opens_in_python_with_its_columns(quiet: Path) -> None:
    run = open_run(quiet)

    assert run.complete
    assert (0, ALL_COLUMNS) == (run.predictions().num_rows, run.predictions().schema.names)
    assert (0, [], 0) == (run.errors().num_rows, list(run.batches()), run.predictions(["logit"]).num_rows)


def test_report_on_a_quiet_run_has_no_share_of_nothing(quiet: Path, original: Original) -> None:
    done = command("report", quiet, "--reference", original.output)

    assert (0, True) == (done.exit_code, "No review was scored" in done.output), done.output
    page = (quiet / "report.html").read_text()
    assert "<dt>Positive</dt>" not in page and "<dt>Unknown words</dt>" not in page


def test_quiet_run_is_not_compared_and_says_why(quiet: Path, original: Original) -> None:
    done = command("compare", original.output, quiet)

    assert (2, True) == (done.exit_code, "the run has no scored reviews" in done.output)


def test_dry_run_of_nothing_plans_nothing(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("score", folder, "--output", tmp_path / "out", "--model", tiny_model, "--dry-run")
    assert 2 == command(*words).exit_code
    done = command(*words, "--allow-empty")
    assert (0, False) == (done.exit_code, (tmp_path / "out").exists()), done.output
    assert "would score 0 reviews in 0 shards" in done.output


def test_job_from_python_takes_the_option(folder: Path, tmp_path: Path) -> None:
    assert config_of(folder, tmp_path, {"keep": (), "allow_empty": True}).job.allow_empty


@pytest.mark.usefixtures("through_beam")
def test_quiet_night_ends_well_through_beam(folder: Path, config: MakeConfig, tmp_path: Path) -> None:
    manifest: dict[str, Any] = score_here(config(folder, allow_empty=True))
    assert manifest == json.loads((tmp_path / "out/manifest.json").read_text())
    assert (tmp_path / "out/_SUCCESS").exists()
