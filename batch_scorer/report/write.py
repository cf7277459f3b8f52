"""A question -> the report on disk or in an object store: the whole of `batch-scorer report`, except printing."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer import storage
from batch_scorer.analysis.database import require
from batch_scorer.errors import OutputError
from batch_scorer.report.build import build_findings
from batch_scorer.report.findings import Findings
from batch_scorer.report.question import Question
from batch_scorer.runs.directory import is_report
from batch_scorer.runs.layout import REPORT


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written: where it is, how large it is, and what it says."""

    path: str
    size_bytes: int
    findings: Findings


def write_report(question: Question, path: str | None = None) -> WrittenReport:
    """Writes the report on a run as one HTML file, in full or not at all.

    ``write_report(Question("out", label_column="stars", positive_value=(">=4",)), "quality.html")``

    Args:
        path: the file to write, here or in an object store. An earlier report there is overwritten, any other file is
            not. None: report.html in the run's output directory or, if that is in a store or there are several runs, in
            the working directory.

    Raises:
        RefusedError: there is no such run, it lacks what `question` asks for, a package of the extra `report` is
            missing, or the file may not be written.
        JobError: a query ran out of memory or disk space.
    """
    nowhere = question.others or storage.is_remote(question.output)
    asked, path = path, path or (REPORT if nowhere else storage.join(question.output, REPORT))
    _refuse_other_files(path)
    for package in ("altair", "jinja2", "vl_convert"):
        require(package, "report")
    from batch_scorer.report import page  # which imports these packages

    findings = build_findings(question, asked)
    html = page.render(findings)
    try:
        storage.publish_bytes(html, path)
    except OSError as error:
        raise OutputError(
            "the report cannot be written",
            where=path,
            expected="a file that can be written",
            got=f"{type(error).__name__}: {error}",
            fix="choose another --output",
        ) from error
    return WrittenReport(path, len(html), findings)


def _refuse_other_files(path: str) -> None:
    """Raises OutputError if there is anything at `path` but an earlier report."""
    if not storage.exists(path):
        return
    got = "a directory"
    if not storage.is_directory(path):
        try:
            if is_report(path):
                return
            got = "a file that batch-scorer did not write"
        except OSError as error:
            got = f"{type(error).__name__}: {error}"
    raise OutputError(
        "refusing to overwrite what is not a batch-scorer report",
        where=path,
        expected="no such file, or an earlier report",
        got=got,
        fix="choose another --output, or move it away",
    )
