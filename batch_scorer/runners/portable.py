"""What a job needs on a runner of Beam's portable interface: Flink, Spark, Prism, or any job server.

In: Beam's options. Out: the same with defaults that last as long as a job, or a refusal; and quiet while it runs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineRunner

from batch_scorer.errors import OptionError
from batch_scorer.silence import diverted

ANSWER_SECONDS = 10.0
# Beam applies its timeout for a job server's answers, 300 s, to a whole job as well: to the stream of its states.
JOB_SECONDS = 30 * 24 * 3600
_log = logging.getLogger(__name__)


def settle(options: PipelineOptions, words: Sequence[str]) -> None:
    """Lets a job take as long as it takes, unless `words`, the options as given, set a limit.

    Raises:
        OptionError: nothing answers at `--job_endpoint`.
    """
    portable = options.view_as(PortableOptions)
    if not any(word.replace("-", "_").startswith("__job_server_timeout") for word in words):
        portable.job_server_timeout = JOB_SECONDS
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
