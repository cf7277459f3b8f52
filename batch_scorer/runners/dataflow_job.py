"""A job on Dataflow, followed from its submission to its end: its states are reported, its failure becomes an error.

In: Beam's pipeline, built. Out: nothing, or the error that the service names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.runner import PipelineState

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import PipelineError, StoppedError

POLL_SECONDS = 5.0
LOST_SECONDS = 600.0  # without an answer from the service; meanwhile the job continues
REASON_SECONDS = 50.0  # a failed job may take half a minute to say why
OnLine = Callable[[str], None]


class FailedJobError(Exception):
    """A job failed on the service.

    Args:
        job: where to look at it.
        reason: what its workers or the service said, including tracebacks.
    """

    def __init__(self, job: Job, reason: str) -> None:
        super().__init__(reason)
        self.job, self.reason = job, reason


@dataclass(frozen=True)
class Job:
    """A submitted job."""

    id: str
    project: str
    region: str

    @property
    def url(self) -> str:
        """Its web page."""
        return f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.id}?project={self.project}"

    @property
    def how_to_cancel(self) -> str:
        """The command that cancels it."""
        return f"gcloud dataflow jobs cancel {self.id} --project={self.project} --region={self.region}"


def run(pipeline: beam.Pipeline, config: ScoreConfig, on_line: OnLine) -> bool:
    """Submits the job and follows it to its end.

    Args:
        on_line: takes a line for the user.

    Returns:
        Whether a job ran: False where Beam was asked for a template, or for a dry run of its own.

    Raises:
        FailedJobError: the job failed.
        PipelineError: the service refused the job, it was cancelled, or the service stopped answering.
        StoppedError: by Ctrl-C or SIGTERM; the job continues.
    """
    google = pipeline.options.view_as(GoogleCloudOptions)
    result = _submit(pipeline, google.job_name, config)
    if not getattr(result, "has_job", False):
        template, asked = google.template_location, "as Beam's --dry_run asks"
        on_line(f"no job was started: its template is {template}" if template else f"no job was started, {asked}")
        return False
    job = Job(result.job_id(), google.project, google.region)
    on_line(f"job {google.job_name}: {job.url}")
    try:
        state = _wait(result, job, config, on_line)
        if state == PipelineState.FAILED:
            raise FailedJobError(job, _reason(pipeline.runner.dataflow_client, job))
    except KeyboardInterrupt:
        raise StoppedError(
            "interrupted; the job continues",
            where=job.url,
            fix=f"to cancel it, `{job.how_to_cancel}`; to continue once it has ended, {config.how_to_resume()}",
        ) from None
    if state != PipelineState.DONE:
        raise PipelineError(f"the job was {_word(state)}", where=job.url, fix=f"to continue, {config.how_to_resume()}")
    return True


def _submit(pipeline: beam.Pipeline, name: str, config: ScoreConfig) -> Any:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import Conflict, GoogleAPICallError

    try:
        return pipeline.run()
    except (DataflowJobAlreadyExistsError, Conflict) as error:
        raise PipelineError(
            "a job of this name is already active",
            where=f"job {name}",
            got=" ".join(str(error).split()),
            fix=f"wait for it to end, or cancel it, and {config.how_to_resume()}; for a different run, give --job_name",
        ) from error
    except GoogleAPICallError as error:
        raise PipelineError(
            "the service refused the job",
            where=f"job {name}",
            got=" ".join(str(error).split()),
            fix=f"fix the cause, then {config.how_to_resume()}",
        ) from error


def _wait(result: Any, job: Job, config: ScoreConfig, on_line: OnLine) -> str:
    """Polls the job until it ends; returns how."""
    before, answered = "", time.monotonic()
    while True:
        try:
            state: str = result.state
            answered = time.monotonic()
        except Exception as error:  # whatever the network and two libraries may raise
            if time.monotonic() - answered > LOST_SECONDS:
                raise PipelineError(
                    "the service stopped answering; the job may continue",
                    where=job.url,
                    got=f"{type(error).__name__}: {' '.join(str(error).split())}",
                    fix=f"look at it there; once it has ended, {config.how_to_resume()}",
                ) from error
        else:
            if state != before:
                on_line(f"job {_word(state)}")
                before = state
            if PipelineState.is_terminal(state):
                return state
        time.sleep(POLL_SECONDS)


def _word(state: str) -> str:
    return state.lower().replace("_", " ")


def _reason(client: Any, job: Job) -> str:
    """Why the job failed: the first error with a traceback, which is a worker's, or else the first error."""
    end = time.monotonic() + REASON_SECONDS
    while not (errors := list(_errors(client, job))) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    traced = [text for text in errors if "Traceback" in text]
    return (traced or errors or ["the service gave no reason"])[0]


def _errors(client: Any, job: Job) -> Iterator[str]:
    page = None
    while True:
        messages, page = client.list_messages(job.id, page_token=page, minimum_importance="JOB_MESSAGE_ERROR")
        yield from (message.message_text for message in messages)
        if not page:
            return
