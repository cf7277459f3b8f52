"""What the user asked for, cut by concern: what to read, how to score, where to write, how to run, how to speak.

Made once, by the command line or the Python API, and passed on as it is. A default is written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from batch_scorer import escape
from batch_scorer.escape import HIDDEN

COMMAND_CHARACTERS = 400  # of a command that is shown to be repeated
PRECISIONS = FLOAT32, BFLOAT16 = ("float32", "bfloat16")
QUIET, USUAL, VERBOSE = "quiet", "usual", "verbose"
LOG_FORMATS = TEXT, JSON = ("text", "json")
AFTER_BY = FILE, RECORD = ("file", "record")
PROGRAM = "batch-scorer"
LARGEST_COUNT, LARGEST_TOTAL = 2**31 - 1, 2**53 - 1  # in memory (Arrow's 32-bit offsets), and of records in all


@dataclass(frozen=True)
class Kept:
    """A column of the input to carry into the output, under `output_name`."""

    name: str
    output_name: str


@dataclass(frozen=True)
class InputConfig:
    """What to read.

    Args:
        paths: files, directories and globs, as given.
        format: the name of a format, or None to go by the file names.
        text_column, id_column: columns of the review and its id; `id_column` None makes ids of source and offset.
        kept: columns to carry over.
        encoding: of CSV, line and one-review files.
        delimiter: of CSV files; None goes by the file name.
        quote: around fields of CSV files; "none" if quotes stand for themselves.
        escape: before a character of CSV files that stands for itself; None if there is no such character.
        columns: the names of all columns of CSV files that have no header; none if they have one.
        limit: score only the first so many records.
        after: earlier runs, or folders of them, whose files are passed over: those read to the end, unchanged since.
        after_by: `RECORD` passes over the records of changed files too that have been read with the same id and text.
        max_text_bytes: the largest text that is scored, in UTF-8; larger ones are rejected.
        null_values: texts that stand for none, `n/a` for instance; blanks around a text do not count.
        sheet: of Excel workbooks; None is the first.
    """

    paths: tuple[str, ...]
    format: str | None = None
    text_column: str = "text"
    id_column: str | None = None
    kept: tuple[Kept, ...] = ()
    encoding: str = "utf-8"
    delimiter: str | None = None
    limit: int | None = None
    max_text_bytes: int = 1_000_000
    quote: str = '"'
    escape: str | None = None
    columns: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()
    sheet: str | None = None
    after: tuple[str, ...] = ()
    after_by: str = FILE


@dataclass(frozen=True)
class ScoringConfig:
    """How to score.

    Args:
        model: directory of the artefact; None is the shipped one, wherever the worker has it installed.
        top_k: words in each list, 0 for none.
        precision: of the network's products, one of `PRECISIONS`.
        sentences, spans: whether every sentence is listed; phrases in a list, 0 for no such list.
        target_accuracy: which share of the labels of decided reviews is to be right; None decides nothing.
        unusual: whether rows say what is unusual about their text.
        no_text_hash: whether rows lack the hash of their text.
    """

    model: str | None = None
    top_k: int = 10
    precision: str = FLOAT32
    sentences: bool = False
    spans: int = 0
    target_accuracy: float | None = None
    unusual: bool = False
    no_text_hash: bool = False

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Those of `schema.OPTIONAL_COLUMNS` that these options ask for; a model may bring others."""
        asked = {
            "sentences start_contribution": self.sentences,
            "top_spans spans_rest": self.spans > 0,
            "decided": self.target_accuracy is not None,
            "unusual": self.unusual,
            "text_hash": not self.no_text_hash,
        }
        return tuple(name for names, is_so in asked.items() if is_so for name in names.split())


