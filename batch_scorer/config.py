"""What the user asked for, checked once in `cli` and passed on as it is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

FORMATS = ("parquet", "jsonl", "csv", "lines", "files")
COMMAND_CHARACTERS = 400  # of a command that is shown to be repeated
PRECISIONS = FLOAT32, BFLOAT16 = ("float32", "bfloat16")
QUIET, USUAL, VERBOSE = "quiet", "usual", "verbose"
LOG_FORMATS = TEXT, JSON = ("text", "json")
PROGRAM = "batch-scorer"


def without_secrets(command: Sequence[str]) -> tuple[str, ...]:
    """A command line that may be shown and kept: the secrets of stores among Beam's options are left out."""
    hidden, shown = ("--s3_secret_access_key", "--s3_session_token"), []
    for before, word in zip(("", *command), command, strict=False):
        name, sign, _ = word.partition("=")
        shown.append("***" if before in hidden else f"{name}=***" if sign and name in hidden else word)
    return tuple(shown)


@dataclass(frozen=True)
class Kept:
    """A column of the input to carry into the output, under `output_name`."""

    name: str
    output_name: str


@dataclass(frozen=True)
class ScoreConfig:
    """One `score` run.

    Args:
        inputs: files, directories and globs, as given.
        output: the output directory.
        model: directory of the artefact; None is the shipped one, wherever the worker has it installed.
        input_format: one of `FORMATS`, or None to go by the file names.
        text_column, id_column: columns of the review and its id; `id_column` None makes ids of source and offset.
        kept: columns to carry over.
        top_k: tokens in each list, 0 for none.
        precision: of the network's products, one of `PRECISIONS`.
        workers: processes of a local run; None is one a core, but no more than the reviews repay.
        shard_rows: reviews in a shard, about; None is for the plan to decide.
        encoding: of CSV, line and one-review files.
        delimiter: of CSV files; None goes by the name.
        limit: score only so many records, the first.
        max_text_bytes: the largest text that is scored, in UTF-8; larger ones are rejected.
        max_error_rate: share of rejected records above which the run does not count as a success.
        allow_unreadable: whether damaged files do not count against success.
        excerpts: whether rows of `errors` begin with some of the record.
        worker_timeout_s: how long a local worker may take for one step before it counts as hanging.
        price_per_vcpu_hour: in any currency; for what a job of a service would cost.
        run_id: the run's name; None takes it from the plan.
        resume, overwrite: what to do with an output directory that is not empty.
        log_file: where to write what is logged, at every level; None for nowhere.
        log_format: of the log and of what is told on standard error, one of `LOG_FORMATS`.
        verbosity: how much is told: `QUIET`, `USUAL` or `VERBOSE`.
        program: what to write in a shell to call this program again.
        command: the command line, for the record.
        beam_options: options for Beam's runner.
    """

    inputs: tuple[str, ...]
    output: str
    model: str | None = None
    input_format: str | None = None
    text_column: str = "text"
    id_column: str | None = None
    kept: tuple[Kept, ...] = ()
    top_k: int = 10
    precision: str = FLOAT32
    workers: int | None = None
    shard_rows: int | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    limit: int | None = None
    max_text_bytes: int = 1_000_000
    max_error_rate: float = 0.01
    allow_unreadable: bool = False
    excerpts: bool = True
    worker_timeout_s: float = 45.0
    price_per_vcpu_hour: float | None = None
    run_id: str | None = None
    resume: bool = False
    overwrite: bool = False
    log_file: str | None = None
    log_format: str = TEXT
    verbosity: str = USUAL
    program: str = PROGRAM
    command: tuple[str, ...] = ()
    beam_options: tuple[str, ...] = ()

    def again(self, *more: str) -> str | None:
        """The command that was given, with --resume and `more` options, where it is not too long to be read."""
        words = [word for word in self.command if word not in ("--overwrite", "--resume")]
        at = words.index("--") if "--" in words else len(words)
        command = f"{self.program} {shlex.join([*words[1:at], '--resume', *more, *words[at:]])}"
        return command if self.command and len(command) <= COMMAND_CHARACTERS else None

    def how_to_resume(self) -> str:
        """How to go on with a run that was cut off: the command, or what it would be."""
        if command := self.again():
            return f"run `{command}`: what is done is kept"
        instead = " instead of --overwrite" if self.overwrite else ""
        return f"run the same command with --resume{instead}: what is done is kept"
