"""Everything that batch-scorer raises on purpose, as one tree:

    ScorerError
    |-- RefusedError        nothing was started, nothing was written      exit 2
    |   |-- OptionError     an option, or two options together
    |   |-- InputError      the input files, or a column in them
    |   |-- OutputError     the output directory
    |   |-- ArtifactError   the model artefact
    |   +-- StoreError      an object store: its name, its packages, permissions
    +-- JobError            the job had begun and could not go on         exit 1
        |-- StoppedError    Ctrl-C or SIGTERM
        |-- WorkerError     a local worker died or stopped responding
        |-- ChangedError    an input changed while it was being scored
        |-- EngineError     scoring failed for every record of a batch
        |-- UnavailableError  an object store did not answer, even after retries
        +-- PipelineError   the Beam pipeline failed

A bad *record* raises none of these: it becomes a row in `errors/` (see `schema.ERROR_CODES`).
"""

from __future__ import annotations


class ScorerError(Exception):
    """A failure that its reader can act on.

    Args:
        what: one clause that says what is wrong.
        where: the file, record or option it concerns.
        expected: what would have been right.
        got: what was found instead.
        fix: what to do about it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.expected, self.got, self.fix = what, where, expected, got, fix

    def __str__(self) -> str:
        details = (("where", self.where), ("expected", self.expected), ("got", self.got), ("to fix", self.fix))
        return "\n".join([self.what, *(f"  {label + ':':<9} {value}" for label, value in details if value)])

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions travel from worker processes by pickle, which would drop the keyword arguments.
        return _rebuild, (type(self), self.what, self.where, self.expected, self.got, self.fix)


def _rebuild(
    kind: type[ScorerError], what: str, where: str | None, expected: str | None, got: str | None, fix: str | None
) -> ScorerError:
    return kind(what, where=where, expected=expected, got=got, fix=fix)


class RefusedError(ScorerError):
    """The job was refused before it started."""

    exit_code = 2


class OptionError(RefusedError):
    """An option is wrong, or two options do not go together."""


class InputError(RefusedError):
    """The inputs cannot be scored as they are."""


class OutputError(RefusedError):
    """The output directory cannot be used."""


class ArtifactError(RefusedError):
    """The model artefact is damaged, or is not one of ours."""


class StoreError(RefusedError):
    """An object store cannot be used: it is unknown, its packages are missing, or it refuses access."""


class JobError(ScorerError):
    """The job had begun and could not go on."""


class StoppedError(JobError):
    """Somebody stopped the job."""


class WorkerError(JobError):
    """A worker of a local run died or stopped responding."""


class ChangedError(JobError):
    """An input has changed since the job was planned."""


class EngineError(JobError):
    """Scoring failed for every record of a batch: the engine is at fault, not a record."""


class UnavailableError(JobError):
    """An object store did not answer, even after retries."""


class PipelineError(JobError):
    """The Beam pipeline failed."""
