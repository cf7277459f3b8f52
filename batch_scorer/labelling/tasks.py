"""Chosen rows and their texts -> a CSV file of tasks, which spreadsheets show and `python -m train` reads again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from batch_scorer import storage
from batch_scorer.analysis import database
from batch_scorer.errors import InputError, OutputError, RefusedError, UnavailableError
from batch_scorer.escape import counted
from batch_scorer.formats.cells import CELL_CHARACTERS, guarded
from batch_scorer.labelling.question import Question
from batch_scorer.labelling.selection import Chosen, choose
from batch_scorer.runs import finished
from batch_scorer.runs.finished import Run
from batch_scorer.schema import printable
from batch_scorer.scoring.run_texts import from_inputs, is_scored_text

COLUMNS = ("record_id", "text", "predicted_label", "probability", "label", "words", "chosen_by")
UNUSUAL = "unusual"  # one more column, where the run has it


@dataclass(frozen=True)
class WrittenTasks:
    """A file of tasks that was written.

    Args:
        tasks: how many each choice took, by its name; a review may be in several.
        reviews: tasks in all.
        missing: chosen reviews whose text was not found.
        too_long: those whose text does not fit into a cell.
    """

    path: str
    tasks: dict[str, int]
    reviews: int
    missing: int
    too_long: int

    @property
    def notes(self) -> list[str]:
        """Sentences on what was left out."""
        said = []
        if self.missing:
            said.append(f"left out {counted(self.missing, 'review')} whose text was not found as it was scored")
        if self.too_long:
            said.append(f"left out {counted(self.too_long, 'review')} of more than {CELL_CHARACTERS:,} characters, "
                        "which no cell of a spreadsheet holds")  # fmt: skip
        return said


def write_tasks(question: Question, path: str) -> WrittenTasks:
    """Writes the tasks that `question` asks for to the new file `path`, as CSV in UTF-8 with a byte order mark.

    Raises:
        RefusedError: there is no such run, it cannot answer, there is a file already, or no text is found.
        JobError: a query ran out of memory or disk space.

    Example:
        >>> from batch_scorer.labelling.question import Question
        >>> write_tasks(Question("out", least_certain=200), "tasks.csv").notes  # doctest: +SKIP
        []
    """
    question.check()
    if storage.exists(path):  # it may hold the labels of people
        raise OutputError(
            "refusing to overwrite a file, which may hold labels",
            where=path, expected="a path where there is nothing yet", got="a file", fix="give another --output",
        )  # fmt: skip
    run = finished.open_run(question.output)
    question.check(run)
    with database.connect("review", new=[run]) as connection:
        rows = choose(connection, question, run)
    found = _texts(rows, run, question.text_from)
    tasks = [(row, text) for row, text in zip(rows, found, strict=True) if text is not None]
    fitting = [(row, text) for row, text in tasks if len(guarded(text)) <= CELL_CHARACTERS]
    if rows and not fitting:
        raise InputError(
            "there is no text to label",
            where=printable(", ".join(question.text_from) or question.output),
            expected=f"the texts of {counted(len(rows), 'chosen review')}, as they were scored",
            got=f"{len(rows) - len(tasks):,} not found, {len(tasks):,} too long for a cell of a spreadsheet",
            fix="give the inputs that were scored: --text-from INPUT",
        )
    data = _csv(fitting, question, UNUSUAL in run.columns)
    try:
        storage.publish_bytes(data, path)
    except OSError as error:
        got = f"{type(error).__name__}: {error}"
        raise OutputError("the tasks cannot be written", where=path, got=got, fix="choose another --output") from error
    taken = {name: sum(name in row.choices for row, _ in fitting) for name in question.choices}
    return WrittenTasks(path, taken, len(fitting), len(rows) - len(tasks), len(tasks) - len(fitting))


def _texts(rows: Sequence[Chosen], run: Run, inputs: tuple[str, ...]) -> list[str | None]:
    """The text of each row: the kept one, or that in `inputs`, or in those of the run; None where it is not there."""
    kept = [row.kept if row.kept is not None and is_scored_text(row, row.kept, run.pattern) else None for row in rows]
    if not inputs and None not in kept:
        return kept
    places = inputs or tuple(str(source["input"]) for source in run.manifest["inputs"])
    fix = "give the inputs as they were scored: --text-from INPUT"
    try:
        matched = from_inputs(run, rows, places).matched
    except (RefusedError, UnavailableError) as error:
        if not inputs:
            error.fix = fix
        raise
    except OSError as error:
        where = printable(", ".join(places))
        raise InputError("the texts cannot be read", where=where, got=str(error), fix=fix) from error
    return [matched.get(at, None if inputs else kept[at]) for at in range(len(rows))]


def _csv(tasks: Iterable[tuple[Chosen, str]], question: Question, with_unusual: bool) -> bytes:
    """The file. Every cell is quoted, so that each spreadsheet finds the same cells, whatever its settings."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([*COLUMNS, *([UNUSUAL] if with_unusual else [])])
    for row, text in tasks:
        cells = (
            row.record_id,
            text,
            row.label,
            np.format_float_positional(np.float32(row.probability), trim="-"),
            row.label if question.prefill else "",
            _words(row, text),
            ", ".join(row.choices),
            *([row.unusual] if with_unusual else []),
        )
        writer.writerow([guarded(cell) for cell in cells])
    return lines.getvalue().encode("utf-8-sig")


def _words(row: Chosen, text: str) -> str:
    """What decided, strongest first: `worst -3.9, awful -1.9`."""
    shown = ((word.token or " ".join(text[word.char_start : word.char_end].split()), word) for word in row.strongest)
    return ", ".join(f"{name} {word.contribution:+.1f}" for name, word in shown)
