"""A report on several runs: each review once, by the newest run that has its id, in the figures and on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OptionError, RefusedError
from batch_scorer.report.build import build_findings
from batch_scorer.report.findings import LEAST_CERTAIN
from batch_scorer.report.question import Question
from batch_scorer.report.write import write_report
from tests.finished_runs import edit
from tests.jobs import rows, score_here
from tests.made_runs import write_run

KEEP = ("text", "product", "truth")


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three runs over ids that overlap: the first 100 are in all three, 100 more in two of them."""
    nights = tmp_path_factory.mktemp("nights")
    for number, reviews in enumerate((300, 200, 100)):
        source = str(nights / f"in-{number}.parquet")
        options: dict[str, Any] = {"source": source, "keep": KEEP, "seed": number, "rejected": 10}
        pq.write_table(write_run(nights / f"n{number}", reviews, **options), source)
        edit(nights / f"n{number}/manifest.json", started=f"2026-11-2{number}T01:00:00+00:00")
    (nights / "latest").symlink_to("n2")
    return nights


def newest(nights: Path) -> dict[str, dict[str, Any]]:
    return {row["record_id"]: row for number in range(3) for row in rows(nights / f"n{number}")}


def test_each_review_counts_once_by_its_newest_run(nights: Path) -> None:
    findings, expected = build_findings(Question(str(nights), reviews=250)), newest(nights)

    assert (300, 300, 30, 330) == (findings.run.reviews, findings.scored, findings.rejected_count, findings.read)
    assert sum(row["predicted_label"] == "positive" for row in expected.values()) / 300 == findings.run.positive
    assert any("300 rows are not counted: a newer run has the same id" in notice for notice in findings.notices)
    assert sum(row["n_tokens_used"] for row in expected.values()) == findings.used_words
    unknown = sum(round(row["oov_rate"] * row["n_tokens_used"]) for row in expected.values())
    assert unknown / findings.used_words == findings.oov_share
    assert 300 == sum(findings.score.run)
    assert sum(row["truncated"] for row in expected.values()) == findings.truncated
    shown = {review.record_id: review for review in findings.reviews}
    assert 250 == sum(LEAST_CERTAIN in review.lists for review in shown.values())
    assert all(expected[key]["source"] == review.source for key, review in shown.items())
    assert all(dict(review.kept)["run_id"] == expected[key]["run_id"] for key, review in shown.items())
    assert 30 == sum(one.records for one in findings.rejected)
    assert findings.run.run_id.endswith(" and 2 earlier runs") and findings.run.complete


def test_texts_come_from_the_input_of_the_run_that_has_the_row(nights: Path) -> None:
    inputs = tuple(str(nights / f"in-{number}.parquet") for number in range(3))

    findings = build_findings(Question(str(nights), text_from=inputs, reviews=40))

    expected, numbers = newest(nights), set[str]()
    texts = {name: pq.read_table(name).to_pylist() for name in inputs}
    for review in findings.reviews:
        assert texts[review.source][review.offset]["text"] == review.text
        numbers.add(expected[review.record_id]["source"])
    assert {*inputs} == numbers
    assert findings.commands.texts is None and "OUT" in findings.commands.look_up


def test_quality_and_groups_are_of_the_rows_that_count(nights: Path) -> None:
    question = Question(
        str(nights / "n0"), others=(str(nights / "n1"), str(nights / "n2")), label_column="truth", group_by=("product",)
    )

    findings, expected = build_findings(question), newest(nights)

    right = sum((row["predicted_label"] == "positive") == (row["truth"] == 1) for row in expected.values())
    assert findings.quality is not None and findings.groups is not None
    assert (right / 300, 300) == (findings.quality.accuracy, findings.quality.reviews)
    assert 300 == sum(group.positive.reviews for group in findings.groups.groupings[0].groups)
    text_command = findings.commands.texts
    assert text_command is not None
    runs = f"{nights}/n0 {nights}/n1 {nights}/n2"
    assert f"report {runs} --label-column truth --group-by product --text-from" in text_command


def test_runs_that_share_no_id_are_summed(nights: Path, tmp_path: Path) -> None:
    for number in range(2):
        kept = {"night": pa.array([number] * 50)}
        write_run(tmp_path / f"n{number}", 50, id_column=None, source=f"in-{number}.parquet", kept=kept, seed=number)

    findings = build_findings(Question(str(tmp_path)))

    assert (100, 100, ()) == (findings.read, findings.run.reviews, findings.notices)


def test_runs_that_do_not_fit_together_are_refused(nights: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "other", 5, model_id="ba9876543210")
    write_run(tmp_path / "bare", 5)
    for place, said in (("other", "of the same model"), ("bare", "have the same kept columns")):
        with pytest.raises(OptionError, match="cannot be in one report") as refused:
            build_findings(Question(str(nights / "n0"), others=(str(tmp_path / place),)))
        assert said in str(refused.value)
    with pytest.raises(RefusedError, match="there is no run"):
        build_findings(Question(str(nights / "n0"), others=(str(tmp_path / "none"),)))


def test_runs_with_and_without_hashes_of_texts_fit_together(
    tiny_model: Path, reviews_file: Path, tmp_path: Path
) -> None:
    for name, without in (("a", True), ("b", False)):
        options: dict[str, Any] = {"model": str(tiny_model), "id_column": "id", "no_text_hash": without}
        score_here(ScoreConfig.of((str(reviews_file),), str(tmp_path / name), run_id=name, **options))

    findings = build_findings(Question(str(tmp_path)))

    assert len(rows(tmp_path / "b")) == findings.run.reviews > 0


def test_command_asks_for_one_page_on_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[Question, str | None]]()
    monkeypatch.setattr("batch_scorer.cli.report.report", lambda *given: asked.append(given))

    done = CliRunner().invoke(main, ["report", "a", "b", "c", "--reviews", "7"])

    assert 0 == done.exit_code, done.output
    assert [(Question("a", others=("b", "c"), reviews=7), None)] == asked


def test_page_on_several_runs_is_called_after_them_and_stands_in_no_run(
    nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("batch_scorer.report.page.render", lambda findings: findings.run.run_id.encode())

    written = write_report(Question(str(nights / "n0"), others=(str(nights / "n2"),), reviews=5))

    assert ("report.html", True) == (written.path, " and 1 earlier run" in Path("report.html").read_text())
    assert not (nights / "n0/report.html").exists()
