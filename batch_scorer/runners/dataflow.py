"""Dataflow: what is refused before the start, and the defaults of a job there.

In: the config, the plan and Beam's options. Out: the same options, completed; what the user gave always wins.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from importlib import import_module

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OptionError
from batch_scorer.escape import install
from batch_scorer.planning.plan import Plan
from batch_scorer.runners import wheel

# Four vCPUs with 4 GB each; all its processors have AVX-512, so that rows are bit-identical on all workers.
MACHINE, MACHINE_VCPUS = "n2-standard-4", 4
VCPU_REVIEWS_PER_S = 800  # half of what a core does, since a vCPU is a hyperthread: a minute for a full shard
RUN_SECONDS = 15 * 60  # what a run should take, workers permitting
WORKERS_MAX = 100
_LABEL_CHARACTERS = 63
_REQUIRED = {"project": "PROJECT", "region": "REGION", "temp_location": "gs://BUCKET/tmp"}


@dataclass(frozen=True)
class Pool:
    """The workers of a job.

    Args:
        machine: their type.
        vcpus_each: processes on each, one a vCPU.
        workers: how many at the start.
        workers_max: how many there may be.
    """

    machine: str
    vcpus_each: int
    workers: int
    workers_max: int


def is_chosen(options: PipelineOptions) -> bool:
    """Whether the job is to run on Dataflow."""
    runner = options.view_as(StandardOptions).runner or ""
    return runner.rpartition(".")[2].lower().removesuffix("runner") == "dataflow"


def check(config: ScoreConfig, options: PipelineOptions) -> None:
    """Refuses what cannot run on Dataflow, before anything is listed or written.

    Raises:
        OptionError: a package, an option or credentials are missing, or a path is one that workers cannot reach.
    """
    after = f"after --: {' '.join(config.job.beam_options)}"
    try:
        import_module("apache_beam.runners.dataflow.internal.apiclient")
    except ImportError as error:
        raise OptionError(
            "Dataflow needs packages that are not installed",
            where=after,
            got=str(error),
            fix=f"from a checkout of batch-scorer: {install('gcp')}",
        ) from error
    if config.job.workers is not None:
        raise OptionError(
            "--workers counts processes of this machine",
            where=f"--workers {config.job.workers}",
            fix="omit it; --num_workers and --max_num_workers, after --, set Dataflow's",
        )
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    cloud = options.view_as(GoogleCloudOptions)
    cloud.temp_location = cloud.temp_location or cloud.staging_location
    cloud.region = cloud.region or DataflowRunner().get_default_gcp_region()
    missing = [f"--{name}={value}" for name, value in _REQUIRED.items() if not getattr(cloud, name)]
    if missing:
        raise OptionError(
            "Dataflow needs more options",
            where=after,
            expected=" ".join(f"--{name}={value}" for name, value in _REQUIRED.items()),
            got=f"no {' and no '.join(word.partition('=')[0] for word in missing)}",
            fix=f"add {' '.join(missing)}",
        )
    _refuse_local(config, options)
    if _is_to_be_packaged(options):
        wheel.requirements()
    if not cloud.no_auth:
        _refuse_strangers()


def _refuse_strangers() -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        with warnings.catch_warnings(action="ignore"):
            google.auth.default()
    except DefaultCredentialsError as error:  # Beam would look for them for two minutes, then continue without
        raise OptionError(
            "no credentials for Google Cloud were found",
            got=str(error),
            fix="log in with `gcloud auth application-default login`",
        ) from error


def _refuse_local(config: ScoreConfig, options: PipelineOptions) -> None:
    cloud = options.view_as(GoogleCloudOptions)
    places = [("INPUT", path) for path in config.input.paths] + [("--output", config.output.directory)]
    if not _image(options):  # which may contain a model
        places.append(("--model", config.scoring.model or ""))
    places += [("--temp_location", cloud.temp_location), ("--staging_location", cloud.staging_location or "")]
    for name, path in places:
        if path and not storage.is_remote(path):
            copied = "copy it with `gcloud storage cp --recursive`, and " if name in ("INPUT", "--model") else ""
            raise OptionError(
                "workers on Dataflow cannot reach files of this machine",
                where=f"{name} {path}",
                expected="a path in a store: gs://BUCKET/...",
                got="a local path",
                fix=f"{copied}give its path in a bucket",
            )


def _image(options: PipelineOptions) -> str | None:
    workers = options.view_as(WorkerOptions)
    image: str | None = workers.sdk_container_image or workers.worker_harness_container_image
    return image


def _is_to_be_packaged(options: PipelineOptions) -> bool:
    """Whether nothing that the user gave brings this package to the workers."""
    setup = options.view_as(SetupOptions)
    return not (_image(options) or setup.setup_file or setup.extra_packages)


def complete(plan: Plan, options: PipelineOptions, folder: str) -> None:
    """Fills in the options that the user left out; what has to be sent to the workers is built in `folder`."""
    cloud, workers = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    debug, setup = options.view_as(DebugOptions), options.view_as(SetupOptions)
    # On the service Beam sends the objects of `__main__` by default; all of ours are in modules.
    setup.save_main_session = bool(setup.save_main_session)
    if _is_to_be_packaged(options):
        setup.extra_packages = [wheel.write_wheel(folder)]
    elif _image(options):
        # Otherwise Beam sends a list of this machine's packages, for comparison; an image may have nowhere to put it.
        debug.add_experiment("disable_logging_submission_environment")
    # Beam starts one process per vCPU; each takes one bundle at a time, with one thread for TensorFlow.
    debug.number_of_worker_harness_threads = debug.number_of_worker_harness_threads or 1
    found = pool(plan, options)
    workers.machine_type = found.machine
    workers.num_workers, workers.max_num_workers = found.workers, found.workers_max
    workers.autoscaling_algorithm = workers.autoscaling_algorithm or "THROUGHPUT_BASED"
    # The service refuses a second job of the same name while the first is active: nobody resumes a run in progress.
    cloud.job_name = cloud.job_name or job_name(plan.run_id)
    # Where two labels have the same name the last one wins, and that is the user's.
    cloud.labels = [*labels(plan), *(cloud.labels or ())]


def pool(plan: Plan, options: PipelineOptions) -> Pool:
    """As many workers as the plan justifies, or those that the user asked for."""
    workers = options.view_as(WorkerOptions)
    machine = workers.machine_type or MACHINE
    each = vcpus(machine)
    # A shard is scored by one process: with more processes than shards, some would have nothing to do.
    wanted = min(plan.reviews / (VCPU_REVIEWS_PER_S * RUN_SECONDS), plan.shard_count)
    count = max(1, min(-int(-wanted // each), WORKERS_MAX))
    most = workers.max_num_workers or max(count, workers.num_workers or 0)
    return Pool(machine, each, workers.num_workers or min(count, most), most)


def vcpus(machine: str) -> int:
    """How many vCPUs a machine type has, by its name; `MACHINE_VCPUS` if the name does not say."""
    found = re.search(r"custom-(\d+)-|-(?:standard|high\w+|\w+mem)-(\d+)(?:-|$)", machine)
    return int(found[1] or found[2]) if found else MACHINE_VCPUS


def job_name(run_id: str) -> str:
    """A name that the service accepts: lower-case letters, digits and hyphens."""
    word = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-")
    return f"batch-scorer-{word}"[:_LABEL_CHARACTERS].rstrip("-")


def labels(plan: Plan) -> list[str]:
    """Labels for filtering bills and lists of jobs."""
    named = {"batch-scorer-model": plan.model_id, "batch-scorer-run": plan.run_id}
    return [f"{name}={re.sub(r'[^a-z0-9_-]', '-', value.lower())[:_LABEL_CHARACTERS]}" for name, value in named.items()]
