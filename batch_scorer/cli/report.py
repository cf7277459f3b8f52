"""`batch-scorer report`, once its options are parsed: writes the report, then prints where it is and what it says."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console
from rich.text import Text

from batch_scorer.escape import safe
from batch_scorer.report.quality import no_label
from batch_scorer.report.question import Question
from batch_scorer.report.sentences import headlines
from batch_scorer.report.write import WrittenReport, write_report
from batch_scorer.ui import terminal


def report(question: Question, path: str | None) -> None:
    """Writes the report that `question` asks for to `path`, and prints a summary.

    Args:
        path: as for `write_report`, which also says what is raised.
    """
    start = time.perf_counter()
    console = terminal.console()
    status: AbstractContextManager[Any] = console.status("writing the report") if console.is_terminal else nullcontext()
    with status:
        written = write_report(question, path)
    _show(console, question, written, time.perf_counter() - start)


def _show(console: Console, question: Question, written: WrittenReport, seconds: float) -> None:
    findings = written.findings
    size = f"  {written.size_bytes / 1e6:,.1f} MB, {seconds:,.1f} s"
    console.print(Text.assemble(("report", "bold"), f"  {safe(written.path)}", (size, "dim")))
    for sentence in headlines(findings):
        console.print(Text(f"  {safe(sentence)}"))
    for remark in findings.quality.remarks if findings.quality else ():
        console.print(Text.assemble(("  warning ", "yellow"), safe(remark)))
    if findings.rescored:
        console.print(Text.assemble(("  rescored ", "bold"), safe(findings.rescored)))
    if any(review.text is None for review in findings.reviews):
        console.print(Text.assemble(("  texts ", "yellow"), safe(findings.texts_note)))
    if question.label_column and findings.run.reviews and findings.quality is None:
        console.print(Text.assemble(("  quality ", "yellow"), safe(no_label(question.label_column))))
