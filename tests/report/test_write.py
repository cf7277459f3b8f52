"""A report written from Python: the file, what is returned, and the sentences that sum it up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from batch_scorer.report.findings import Findings
from batch_scorer.report.question import Question
from batch_scorer.report.sentences import headlines
from batch_scorer.report.write import write_report
from tests.made_runs import write_run


def test_report_is_written_into_the_run_without_printing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run", 20)
    written = write_report(Question(str(tmp_path / "run")))
    assert str(tmp_path / "run/report.html") == written.path
    assert Path(written.path).stat().st_size == written.size_bytes
    assert 20 == written.findings.scored
    assert ("", "") == capfd.readouterr()


def test_headlines_name_the_share_the_words_the_accuracy_and_what_changed(findings: Findings) -> None:
    overview, accuracy, *shifts, changes = headlines(findings)
    assert overview.startswith("1,000 reviews, ")
    strongest = [[word.token for word in words[:3]] for words in (findings.positive_words, findings.negative_words)]
    assert f"; {', '.join(strongest[0])} add most; {', '.join(strongest[1])} subtract most." in overview
    meaning = f"where {findings.quality.positive} means positive and {findings.quality.negative} means negative."
    assert accuracy.endswith(f"judged by truth on 1,000, {meaning}")
    some = replace(findings, quality=replace(findings.quality, neither=1_234))
    assert headlines(some)[1].endswith(" negative; 1,234 labels left out.")
    drifts = (*findings.drift, *findings.drift_reference)
    assert [drift.sentence for drift in drifts if drift.grade in ("moderate", "major")] == shifts
    assert changes.startswith(
        f"Since the reference run, the words that changed most are {findings.changed_words[0].token} ("
    )


def test_headlines_of_a_run_without_labels_and_reference_are_one_sentence(findings: Findings) -> None:
    bare = replace(findings, quality=None, drift=(), drift_reference=(), changed_words=())
    assert headlines(findings)[:1] == headlines(bare)
