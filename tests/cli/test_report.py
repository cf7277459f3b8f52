"""`batch-scorer report`: the file that it writes, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer.cli.main import main
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.storage.stores import client
from tests.conftest import REVIEWS
from tests.jobs import score_here
from tests.made_runs import write_run
from tests.stubs import gcs


@pytest.fixture(scope="module")
def scored(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `reviews.jsonl`, one record of which is rejected, and the run `out` of it."""
    folder = tmp_path_factory.mktemp("scored")
    path = folder / "reviews.jsonl"
    records = [{"id": i, "text": text, "good": int("good" in text)} for i, text in REVIEWS]
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "{}\n")
    options: dict[str, Any] = {"id_column": "id", "kept": (Kept("good", "good"),), "max_error_rate": 1.0}
    score_here(ScoreConfig.of((str(path),), str(folder / "out"), model=str(tiny_model), **options))
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs `report` in this process and an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, ["report", *map(str, args)])


def test_command_says_that_the_label_column_is_empty(run: Callable[..., Result], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": pa.nulls(4, pa.string())})
    result = run(tmp_path / "run", "--label-column", "label")
    assert 0 == result.exit_code
    assert "  quality The column label has no labels, so quality cannot be measured." in result.output.splitlines()


def test_command_writes_the_report_into_the_output_and_sums_it_up(run: Callable[..., Result], scored: Path) -> None:
    result = run(scored / "out", "--label-column", "good")
    page = scored / "out/report.html"
    assert 0 == result.exit_code, result.output
    assert page.read_bytes().lower().startswith(b"<!doctype html>")
    lines = result.output.splitlines()
    assert lines[0].startswith(f"report  {page}  ")
    assert lines[1].startswith("  6 reviews, ")
    assert "judged by good on 6, where " in lines[2]
    absent = run(scored / "out", "--label-column", "good", "--positive-value", ">=6", "--negative-value", "<6")
    assert "warning --positive-value '>=6' does not occur among the labels in good." in absent.output
    assert "--text-from INPUT" in lines[-1]
    assert 0 == run(scored / "out", "--text-from", scored / "reviews.jsonl").exit_code  # over the earlier one


def test_command_overwrites_only_reports(run: Callable[..., Result], scored: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<title>mine</title>")
    (tmp_path / "folder").mkdir()
    for name in ("page.html", "folder"):
        result = run(scored / "out", "--output", name)
        assert 2 == result.exit_code
        assert "refusing to overwrite what is not a batch-scorer report" in result.output
    assert "<title>mine</title>" == (tmp_path / "page.html").read_text()


def test_command_that_fails_leaves_the_earlier_report(run: Callable[..., Result], scored: Path, tmp_path: Path) -> None:
    assert 0 == run(scored / "out", "--output", "page.html").exit_code
    before = (tmp_path / "page.html").read_bytes()
    assert 2 == run(scored / "out", "--output", "page.html", "--label-column", "none").exit_code
    assert before == (tmp_path / "page.html").read_bytes()
    assert ["page.html"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("missing", ["plan.json", "manifest.json"])
def test_command_refuses_an_output_without_a_finished_run(
    missing: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    write_run(tmp_path / "run", 4)
    (tmp_path / "run" / missing).unlink()
    result = run("run")
    assert 2 == result.exit_code
    assert missing in result.output
    assert not (tmp_path / "run/report.html").exists()


def test_command_counts_the_rejected_if_nothing_was_scored(run: Callable[..., Result], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 0, rejected=3)
    result = run("run")
    assert 0 == result.exit_code, result.output
    assert "No review was scored; 3 records were rejected." in result.output
    write_run(tmp_path / "damaged", 0, rejected=1, unreadable=2)
    said = " ".join(run("damaged").output.split())
    assert "1 record was rejected, and 2 files or parts of files could not be read." in said


def test_report_on_a_run_in_a_store_is_written_here_or_there(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "gs://bucket/in/reviews.parquet"
    pq.write_table(write_run(tmp_path / "run", 20, source=source, rejected=2), tmp_path / "reviews.parquet")
    client._client.cache_clear()  # of the server of another test
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        store.put("bucket", "in/reviews.parquet", (tmp_path / "reviews.parquet").read_bytes())
        for path in (tmp_path / "run").rglob("*"):
            if path.is_file():
                store.put("bucket", str(path.relative_to(tmp_path)), path.read_bytes())
        result = run("gs://bucket/run", "--text-from", source)
        assert 0 == result.exit_code, result.output
        assert result.output.startswith("report  report.html  ")
        result = run("gs://bucket/run", "--text-from", source, "--output", "gs://bucket/page.html")
        assert 0 == result.exit_code, result.output
        assert store.read("bucket", "page.html") == (tmp_path / "report.html").read_bytes()


def test_command_names_what_moved_and_titles_the_page(run: Callable[..., Result], tmp_path: Path) -> None:
    table = write_run(tmp_path / "old", 2_000, keep=("product",))
    moods = table["truth"].to_pylist()
    is_lamp = (at % 2 == 0 and (mood == 0 if at >= 1_200 else at % 5 == 0) for at, mood in enumerate(moods))
    products = ["lamp" if is_one else f"desk {at % 9}" for at, is_one in enumerate(is_lamp)]
    dates = [f"{1 + at // 200:02d}/05/2024" for at in range(2_000)]
    write_run(tmp_path / "run", 2_000, kept={"product": products, "date": dates})
    options = ("run", "--group-by", "product", "--over", "date", "--title", "Lamps <of> May")
    asked = run(*options)
    assert 2 == asked.exit_code
    assert "--date-format '%d/%m/%Y' or --date-format '%m/%d/%Y'" in asked.output
    result = run(*options, "--date-format", "%m/%d/%Y")
    assert 0 == result.exit_code, result.output
    assert "1 of 10 groups moved: lamp " in " ".join(result.output.split())
    html = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "<title>Lamps &lt;of&gt; May</title>" in html
    assert "<h1><bdi>Lamps &lt;of&gt; May</bdi></h1>" in html


def test_terminal_obeys_nothing_in_a_run(run: Callable[..., Result], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 300, hostile=True, kept={"\x1b[31m": [1, 0, *[1] * 298]}, keep=("text",))
    result = run("run", "--label-column", "\x1b[31m", "--text-column", "text")
    assert 0 == result.exit_code, result.output
    assert "\x1b" not in result.output


def test_command_scores_the_reviews_again_and_says_so(
    run: Callable[..., Result], scored: Path, tiny_model: Path
) -> None:
    options = (scored / "out", "--text-from", scored / "reviews.jsonl", "--model", tiny_model, "--output", "again.html")
    result = run(*options, "--rescore")
    assert 0 == result.exit_code, result.output
    assert "  rescored 6 reviews scored again, and " in result.output
    assert 2 == run(*options).exit_code  # a model for nothing
