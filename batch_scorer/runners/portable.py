"""What a job needs on a runner of Beam's portable interface: Flink, Spark, Prism, or any job server.

In: Beam's options. Out: the same with defaults that last as long as a job, or a refusal; and the job run, quietly.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.request import Request, urlopen

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OptionError
from batch_scorer.runners.interruption import stopped
from batch_scorer.silence import diverted

ANSWER_SECONDS = 10.0
# Beam applies its timeout for a job server's answers, 300 s, to a whole job as well: to the stream of its states.
JOB_SECONDS = 30 * 24 * 3600
_log = logging.getLogger(__name__)


def settle(options: PipelineOptions, words: Sequence[str]) -> None:
    """Lets a job take as long as it takes, unless `words`, the options as given, set a limit, and names it.

    Raises:
        OptionError: nothing answers at `--job_endpoint`.
    """
    portable = options.view_as(PortableOptions)
    if not any(word.replace("-", "_").startswith("__job_server_timeout") for word in words):
        portable.job_server_timeout = JOB_SECONDS
    named = options.view_as(GoogleCloudOptions)  # where Beam has the option, whatever the runner
    named.job_name = named.job_name or f"batch-scorer-{uuid.uuid4().hex[:12]}"
    if portable.job_endpoint not in (None, "embed") and not _answers(portable.job_endpoint):
        raise OptionError(
            "the job server does not answer",
            where=f"after --: --job_endpoint={portable.job_endpoint}",
            expected=f"an answer within {ANSWER_SECONDS:g} s",
            fix="start the job server first, or give its host and port",
        )


def _answers(endpoint: str) -> bool:
    import grpc

    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(ANSWER_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def run(pipeline: beam.Pipeline, config: ScoreConfig) -> None:
    """Runs a job to its end, or cancels it where it runs: a cluster would otherwise go on with it.

    Raises:
        StoppedError: by Ctrl-C or SIGTERM.
        Exception: whatever the job failed with.
    """
    result = None
    with hushed_workers(pipeline.runner, config.messages.log_file):
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except BaseException as error:
            continues = _cancel(result, pipeline)
            if not isinstance(error, KeyboardInterrupt):
                raise
            raise stopped(config, continues) from None


def _cancel(result: PipelineResult | None, pipeline: beam.Pipeline) -> str | None:
    """Cancels a job that has not ended; says so if a cluster may go on with it."""
    if result is not None:  # in a thread, since a job server that hangs would never answer
        cancelling = threading.Thread(target=_ask_to_cancel, args=(result,), daemon=True)
        cancelling.start()
        cancelling.join(ANSWER_SECONDS)
    from apache_beam.runners.portability.flink_runner import (  # not for local jobs
        MAGIC_HOST_NAMES,
        FlinkRunner,
    )

    master = pipeline.options.view_as(FlinkRunnerOptions).flink_master
    if not isinstance(pipeline.runner, FlinkRunner) or master in MAGIC_HOST_NAMES:
        return None  # the engine is part of the job server, or of Spark's driver, which is: it ends with it
    # Flink goes on without the job server that submitted the job, which Ctrl-C has stopped by now.
    name, url = pipeline.options.view_as(GoogleCloudOptions).job_name, FlinkRunner.add_http_scheme(master)
    try:
        with urlopen(f"{url}/jobs/overview", timeout=ANSWER_SECONDS) as page:
            jobs: list[dict[str, Any]] = json.load(page)["jobs"]
        for job in jobs:
            if job["name"] == name and job["end-time"] < 0:
                urlopen(Request(f"{url}/jobs/{job['jid']}", method="PATCH"), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError, KeyError) as error:
        _log.warning("cannot cancel the job %s: %r", name, error)
        return f"Flink did not answer at {url}: the job {name} may continue there"
    return None


def _ask_to_cancel(result: PipelineResult) -> None:
    with suppress(Exception):  # the job server is gone already, or the job is
        result.cancel()


@contextmanager
def hushed_workers(runner: PipelineRunner, log_file: str | None) -> Iterator[None]:
    """Makes workers in this process, and in those it starts, log what they would print: Beam prints the traceback of a
    step that fails, which the driver knows anyway.
    """
    if not isinstance(runner, PortableRunner):  # the workers of other runners are elsewhere
        yield
        return
    before, threading.excepthook = threading.excepthook, _note
    with diverted(log_file):
        yield
    threading.excepthook = before  # not after a failure: the job's threads are still about to lose each other


def _note(told: threading.ExceptHookArgs) -> None:
    _log.error("in thread %s: %r", told.thread and told.thread.name, told.exc_value)
