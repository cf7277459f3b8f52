"""What `report` does, once its options are taken: a run in, one page out, and a few lines about it in the terminal."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.text import Text

from batch_scorer import storage
from batch_scorer.analysis import database
from batch_scorer.errors import OutputError
from batch_scorer.escape import safe
from batch_scorer.report import drift, quality
from batch_scorer.report.findings import Findings, WordTotal
from batch_scorer.report.gather import gather
from batch_scorer.report.question import Question
from batch_scorer.runs.directory import is_report
from batch_scorer.runs.layout import REPORT
from batch_scorer.ui import terminal

_WORDS = 3  # of either sign, named in the terminal


def report(question: Question, file: str | None) -> None:
    """Writes the report that answers `question` to `file`, there whole or not at all, and says so.

    Args:
        file: None is report.html, in a local output or, of one in a store, in the working directory.

    Raises:
        RefusedError: the run does not have what was asked for, or the file may not be written.
    """
    start = time.perf_counter()
    file = file or (REPORT if storage.is_remote(question.output) else storage.join(question.output, REPORT))
    _refuse_others(file)
    for package in ("altair", "jinja2", "vl_convert"):
        database.needed(package, "report")
    from batch_scorer.report import page  # which imports them

    console = terminal.console()
    waits: AbstractContextManager[Any] = console.status("making the report") if console.is_terminal else nullcontext()
    with waits:
        findings = gather(question)
        html = page.render(findings)
        try:
            storage.publish_bytes(html, file)
        except OSError as error:
            raise OutputError(
                "the report cannot be written",
                where=file,
                got=f"{type(error).__name__}: {error}",
                fix="choose another --output",
            ) from error
    show(console, findings, file, len(html), time.perf_counter() - start)
    if question.label_column and findings.run.reviews and findings.quality is None:
        unlabelled = quality.no_label(question.label_column)
        console.print(Text.assemble(("  quality ", "yellow"), safe(unlabelled)))


def _refuse_others(file: str) -> None:
    """Raises where something stands that is no report of ours."""
    if not storage.exists(file):
        return
    what = "a directory"
    if not storage.is_directory(file):
        try:
            if is_report(file):
                return
            what = "a file without the mark of one"
        except OSError as error:
            what = f"{type(error).__name__}: {error}"
    raise OutputError(
        "what stands there is no report of batch-scorer, and is not written over",
        where=file,
        expected="nothing, or an earlier report",
        got=what,
        fix="choose another --output, or move it away",
    )


def show(console: Console, findings: Findings, file: str, size_bytes: int, seconds: float) -> None:
    """Prints where the report is, and the first things that it says."""
    console.print(
        Text.assemble(("report", "bold"), f"  {safe(file)}", (f"  {size_bytes / 1e6:,.1f} MB, {seconds:,.1f} s", "dim"))
    )
    for sentence in headlines(findings):
        console.print(Text(f"  {safe(sentence)}"))
    if any(review.text is None for review in findings.reviews):
        console.print(Text.assemble(("  texts ", "yellow"), safe(findings.texts_note)))


def headlines(findings: Findings) -> list[str]:
    """The first things that a report says, in a sentence or two each."""
    run, quality = findings.run, findings.quality
    if not run.reviews:
        rejected = findings.rejected_count
        return [f"No review was scored; {rejected:,} {'record was' if rejected == 1 else 'records were'} rejected."]
    facts = [f"{run.reviews:,} {'review' if run.reviews == 1 else 'reviews'}, {run.positive:.0%} positive"]
    for verb, found in (("add most", findings.positive_words), ("take away most", findings.negative_words)):
        if found:
            facts.append(f"{', '.join(word.token for word in found[:_WORDS])} {verb}")
    said = [f"{'; '.join(facts)}."]
    if quality:
        said.append(
            f"{quality.accuracy:.1%} of the labels are right ({quality.low:.1%} to {quality.high:.1%}), "
            f"by {quality.column} on {quality.reviews:,}."
        )
    said += [
        d.sentence for d in (*findings.drift, *findings.drift_reference) if d.grade in (drift.MODERATE, drift.MAJOR)
    ]
    if findings.changed_words:
        said.append(f"Against the reference run {_changes(findings.changed_words[:_WORDS])}.")
    return said


def _changes(found: tuple[WordTotal, ...]) -> str:
    changes = (f"{word.token} ({word.contribution - (word.reference or 0):+,.0f})" for word in found)
    return f"the words that changed most are {', '.join(changes)}"
