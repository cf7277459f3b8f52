"""Commands that a report suggests, to copy into a shell: to make a success of a run, to see texts, to find a review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer import escape
from batch_scorer.config import COMMAND_CHARACTERS, PROGRAM
from batch_scorer.runs.rejections import unreadable_files
from batch_scorer.runs.verdict import ways_out

if TYPE_CHECKING:
    from batch_scorer.report.question import Question
    from batch_scorer.runs.finished import Run


@dataclass(frozen=True)
class Commands:
    """What the page of a report suggests.

    Args:
        ways_out: how to make a success of a run that is none: what that means, and the command.
        texts: writes the report again, with the texts; None where it has them, or where they are is not known.
        look_up: shows a review by its id, which is to be put behind it.
    """

    ways_out: tuple[tuple[str, str], ...] = ()
    texts: str | None = None
    look_up: str = f"{PROGRAM} explain --run OUT --id"


NO_COMMANDS = Commands()


def commands(question: Question, run: Run, is_several: bool = False, page: str | None = None) -> Commands:
    """The commands for a run, of which `question` asks a report, or for several as one.

    Args:
        page: where the page is written; None: in the usual place.
    """
    has_texts = bool(question.text_from or question.text_column or not run.manifest["counts"]["scored"])
    if is_several:  # a review is looked up in its own run, which the page names beside it
        return Commands(texts=None if has_texts else _with_texts(question, run, page))
    output = escape.quoted_path(run.output)
    look_up = f"{PROGRAM} explain --run {output}{texts_from(question.text_from)} --id"
    is_success = run.manifest["not_a_success"] is None  # then nothing has to be fetched from a store
    ways = () if is_success else tuple(ways_out(run.manifest, unreadable_files(run.output, run.manifest)))
    return Commands(ways, None if has_texts else _with_texts(question, run, page), look_up)


def _with_texts(question: Question, run: Run, page: str | None) -> str | None:
    inputs = tuple(str(source["input"]) for source in run.manifest["inputs"])
    if not (texts := texts_from(inputs)):
        return None
    written = ["--output", page] if page else []
    runs = " ".join(map(escape.quoted_path, [question.output, *question.others]))
    asked = escape.command([*question.words(), *written])
    return f"{PROGRAM} report {runs}{f' {asked}' if asked else ''}{texts}"


def texts_from(inputs: Sequence[str]) -> str:
    """The options by which a command reads the texts of these inputs; none if nobody would read so long a command."""
    options = "".join(f" --text-from {escape.quoted_path(name)}" for name in inputs)
    return options if len(options) <= COMMAND_CHARACTERS else ""