@dataclass(frozen=True)
class OutputConfig:
    """Where to write, and what to do with what is there.

    Args:
        directory: the output directory.
        run_id: the run's name; None takes it from the plan.
        excerpts: whether rows of `errors` begin with some of the record.
        resume, overwrite: what to do with a directory that is not empty.
    """

    directory: str
    run_id: str | None = None
    excerpts: bool = True
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class JobConfig:
    """How to run, and what counts as a success.

    Args:
        workers: processes of a local run; None is one a core, but no more than the reviews repay.
        shard_rows: reviews in a shard, about; None leaves it to the plan.
        max_error_rate: share of rejected records above which the run does not count as a success.
        allow_unreadable: whether damaged files do not count against success.
        allow_empty: whether inputs that match nothing, and a run that has nothing to score, are no fault.
        worker_timeout_s: how long a local worker may take for one step before it counts as stuck.
        price_per_vcpu_hour: in any currency; for what a job on a cloud service would cost.
        beam_options: options for Beam's runner.
    """

    workers: int | None = None
    shard_rows: int | None = None
    max_error_rate: float = 0.01
    allow_unreadable: bool = False
    allow_empty: bool = False
    worker_timeout_s: float = 45.0
    price_per_vcpu_hour: float | None = None
    beam_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class MessageConfig:
    """How to speak.

    Args:
        log_file: where to write what is logged, at every level; None for nowhere.
        log_format: of the log and of messages on standard error, one of `LOG_FORMATS`.
        verbosity: how much is said: `QUIET`, `USUAL` or `VERBOSE`.
        program: what to write in a shell to call this program again.
        command: the command line, for the record.
    """

    log_file: str | None = None
    log_format: str = TEXT
    verbosity: str = USUAL
    program: str = PROGRAM
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreConfig:
    """One `score` run.

    Example:
        >>> config = ScoreConfig.of(["reviews.csv"], "out", id_column="id", top_k=3)
        >>> config.input.id_column, config.scoring.top_k, config.output.directory
        ('id', 3, 'out')
    """

    input: InputConfig
    output: OutputConfig
    scoring: ScoringConfig = ScoringConfig()
    job: JobConfig = JobConfig()
    messages: MessageConfig = MessageConfig()

    @staticmethod
    def of(inputs: Sequence[str], output: str, model: str | None = None, **options: Any) -> ScoreConfig:
        """The config for some inputs and an output directory; `options` are the fields of all sections, by name.
        `input_format` names the field `format` of the section `input`.

        Raises:
            TypeError: an option that no section has.
        """
        config = ScoreConfig(InputConfig(tuple(inputs)), OutputConfig(output), ScoringConfig(model))
        return config.with_options(**options)

    def with_options(self, **options: Any) -> ScoreConfig:
        """The same config with other values, by the names that `of` takes.

        Raises:
            TypeError: an option that no section has.
        """
        sections: dict[str, dict[str, Any]] = {}
        for name, value in options.items():
            section, field = _PLACES[name] if name in _PLACES else _unknown(name)
            sections.setdefault(section, {})[field] = tuple(value) if name == "inputs" else value
        return replace(self, **{name: replace(getattr(self, name), **some) for name, some in sections.items()})

    def again(self, *more: str) -> str | None:
        """The command that was given, with --resume and `more` options; None if it is too long to be read."""
        return self._command("--resume", *more)

    def afresh(self, *more: str) -> str | None:
        """The command that was given, with `more` options and --overwrite; None as for `again`."""
        return self._command(*more, "--overwrite")

    def _command(self, *more: str) -> str | None:
        words, flags = [*self.messages.command], {"--overwrite", "--resume", "--allow-unreadable", "--allow-empty"}
        at = words.index("--") if "--" in words else len(words)
        kept, left = [], iter(words[1:at])
        anew = {"--overwrite", "--resume", *(word for word in more if word.startswith("--"))}  # not their values
        for word in left:
            name, sign, _ = word.partition("=")
            if name not in anew:
                kept.append(word)
            elif not sign and name not in flags:
                next(left, None)  # the value of an option that is given anew
        command = f"{self.messages.program} {escape.command([*kept, *more, *words[at:]])}"
        return command if words and HIDDEN not in command and len(command) <= COMMAND_CHARACTERS else None

    def how_to_resume(self) -> str:
        """How to go on with a run that was interrupted: the command, or what it would be."""
        if command := self.again():
            return f"run `{command}`: finished work is kept"
        instead = " instead of --overwrite" if self.output.overwrite else ""
        return f"run the same command with --resume{instead}: finished work is kept"


def _unknown(name: str) -> tuple[str, str]:
    raise TypeError(f"there is no option {name!r}; the options are {', '.join(sorted(_PLACES))}")


_SECTIONS = dict(input=InputConfig, output=OutputConfig, scoring=ScoringConfig, job=JobConfig, messages=MessageConfig)
_PLACES = {field.name: (section, field.name) for section, kind in _SECTIONS.items() for field in fields(kind)}
# Three names would say too little, or clash, outside of their section.
_RENAMED = {"inputs": ("input", "paths"), "input_format": ("input", "format"), "output": ("output", "directory")}
for _name, _place in _RENAMED.items():
    del _PLACES[_place[1]]
    _PLACES[_name] = _place
