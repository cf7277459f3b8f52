"""A whole job from Python: the one that `batch-scorer score` runs, in a child process that ends with this one.

`score_job` is the caller's end, `main` the child's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Unpack

from batch_scorer.api.job_options import JobOptions, Path, config_of
from batch_scorer.api.process import Child, caller
from batch_scorer.api.progress import shown
from batch_scorer.api.run import Run, open_run
from batch_scorer.config import InputConfig, ScoreConfig
from batch_scorer.errors import JobError, ScorerError
from batch_scorer.events import Event, OnEvent, log, logged


def score_job(
    inputs: Path | Sequence[Path],
    output: Path,
    *,
    model: Path | None = None,
    text_column: str = InputConfig.text_column,
    id_column: str | None = None,
    keep: str | Sequence[str] | Mapping[str, str] = (),
    progress: bool | Callable[[Event], None] = True,
    **options: Unpack[JobOptions],
) -> Run:
    """Scores files, as `batch-scorer score` does, and returns the finished run.

    The options are those of the command line, and errors name them as it does: `--text-column` is `text_column`. The
    job runs in a child process, and nothing changes in this one. The child ends with this process, however it ends,
    and with Ctrl-C (in a notebook: interrupt the kernel); `resume=True` then continues where the job was.

    Args:
        inputs: a file, directory or glob, local or in an object store; or several.
        output: the directory of the run; new or empty, unless there is `resume` or `overwrite`.
        model: directory of the model; None is the shipped one.
        text_column, id_column: columns of the review and its id; without the latter, ids are `source#offset`.
        keep: columns to carry over: a name or several, `NAME=NEW`, or a dict from name to new name.
        progress: True shows it, in the notebook or on standard error; a function gets every event (`events.Event`;
            docs/cli.md lists them); False is silent.
        options: see `JobOptions`; `beam_options` are the words that follow `--` on the command line. A string for
            several is taken as there: ``null_values="n/a,-"``, ``columns="text,label"``.

    Returns:
        The run. One that finished but is not a success, because too many records were rejected or something was
        unreadable, has `complete` False, and a `UserWarning` says why.

    Raises:
        RefusedError: an option, an input, the output or the model is wrong; nothing was started.
        JobError: the job had begun and failed.
        KeyboardInterrupt: somebody stopped it.

    Example:
        >>> from batch_scorer import score_job
        >>> run = score_job("reviews.jsonl", "out", id_column="review_id", progress=False)
        >>> run.manifest["counts"]
        {'read': 2, 'scored': 2, 'rejected': 0, 'unreadable': 0, 'empty': 0}
    """
    named = {"model": model, "text_column": text_column, "id_column": id_column, "keep": keep}
    config = config_of(inputs, output, {**named, **options})
    on_event = progress if callable(progress) else shown() if progress else None
    _run(config, on_event, describe_shards=callable(progress))
    run = open_run(output)
    if not run.complete:
        warnings.warn(f"the run is not a success: {run.manifest['not_a_success']}", stacklevel=2)
    return run


def _run(config: ScoreConfig, on_event: OnEvent | None, describe_shards: bool) -> None:
    """Runs a job in a child process, and passes on its events.

    Raises:
        ScorerError: what ended the job.
    """
    child = Child(__name__)
    try:
        child.send((config, describe_shards))
        while isinstance(answer := child.receive(), Event):
            if on_event:
                on_event(answer)
    except (EOFError, OSError) as error:
        raise JobError(
            "the process of the job has ended",
            where=config.output.directory,
            got=child.how_it_ended(),
            fix=f"if memory ran out, use fewer --workers; then {config.how_to_resume()}",
        ) from error
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"the job was stopped; to continue, {config.how_to_resume()}")
        raise
    finally:
        child.stop()
    if isinstance(answer, ScorerError):
        raise answer


def main() -> None:
    """In the child: receives a config, sends events, and last None or the error that ended the job."""
    connection, lock = caller(), threading.Lock()

    def send(message: object) -> None:
        with lock, contextlib.suppress(OSError):  # a caller that no longer listens stops the job by a signal
            connection.send(message)

    config, describe_shards = connection.recv()
    try:
        send(_do(config, send, describe_shards))
    except ScorerError as error:
        send(error)
    except BaseException as error:
        got = "".join(traceback.format_exception_only(error)).strip()
        send(JobError("the job failed", where=config.output.directory, got=got, fix=config.how_to_resume()))
    os._exit(0)  # all is written; threads of Beam's would wait for workers that are gone


def _do(config: ScoreConfig, send: Callable[[object], None], describe_shards: bool) -> JobError | None:
    from batch_scorer.runners.interruption import Interruption
    from batch_scorer.silence import quieten

    with Interruption() as interruption, logged(config.messages):
        quieten()
        from batch_scorer.runners.job import run_job

        def on_event(event: Event) -> None:
            log(event)
            send(event)
            if event.name == "workers":  # the last before the work begins; the imports are done
                interruption.heed()

        if run_job(config, on_event, describe_shards or config.messages.log_file is not None) is None:
            return JobError(
                "Beam has described the job and not run it",
                where=" ".join(config.job.beam_options),
                fix="leave out the option that asks for that, or use the command line, where it has a meaning",
            )
    return None
