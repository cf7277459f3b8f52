"""Which runner a job gets, and the job on it: this machine, Dataflow, or a runner of Beam's portable interface."""

from __future__ import annotations

import tempfile

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, TestOptions

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OptionError, PipelineError, StoppedError, WorkerError
from batch_scorer.escape import command_without_secrets
from batch_scorer.planning.plan import Plan
from batch_scorer.runners import dataflow, dataflow_job, local, portable
from batch_scorer.runners.dataflow_job import FailedJobError, OnLine
from batch_scorer.runners.failure import failure, text_of
from batch_scorer.runners.graph import build


def options(config: ScoreConfig) -> PipelineOptions:
    """Beam's options, with our defaults where the user gave none.

    Raises:
        OptionError: Beam does not know one of them, the runner lacks one, or cannot reach what the config names.
    """
    given = PipelineOptions(list(config.job.beam_options))
    if not config.job.beam_options:
        return given  # of a local job; to list all that Beam knows takes longer than to plan a small one
    known = PipelineOptions([]).get_all_options()
    # Beam ignores words that belong to no option, so that a misspelt runner would go unnoticed.
    stray = [
        word
        for before, word in zip(("", *config.job.beam_options), config.job.beam_options, strict=False)
        if not word.startswith("-") and ("=" in before or not before.startswith("-"))
    ]
    unknown = [name for name in given.get_all_options(retain_unknown_options=True) if name not in known]
    if stray or unknown:
        raise OptionError(
            "Beam does not know an option",
            where=f"after --: {' '.join(config.job.beam_options)}",
            got=stray[0] if stray else f"--{unknown[0]}",
            fix="see the options of your runner in Beam's documentation",
        )
    if dataflow.is_chosen(given):
        dataflow.check(config, given)
    elif given.view_as(TestOptions).dry_run:
        raise OptionError(
            "the runner has no dry run: it would run the job",
            where=f"after --: {' '.join(command_without_secrets(config.job.beam_options))}",
            expected="Beam's --dry_run with --runner=DataflowRunner only",
            got=f"--runner={given.view_as(StandardOptions).runner or 'DirectRunner'}",
            fix="leave it out, and put --dry-run of batch-scorer before --",
        )
    if not local.is_local(given):
        try:
            beam.Pipeline(options=given)  # checks that the runner and what it needs are there, on a copy of the options
        except (ValueError, ImportError, AttributeError) as error:
            raise OptionError(
                "Beam refuses its options",
                where=f"after --: {' '.join(config.job.beam_options)}",
                got=" ".join(str(error).split()),
                fix="see the options of your runner in Beam's documentation",
            ) from error
        if not dataflow.is_chosen(given):
            portable.settle(given, config.job.beam_options)
    return given


def run(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions, on_line: OnLine = lambda line: None) -> bool:
    """Runs the job to its end.

    Args:
        on_line: takes a line for the user.

    Returns:
        Whether a job ran: False where only a description of one was made.

    Raises:
        PipelineError: a step failed, or a service ended the job.
        WorkerError: a local worker died or stopped responding.
        StoppedError: the user left a job that runs elsewhere.
    """
    try:
        if local.is_local(beam_options):
            local.run_here(plan, config, beam_options)
        elif dataflow.is_chosen(beam_options):
            with tempfile.TemporaryDirectory(prefix="batch-scorer-") as folder:
                dataflow.complete(plan, beam_options, folder)
                pipeline = beam.Pipeline(options=beam_options)
                build(pipeline, plan, config)
                return dataflow_job.run(pipeline, config, on_line)
        else:
            pipeline = beam.Pipeline(options=beam_options)
            build(pipeline, plan, config)
            portable.run(pipeline, config)
    except WorkerError as error:
        error.fix = config.how_to_resume()
        raise
    except FailedJobError as error:
        raise failure(error.reason, error.job.url, config, "a --machine_type with more of it") from error
    except (StoppedError, PipelineError):
        raise
    except Exception as error:
        raise failure(text_of(error), config.output.directory, config) from error
    return True
