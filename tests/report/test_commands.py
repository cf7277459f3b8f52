"""Commands that a report suggests: quoted for a shell, and such that they do what is said of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.report import page
from batch_scorer.report.build import build_findings
from batch_scorer.report.question import Question
from tests.cli.test_main import run
from tests.jobs import score_here
from tests.report.conftest import build


@pytest.fixture(scope="module")
def no_success(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The output of a run of which too many records were rejected, in a directory that has to be quoted."""
    folder = tmp_path_factory.mktemp("my runs")
    lines = [json.dumps({"id": at, "text": "a good film", "stars": at}) for at in range(6)]
    (folder / "in.jsonl").write_text("\n".join([*lines, "{broken", "{too"]) + "\n")
    words = ["score", str(folder / "in.jsonl"), "--output", str(folder / "out"), "--model", str(tiny_model)]
    words += ["--id-column", "id", "--workers", "1"]
    config = ScoreConfig.of([words[1]], words[3], words[5], id_column="id", workers=1)
    score_here(config.with_options(command=("batch-scorer", *words)))
    return folder / "out"


def words(command: str | None) -> list[str]:
    """A command without the name of the program, as a shell takes it apart."""
    program, *rest = shlex.split(command or "")
    assert "batch-scorer" == program
    return rest


def test_command_for_the_texts_shows_them(no_success: Path) -> None:
    findings = build_findings(Question(str(no_success)))
    command = words(findings.commands.texts)
    assert ["report", str(no_success), "--text-from", str(no_success.parent / "in.jsonl")] == command
    assert 0 == run(*command).exit_code
    text_from = (command[-1],)
    with_texts = build_findings(Question(str(no_success), text_from=text_from))
    assert {"a good film"} == {review.text for review in with_texts.reviews}
    assert with_texts.commands.texts is None


def test_command_for_the_texts_asks_for_the_rest_of_the_report_again(folder: Path) -> None:
    options = {"label_column": "truth", "slice_columns": ("product",), "reference": str(folder / "old")}
    texts = words(build(folder / "run", **options).commands.texts)
    assert ["--reference", str(folder / "old"), "--label-column", "truth", "--slice-column", "product"] == texts[2:8]


def test_command_for_the_texts_asks_for_all_that_the_page_has_in_the_same_place(folder: Path) -> None:
    question = Question(str(folder / "run"), group_by=("product",), title="Reviews of May", reviews=20)
    asked = words(build_findings(question, "page.html").commands.texts)
    options = ["--reviews", "20", "--group-by", "product", "--title", "Reviews of May"]
    assert ["report", str(folder / "run"), *options, "--output", "page.html"] == asked[: asked.index("--text-from")]


def test_command_with_an_id_shows_the_review(no_success: Path) -> None:
    findings = build_findings(Question(str(no_success), text_from=(str(no_success.parent / "in.jsonl"),)))
    shown = run(*words(findings.commands.look_up), "3")
    assert 0 == shown.exit_code and "good" in shown.output


def test_commands_of_a_run_that_is_no_success_make_it_one(no_success: Path) -> None:
    findings = build_findings(Question(str(no_success)))
    ((what, command),) = findings.commands.ways_out
    assert "accept records that are rejected, without scoring again:" == what
    assert f"To {what}" in page.render(findings).decode()
    assert command.replace("'", "&#39;") in page.render(findings).decode()
    assert 0 == run(*words(command)).exit_code
    after = build_findings(Question(str(no_success)))
    assert after.run.complete and () == after.commands.ways_out


def test_ids_of_the_other_reviews_are_known_unless_they_are_too_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = build(folder / "run", reviews=3)
    listed = {review.record_id for review in few.reviews}
    assert few.other_ids is not None and 1_000 == len(listed) + len(few.other_ids)
    assert {f"r{at:06d}" for at in range(1_000)} == listed | {*few.other_ids}
    monkeypatch.setattr("batch_scorer.report.selection.IDS_BYTES", 5_000)
    assert build(folder / "run", reviews=3).other_ids is None
