"""Dataflow without a cloud: what is refused, what a job gets, what is submitted, and what becomes of it.

Jobs are sent to a small server instead of the service. It runs what was staged, graph and package, as that would.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OptionError, PipelineError, StoppedError
from batch_scorer.escape import install
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning import plan
from batch_scorer.planning.plan import Plan
from batch_scorer.runners import dataflow, dataflow_job, estimate, graph, pipeline
from batch_scorer.runners.job import PlannedJob
from batch_scorer.storage.stores import client
from deploy import launcher
from tests.cli.test_main import Result, run
from tests.conftest import REVIEWS
from tests.engines import tensorflow_engines
from tests.stubs import gcs
from tests.stubs.dataflow import Service, serving
from tests.stubs.environment import Environment

Config = Callable[..., ScoreConfig]

STEPS = ["Start", "List plan", "Read plan", "Spread shards", "Score shards", "Summarise", "Commit"]
IMAGE = "gcr.io/cloud-dataflow/v1beta3/beam_python"  # of Beam, where the user gives none
GIVEN = ("--runner=DataflowRunner", "--project=proj", "--region=here-1", "--temp_location=gs://bucket/tmp")

# The package of the clean environment, and no credentials, for which Beam would look for half a minute.
WORKER = """
from apache_beam.internal.gcp import auth
auth._Credentials._credentials_init = True
from apache_beam.runners.worker import sdk_worker_main
sdk_worker_main.main([])
"""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tiny_model: Path, reviews_file: Path) -> Iterator[gcs.Store]:
    """A bucket with a few reviews and the tiny model, in place of Google's."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setattr("apache_beam.internal.gcp.auth._Credentials._credentials_init", True)
    client._client.cache_clear()  # of the server of another test
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        store.put("bucket", "in/reviews.jsonl", reviews_file.read_bytes())
        for path in tiny_model.iterdir():
            store.put("bucket", f"model/{path.name}", path.read_bytes())
        yield store


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A server in place of Dataflow."""
    monkeypatch.setattr(dataflow_job, "POLL_SECONDS", 0.02)
    with serving() as service:
        yield service


def score(*more: object, output: str = "gs://bucket/out", beam_options: tuple[str, ...] = ()) -> Result:
    words = ("score", "gs://bucket/in/reviews.jsonl", "--model", "gs://bucket/model", "--id-column", "id")
    return run(*words, "--output", output, *more, "--", *GIVEN, *beam_options)


def at(service: Service) -> tuple[str, ...]:
    # A list of this machine's packages is left out: it takes a second to make.
    more = "--experiments=disable_logging_submission_environment"
    return (f"--dataflow_endpoint={service.url}", "--no_auth", more)


@pytest.fixture
def made(config: Config, reviews_file: Path, tiny: Artifact) -> Plan:
    """A plan of the few reviews."""
    return plan.make_plan(config(reviews_file), tiny.model_id)[0]


def completed(made: Plan, folder: Path, *more: str) -> dict[str, Any]:
    options = PipelineOptions([*GIVEN, *more])
    dataflow.complete(made, options, str(folder))
    found: dict[str, Any] = options.get_all_options()
    return found


# What is refused.

THERE = ["gs://b/in", "--output", "gs://b/out"]
REFUSED = {
    "local input": (["in.jsonl", "--output", "gs://b/out"], GIVEN, ["INPUT in.jsonl", "gcloud storage cp"]),
    "local output": (["gs://b/in", "--output", "out"], GIVEN, ["--output out", "its path in a bucket"]),
    "local model": ([*THERE, "--model", "m"], GIVEN, ["--model m", "gcloud storage cp"]),
    "local temp": (THERE, (*GIVEN, "--temp_location=/t"), ["--temp_location /t"]),
    "workers": ([*THERE, "--workers", "3"], GIVEN, ["--workers 3", "--num_workers and --max_num_workers"]),
    "no project": (THERE, (GIVEN[0], *GIVEN[2:]), ["no --project", "add --project=PROJECT"]),
    "no temp": (THERE, GIVEN[:3], ["no --temp_location", "add --temp_location=gs://BUCKET/tmp"]),
    "nothing": (
        THERE,
        GIVEN[:1],
        [
            "no --project and no --region and no --temp_location",
            "add --project=PROJECT --region=REGION --temp_location",
        ],
    ),
}


@pytest.mark.parametrize(("args", "beam_options", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_on_dataflow_is_exit_2_and_says_what_to_do(
    args: list[str], beam_options: tuple[str, ...], named: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")  # gcloud's settings may name a region
    monkeypatch.delenv("CLOUDSDK_COMPUTE_REGION", raising=False)
    monkeypatch.chdir(tmp_path)
    result = run("score", *args, "--", *beam_options)
    assert 2 == result.exit_code
    assert [] == [text for text in [*named, "to fix:"] if text not in result.stderr], result.stderr


def test_missing_packages_are_refused_with_the_command_that_installs_them(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apache_beam.runners.dataflow.internal.apiclient", None)
    with pytest.raises(OptionError) as told:
        pipeline.options(config("gs://b/in", output="gs://b/out", model=None, beam_options=GIVEN))
    assert f"from a checkout of batch-scorer: {install('gcp')}" == told.value.fix


def test_user_without_credentials_is_refused_at_once(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(OptionError) as told:
        pipeline.options(config("gs://b/in", output="gs://b/out", model=None, beam_options=GIVEN))
    assert "log in with `gcloud auth application-default login`" == told.value.fix


def test_region_of_the_environment_and_staging_place_stand_in_for_what_is_missing(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_COMPUTE_REGION", "there-2")
    given = PipelineOptions([*GIVEN[:2], "--staging_location=gs://b/staging", "--no_auth"])
    dataflow.check(config("gs://b/in", output="gs://b/out", model=None), given)
    found = given.get_all_options()
    assert ("there-2", "gs://b/staging") == (found["region"], found["temp_location"])


def test_local_model_is_accepted_with_an_image_that_may_hold_it(config: Config) -> None:
    given = PipelineOptions([*GIVEN, "--sdk_container_image=eu.gcr.io/p/i", "--no_auth"])
    dataflow.check(config("gs://b/in", output="gs://b/out", model="/opt/model"), given)


# What a job gets.


def test_job_gets_what_the_user_left_open(made: Plan, tmp_path: Path) -> None:
    found = completed(made, tmp_path)
    expected = {
        "save_main_session": False,
        "number_of_worker_harness_threads": 1,
        "machine_type": "n2-standard-4",
        "num_workers": 1,
        "max_num_workers": 1,
        "autoscaling_algorithm": "THROUGHPUT_BASED",
        "job_name": f"batch-scorer-{made.run_id}",
        "labels": [f"batch-scorer-model={made.model_id}", f"batch-scorer-run={made.run_id}"],
        "extra_packages": [str(tmp_path / "batch_scorer-0.1.0-py3-none-any.whl")],
        "experiments": None,
    }
    assert expected == {name: found[name] for name in expected}


THEIRS = {
    "save_main_session": ("--save_main_session", True),
    "number_of_worker_harness_threads": ("--number_of_worker_harness_threads=3", 3),
    "machine_type": ("--machine_type=e2-highmem-8", "e2-highmem-8"),
    "num_workers": ("--num_workers=7", 7),
    "max_num_workers": ("--max_num_workers=9", 9),
    "autoscaling_algorithm": ("--autoscaling_algorithm=NONE", "NONE"),
    "job_name": ("--job_name=mine", "mine"),
}


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("--extra_package=mine.whl", "extra_packages", ["mine.whl"]),
        ("--setup_file=./setup.py", "setup_file", "./setup.py"),
        ("--sdk_container_image=eu.gcr.io/p/i", "sdk_container_image", "eu.gcr.io/p/i"),
    ],
)
def test_what_the_user_gives_stands(option: str, name: str, value: object, made: Plan, tmp_path: Path) -> None:
    found = completed(made, tmp_path, option, *(option for option, _ in THEIRS.values()))
    assert {name: value for name, (_, value) in THEIRS.items()} == {name: found[name] for name in THEIRS}
    assert value == found[name]
    assert [] == list(tmp_path.glob("*.whl"))


def test_labels_and_experiments_of_the_user_are_kept_and_nothing_is_staged_for_an_image(
    made: Plan, tmp_path: Path
) -> None:
    flex = '--labels={ "goog-dataflow-provided-template-type" : "flex" }'
    more = (flex, "--labels=batch-scorer-run=mine", "--experiments=a,b=c", "--sdk_container_image=eu.gcr.io/p/i")
    found = completed(made, tmp_path, *more)
    assert [flex.removeprefix("--labels="), "batch-scorer-run=mine"] == found["labels"][2:]
    assert ["a", "b=c", "disable_logging_submission_environment"] == found["experiments"]
    assert found["extra_packages"] is None


@pytest.mark.parametrize(
    ("reviews", "shards", "more", "workers", "most"),
    [
        (100, 1, (), 1, 1),
        (10_000_000, 200, (), 4, 4),  # 14 vCPUs for a quarter of an hour
        (10_000_000, 5, (), 2, 2),  # never more vCPUs than shards, but for the last machine
        (10**9, 20_000, (), 100, 100),
        (10**9, 20_000, ("--machine_type=n2-standard-32",), 44, 44),
        (10_000_000, 200, ("--num_workers=9",), 9, 9),
        (10_000_000, 200, ("--num_workers=2",), 2, 4),
        (10_000_000, 200, ("--max_num_workers=3",), 3, 3),
    ],
)
def test_workers_are_as_many_as_the_plan_is_worth(
    reviews: int, shards: int, more: tuple[str, ...], workers: int, most: int, made: Plan
) -> None:
    large = dataclasses.replace(made, reviews=reviews, shard_count=shards)
    found = dataflow.pool(large, PipelineOptions([*GIVEN, *more]))
    assert (workers, most) == (found.workers, found.workers_max)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        *(("n1-standard-16", 16), ("e2-highcpu-8", 8), ("n2-custom-12-4096", 12), ("custom-6-2048", 6)),
        *(("c3-standard-22-lssd", 22), ("m1-ultramem-40", 40), ("n2d-highmem-2", 2), ("e2-medium", 4)),
    ],
)
def test_vcpus_are_read_from_the_name_of_the_machine(machine: str, expected: int) -> None:
    assert expected == dataflow.vcpus(machine)


@pytest.mark.parametrize(
    ("run_id", "name", "label"),
    [
        ("d5da705a8bfc", "batch-scorer-d5da705a8bfc", "d5da705a8bfc"),
        ("May 2026/Größe_1", "batch-scorer-may-2026-gr-e-1", "may-2026-gr--e_1"),
        ("x" * 80, "batch-scorer-" + "x" * 50, "x" * 63),
        ("-", "batch-scorer", "-"),
    ],
)
def test_job_name_and_labels_have_the_characters_that_the_service_takes(
    run_id: str, name: str, label: str, made: Plan
) -> None:
    assert name == dataflow.job_name(run_id)
    assert f"batch-scorer-run={label}" == dataflow.labels(dataclasses.replace(made, run_id=run_id))[1]


# What is submitted.


def graph_of(data: bytes) -> beam_runner_api_pb2.Pipeline:
    return beam_runner_api_pb2.Pipeline.FromString(data)


def steps(proto: beam_runner_api_pb2.Pipeline) -> list[str]:
    roots = [proto.components.transforms[name] for name in proto.root_transform_ids]
    names = [proto.components.transforms[child].unique_name for root in roots for child in root.subtransforms]
    return names or [root.unique_name for root in roots]


def test_dry_run_of_beam_builds_the_package_and_the_graph(made: Plan, config: Config, tmp_path: Path) -> None:
    # With the address of the service itself, so that its defaults hold; nothing is sent.
    config = config("gs://bucket/in", output="gs://bucket/out", model="gs://bucket/model")
    options = PipelineOptions([*GIVEN, "--dry_run=True", "--no_auth"])
    dataflow.complete(made, options, str(tmp_path))
    job = beam.Pipeline(options=options)
    graph.build(job, made, config)
    proto = job.run().job.proto_pipeline

    assert STEPS == steps(proto)
    (environment,) = [e for e in proto.components.environments.values() if e.dependencies]
    assert common_urns.environments.DOCKER.urn == environment.urn
    image = beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
    assert image.startswith(IMAGE)
    role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString
    staged = {role(item.role_payload).staged_name for item in environment.dependencies}
    environment_file = "submission_environment_dependencies.txt"
    assert {"batch_scorer-0.1.0-py3-none-any.whl", "extra_packages.txt", environment_file} == staged


def test_template_is_the_whole_job_and_starts_none(store: gcs.Store) -> None:
    result = score("--run-id", "May", beam_options=("--template_location=gs://bucket/job.json", "--no_auth"))
    assert 0 == result.exit_code, result.output
    assert "no job was started: its template is gs://bucket/job.json" in result.stdout
    assert [] == store.names("bucket", "out/_") + store.names("bucket", "out/manifest")
    assert "out/plan.json" in store.names("bucket")

    job = json.loads(store.read("bucket", "job.json"))
    assert "batch-scorer-may" == job["name"]
    assert "JOB_TYPE_BATCH" == job["type"]
    assert {"batch-scorer-run": "may"} == {k: v for k, v in job["labels"].items() if k == "batch-scorer-run"}
    assert 12 == len(job["labels"]["batch-scorer-model"])
    (workers,) = job["environment"]["workerPools"]
    assert ("harness", "n2-standard-4", 1, 1) == tuple(
        workers[name] for name in ("kind", "machineType", "numWorkers", "numThreadsPerWorker")
    )
    assert {"algorithm": "AUTOSCALING_ALGORITHM_BASIC", "maxNumWorkers": 1} == workers["autoscalingSettings"]
    (image,) = workers["sdkHarnessContainerImages"]
    assert image["containerImage"].startswith(IMAGE) and image["useSingleCorePerContainer"]  # a process a vCPU
    assert {"use_runner_v2", "use_multiple_sdk_containers"} <= set(job["environment"]["experiments"])
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert options["save_main_session"] is False
    staged = [item["name"] for item in workers["packages"]]
    assert sorted(["batch_scorer-0.1.0-py3-none-any.whl", "extra_packages.txt"]) == sorted(
        name for name in staged if name != "submission_environment_dependencies.txt"
    )
    assert STEPS == steps(graph_of(store.read("bucket", options["pipelineUrl"].removeprefix("gs://bucket/"))))


def test_job_with_an_image_stages_nothing(store: gcs.Store) -> None:
    more = ("--template_location=gs://bucket/job.json", "--no_auth", "--sdk_container_image=eu.gcr.io/p/i:1")
    assert 0 == score(beam_options=more).exit_code
    (workers,) = json.loads(store.read("bucket", "job.json"))["environment"]["workerPools"]
    assert [] == workers.get("packages", [])
    assert ["eu.gcr.io/p/i:1"] == [image["containerImage"] for image in workers["sdkHarnessContainerImages"]]


def test_request_does_not_grow_with_the_files(store: gcs.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(pattern: str) -> storage.Matched:
        files = [storage.StoredFile(f"gs://bucket/in/{i:06d}.txt", 1_000, 1.0) for i in range(count)]
        return storage.Matched(files, {}, {})

    sizes = []
    for count in (100, 50_000):
        output = f"gs://bucket/{count}"
        with monkeypatch.context() as patch:
            patch.setattr("batch_scorer.planning.listing.storage.match_all", listed)
            job = ScoreConfig.of(
                ("gs://bucket/in/*.txt",), output, "gs://bucket/model", input_format="files", run_id="r"
            )
            planned, shards = plan.make_plan(job, "0" * 12)
        assert (count, 50 if count > 100 else 1) == (planned.reviews, len(shards))
        options = PipelineOptions(
            [*GIVEN, "--sdk_container_image=i/i", f"--template_location=gs://bucket/{count}.json", "--no_auth"]
        )
        pipeline.run(planned, job, options)
        graphs = [name for name in store.names("bucket", "tmp/") if name.endswith("/pipeline.pb")]
        sizes.append((len(store.read("bucket", f"{count}.json")), len(store.read("bucket", graphs[-1]))))
    assert all(abs(large - small) < 200 and large < 50_000 for small, large in zip(*sizes, strict=True)), sizes


# What becomes of it.


def runs_as_the_service_would(store: gcs.Store, clean: Environment) -> Callable[[dict[str, Any]], None]:
    """Runs the graph that was staged, by workers that have the package that was staged."""

    def work(job: dict[str, Any]) -> None:
        (workers,) = job["environment"]["workerPools"]
        staged = {item["name"]: item["location"].partition("/bucket/")[2] for item in workers["packages"]}
        assert clean.wheel.read_bytes() == store.read("bucket", staged[clean.wheel.name])
        url = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        proto = graph_of(store.read("bucket", url.removeprefix("gs://bucket/")))
        for environment in proto.components.environments.values():
            environment.urn = python_urns.SUBPROCESS_SDK
            environment.payload = f"exec {clean.interpreter} -I -c '{WORKER}'".encode()
            del environment.dependencies[:]
        FnApiRunner().run_via_runner_api(proto, PipelineOptions([])).wait_until_finish()

    return work


@tensorflow_engines()
def test_submitted_job_is_followed_and_gives_what_a_local_run_gives(
    store: gcs.Store, service: Service, clean: Environment, tiny_model: Path, tmp_path: Path
) -> None:
    service.work = runs_as_the_service_would(store, clean)
    result = score("--run-id", "r", "--shard-rows", 2, beam_options=at(service))
    assert 0 == result.exit_code, result.output
    (job,) = service.jobs
    console = f"https://console.cloud.google.com/dataflow/jobs/here-1/{job['id']}?project=proj"
    lines = [
        line for line in result.stdout.splitlines() if " of 6 reviews" not in line
    ]  # how far it is, on a slow machine
    assert [f"job batch-scorer-r: {console}", "job pending", "job running", "job done"] == lines[1:5]
    assert lines[5].startswith("6 reviews scored")
    assert service.sizes[0] < 20_000

    store_input = "gs://bucket/in/reviews.jsonl"
    again = run("score", store_input, "--model", tiny_model, "--output", tmp_path / "here", "--id-column", "id",
                "--run-id", "r", "--shard-rows", 2, "--workers", 1)  # fmt: skip
    assert 0 == again.exit_code, again.output
    parts = sorted(path.relative_to(tmp_path / "here").as_posix() for path in tmp_path.glob("here/*/part-*"))
    assert [f"out/{part}" for part in parts] == [name for name in store.names("bucket", "out") if "part-" in name]
    assert len(REVIEWS) == sum(pq.read_table(tmp_path / "here" / part).num_rows for part in parts)
    for part in parts:
        here, there = (tmp_path / "here" / part).read_bytes(), store.read("bucket", f"out/{part}")
        assert pq.read_table(pa.BufferReader(here)).equals(pq.read_table(pa.BufferReader(there)))
        assert here == there


WORKERS_ERROR = """Error message from worker: generic::unknown: Traceback (most recent call last):
  File "/usr/local/lib/python3.11/site-packages/apache_beam/runners/worker/sdk_worker.py", line 311, in _execute
    response = task()
  File "/usr/local/lib/python3.11/site-packages/batch_scorer/scoring/shard.py", line 112, in _refuse_changed
    raise ChangedError(
batch_scorer.errors.ChangedError: an input has changed since the job was planned
  where:    gs://bucket/in/reviews.jsonl
  expected: 502 bytes, of 2026-01-01
  got:      no such file
  to fix:   put it back (or start anew with --overwrite) [while running 'Score shards-ptransform-24']

passed through:
==>
    dist_proc/dax/workflow/worker/fnapi_service_impl.cc:1333
"""


def test_failed_job_is_exit_1_with_the_first_error_of_a_worker(
    store: gcs.Store, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(job: dict[str, Any]) -> None:
        generic = "Workflow failed. Causes: S03 failed., a work item was attempted 4 times"
        texts = (
            "A worker was slow to start.",
            "Startup of a worker failed.",
            WORKERS_ERROR,
            "Traceback: later",
            generic,
        )
        service.messages += [("JOB_MESSAGE_BASIC" if i == 0 else "JOB_MESSAGE_ERROR", t) for i, t in enumerate(texts)]
        service.states[-1] = "JOB_STATE_FAILED"

    service.work = work
    monkeypatch.setattr("sys.argv", ["batch-scorer", "score", "in", "--output", "out", "--", "--runner=DataflowRunner"])
    result = score(beam_options=at(service))
    assert 1 == result.exit_code
    expected = [
        "error: the job failed: an input has changed since the job was planned",
        "  where:    gs://bucket/in/reviews.jsonl",
        "  expected: 502 bytes, of 2026-01-01",
        "  got:      no such file",
        "  to fix:   put it back (or start anew with --overwrite); then run "
        "`batch-scorer score in --output out --resume -- --runner=DataflowRunner`: finished work is kept",
    ]
    assert expected == result.stderr.splitlines()
    assert "job failed" in result.stdout.splitlines()


@pytest.fixture
def submitted(store: gcs.Store, service: Service, made: Plan) -> Callable[..., bool]:
    """Runs a planned job, with nothing staged for it."""
    job = ScoreConfig.of(("gs://bucket/in",), "gs://bucket/out", "gs://bucket/model", run_id="r")

    def submit(on_line: dataflow_job.OnLine = lambda line: None) -> bool:
        return pipeline.run(made, job, PipelineOptions([*GIVEN, *at(service), "--sdk_container_image=i/i"]), on_line)

    return submit


@pytest.mark.parametrize(
    ("state", "messages", "what", "got", "fix"),
    [
        ("FAILED", ["no quota for N2"], "the job failed", "no quota for N2", "fix the cause, then run the same"),
        ("FAILED", [], "the job failed", "the service gave no reason", "fix the cause, then run the same"),
        (
            "FAILED",
            ["slow", "Traceback\nMemoryError: x"],
            "the job failed",
            "MemoryError: x",
            "a --machine_type with more",
        ),
        ("CANCELLED", [], "the job was cancelled", None, "to continue, run the same command with --resume"),
    ],
)
def test_job_that_ends_otherwise_says_how_and_where(
    state: str, messages: list[str], what: str, got: str | None, fix: str, service: Service,
    submitted: Callable[..., bool], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(dataflow_job, "REASON_SECONDS", 0.1)

    def work(job: dict[str, Any]) -> None:
        service.messages += [("JOB_MESSAGE_ERROR", text) for text in messages]
        service.states[-1] = f"JOB_STATE_{state}"

    service.work = work
    with pytest.raises(PipelineError) as told:
        submitted()
    url = f"https://console.cloud.google.com/dataflow/jobs/here-1/{service.jobs[0]['id']}?project=proj"
    assert (what, url, got) == (told.value.what, told.value.where, told.value.got)
    assert fix in str(told.value.fix)


def test_interrupted_user_is_told_that_the_job_goes_on_and_how_to_end_it(
    service: Service, submitted: Callable[..., bool]
) -> None:
    def interrupted(line: str) -> None:
        if line == "job pending":
            raise KeyboardInterrupt

    with pytest.raises(StoppedError, match="the job continues") as told:
        submitted(interrupted)
    command = f"gcloud dataflow jobs cancel {service.jobs[0]['id']} --project=proj --region=here-1"
    assert f"to cancel it, `{command}`; to continue once it has ended, run the same command with --resume" in str(
        told.value
    )


def test_second_job_of_a_run_is_refused_while_the_first_goes_on(
    service: Service, submitted: Callable[..., bool]
) -> None:
    def second(line: str) -> None:
        if line == "job pending":
            submitted()

    first = threading.Event()
    service.work = lambda job: first.wait(600) and None
    with pytest.raises(PipelineError, match="a job of this name is already active") as told:
        submitted(second)
    first.set()
    assert f"job {service.jobs[0]['name']}" == told.value.where
    assert 1 == len(service.jobs)


def test_job_that_the_service_refuses_says_why(service: Service, submitted: Callable[..., bool]) -> None:
    service.refuse = lambda method: 403 if method == "POST" else 0
    with pytest.raises(PipelineError, match="the service refused the job") as told:
        submitted()
    assert "injected 403" in str(told.value.got)
    assert str(told.value.where).startswith("job batch-scorer-")


def test_service_that_is_away_for_a_while_is_waited_for_and_then_given_up(
    service: Service, submitted: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    asked = itertools.count()
    service.refuse = lambda method: 403 if method == "GET" and next(asked) in range(1, 4) else 0
    assert submitted(told.append)
    assert "job done" == told[-1] and 4 < next(asked)

    service.refuse = lambda method: 403 if method == "GET" else 0
    monkeypatch.setattr(dataflow_job, "LOST_SECONDS", 0.2)
    with pytest.raises(PipelineError, match="the service stopped answering; the job may continue") as given_up:
        submitted()
    assert "injected 403" in str(given_up.value.got)


# What it would cost.


def test_dry_run_shows_workers_vcpu_hours_and_cost_and_what_it_assumes(store: gcs.Store) -> None:
    before = store.names("bucket")
    result = score("--dry-run", "--price-per-vcpu-hour", "0.5", beam_options=("--num_workers=3", "--no_auth"))
    assert 0 == result.exit_code, result.output
    *_, line, assumed, last = result.stdout.splitlines()
    # Three workers of four vCPUs for the five minutes that they are assumed to need for a start.
    expected = r"about 5 min on Dataflow: 3 n2-standard-4 workers, 12 vCPUs; 1\.0 vCPU-hours, 0\.5\d at the given price"
    assert re.fullmatch(expected, line)
    assert assumed.startswith("  assumed: a vCPU, which is a hyperthread, does 50% of the work of a process here (")
    assert "nothing was written" == last
    assert before == store.names("bucket")


def test_dry_run_over_records_that_cannot_be_scored_says_that_it_knows_no_time(
    store: gcs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_seconds_a_record", lambda *_: None)
    result = score("--dry-run", beam_options=("--num_workers=3", "--no_auth"))
    assert 0 == result.exit_code, result.output
    said = " ".join(result.output.split())
    assert "none of the first records can be scored" in said and "without its options for Beam, says why" in said


def test_estimate_counts_rounds_of_shards_over_all_vcpus(
    made: Plan, tiny: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "load_engine", lambda *_: None)
    monkeypatch.setattr(estimate, "_seconds_a_record", lambda *_: 1 / 1_000)
    large = dataclasses.replace(made, reviews=9_000_000, shard_count=180)
    job = PlannedJob(tiny, large, [], PipelineOptions([]), None, 1.0, 1.0)
    found = estimate.estimate_on_dataflow(job, dataflow.Pool("m-4", 4, 1, 20), 0.1)
    # Three rounds of 80 shards or fewer, each of 50 000 reviews at 500 a second.
    assert 300 + 3 * 100 == found.total_s
    assert 80 * 600 / 3600 == found.vcpu_hours
    assert 0.1 * found.vcpu_hours == found.cost


def test_page_names_every_option_that_is_filled_in_and_the_figures_of_the_code(made: Plan, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/dataflow.md").read_text(encoding="utf-8")
    given = PipelineOptions(list(GIVEN)).get_all_options()
    names = {"save_main_session": "no_save_main_session", "extra_packages": "extra_package"}
    changed = [name for name, value in completed(made, tmp_path).items() if value != given[name]]
    assert 9 == len(changed)
    assert [] == [name for name in changed if f"`--{names.get(name, name)}`" not in page]
    figures = (f"`{dataflow.MACHINE}`", f"{dataflow.VCPU_REVIEWS_PER_S} reviews/s", f"{dataflow.WORKERS_MAX} machines")
    assert [] == [text for text in figures if text not in page]
    assert (15 * 60, 300, 0.5, 600) == (
        dataflow.RUN_SECONDS, estimate.DATAFLOW_START_S, estimate.VCPU_SHARE, dataflow_job.LOST_SECONDS
    )  # fmt: skip  # a quarter of an hour, five minutes, half, ten minutes


def test_launch_of_the_flex_template_plans_writes_the_job_and_stages_no_package(
    store: gcs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ["--input=gs://bucket/in/reviews.jsonl", "--output=gs://bucket/out/{date}", "--id_column=id"]
    place = "staging/template_launches/1/job_object"
    added = [  # by Google's launcher
        "--job_name=first",
        "--staging_location=gs://bucket/staging",
        f"--template_location=gs://bucket/{place}",
        '--labels={\n   "goog-dataflow-provided-template-type" : "flex"\n}\n',
    ]
    built = {"BATCH_SCORER_IMAGE": "image:1", "BATCH_SCORER_MODEL": "gs://bucket/model"}
    words = launcher.command([*ours, *GIVEN, *added, "--no_auth"], built, date(2026, 3, 1))
    result = run(*words[1:])
    assert 0 == result.exit_code, result.output
    assert {"out/2026-03-01/plan.json", "out/2026-03-01/plan/00000.jsonl"} == set(store.names("bucket", "out/"))
    job = json.loads(store.read("bucket", place))
    assert "first" == job["name"]
    assert {"goog-dataflow-provided-template-type", "batch-scorer-model", "batch-scorer-run"} == set(job["labels"])
    (workers,) = job["environment"]["workerPools"]
    assert ["image:1"] == [image["containerImage"] for image in workers["sdkHarnessContainerImages"]]
    assert [] == workers.get("packages", [])
