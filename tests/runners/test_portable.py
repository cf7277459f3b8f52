"""The same job over Beam's portable interface: workers in processes of their own, over gRPC, give the same bytes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import PortableOptions

from batch_scorer import errors
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError, PipelineError, ScorerError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.profile import EMPTY
from batch_scorer.planning import plan
from batch_scorer.runners import graph, local, pipeline, portable
from batch_scorer.runs.markers import Counts, Summary
from batch_scorer.scoring.write import Part
from benchmarks.portability.run import servers
from scripts.engine_versions import ENGINES
from scripts.fetch_engines import CACHE, cache
from tests.chaos.gate import Gate
from tests.conftest import REVIEWS
from tests.jobs import part_bytes, score_here
from tests.processes import GUARD_S, running, sessions, wait_until

pytestmark = pytest.mark.usefixtures("through_beam")

Config = Callable[..., ScoreConfig]
Words = tuple[str, ...]
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/portable"
BAD = ({"id": "b1"}, {"id": "b2", "text": "?!"}, b'{"id": "b3", "text": "cut off')


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="module")
def over_grpc(logs: Path) -> Iterator[Words]:
    """Beam's options for a job server and a pool of two workers."""
    with servers(2, logs) as beam_options:
        yield beam_options


@pytest.fixture
def mixed(folder: Path) -> Path:
    """360 good reviews, three bad records among them, and a file that is damaged."""
    lines = [
        json.dumps({"id": f"{i}-{name}", "text": f"{text} {'very ' * (i % 7)}", "stars": i}).encode()
        for i in range(60)
        for name, text in REVIEWS
    ]
    for place, bad in zip((3, 200, 340), BAD, strict=True):
        lines.insert(place, bad if isinstance(bad, bytes) else json.dumps(bad).encode())
    (folder / "reviews.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (folder / "damaged.parquet").write_bytes(b"PAR1 and no more")
    return folder


def loopback(over_grpc: Words) -> Words:
    """Options for the same job server, with workers that the driver starts."""
    runner, job_server, *_ = over_grpc
    return (runner, job_server, "--environment_type=LOOPBACK", "--experiments=use_loopback_process_worker")


def environment() -> dict[str, str]:
    """Where Beam finds this Python by the name `python`, and Python this checkout."""
    places = {"PATH": Path(sys.executable).parent, "PYTHONPATH": ROOT}
    return {**os.environ, **{name: f"{place}{os.pathsep}{os.environ.get(name, '')}" for name, place in places.items()}}


def test_job_in_other_processes_gives_the_same_bytes_and_counts(
    mixed: Path, config: Config, tmp_path: Path, over_grpc: Words, logs: Path
) -> None:
    common: dict[str, Any] = {"id_column": "id", "kept": (Kept("stars", "rating"),), "run_id": "r", "shard_rows": 50}
    ways: dict[str, dict[str, Any]] = {
        "in process": {"workers": 1},
        "multi_processing": {"workers": 1, "beam_options": ("--direct_running_mode=multi_processing",)},
        "external pool": {"beam_options": over_grpc},
    }
    manifests = [score_here(config(mixed, output=str(tmp_path / name), **common, **way)) for name, way in ways.items()]
    expected = part_bytes(tmp_path / "in process")
    assert 8 < len(expected)
    for name, manifest in zip(ways, manifests, strict=True):
        assert expected == part_bytes(tmp_path / name)
        assert {"read": 363, "scored": 360, "rejected": 3, "unreadable": 1, "empty": 1} == manifest["counts"]
        assert manifests[0]["profile"] == manifest["profile"]
    started = (logs / "worker-pool.log").read_text().count("Starting worker with command")
    assert 2 == started


FAILING = """
import os, sys
from pathlib import Path
from batch_scorer.cli import main as cli
from batch_scorer.runs import plan_files
from tests.conftest import save_tiny
write_plan = plan_files.write_plan
def writes_it_and_changes_the_model(*args):
    write_plan(*args)
    save_tiny(Path(sys.argv[1]), seed=8)
plan_files.write_plan = writes_it_and_changes_the_model
cli.main(sys.argv[2:])
"""


def test_step_that_fails_in_another_process_is_told_as_ours_and_without_a_traceback(
    mixed: Path, tmp_path: Path, over_grpc: Words
) -> None:
    from tests.conftest import save_tiny

    model = save_tiny(tmp_path / "model")
    words = ("score", mixed, "--model", model, "--output", tmp_path / "out", "--", *loopback(over_grpc))
    command = [sys.executable, "-c", FAILING, *map(str, (model, *words))]
    job = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), timeout=GUARD_S)
    assert 1 == job.returncode
    told = job.stderr.splitlines()
    assert "error: the job failed: the worker's model is not the one that the job was planned with" == told[0]
    assert f"  where:    {model}" == told[1]
    assert "--resume" in told[-1]
    assert "Traceback" not in job.stderr + job.stdout


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """What `scripts/venv.sh` takes for an installation: this Python and this checkout."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    for name, words in {"python": "", "batch-scorer": " -m batch_scorer"}.items():
        (venv / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (venv / "bin" / name).chmod(0o755)
    (venv / ".installed").touch()
    return {**environment(), "BATCH_SCORER_VENV": str(venv), "WORKERS": "1"}


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Beam's own job server as an executable, as Prism is one."""
    path = tmp_path / "prism"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m benchmarks.portability.job_server "$@"\n')
    path.chmod(0o755)
    return path


def script_over(folder: Path, output: Path, model: Path, *engine: object) -> list[str]:
    """The script over 300 reviews in 12 shards, which are in `folder`."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps({"text": f"good film {i}"}) + "\n" for i in range(300)))
    options = ("--model", model, "--shard-rows", 25, "--run-id", "r", "--output", output)
    return [str(word) for word in (SCRIPT, *engine, source, *options)]


def struck(
    command: list[str], strike: Callable[[subprocess.Popen[str], Gate], None], folder: Path, installed: dict[str, str]
) -> tuple[int, str]:
    """How a job ends that is struck while its worker waits to publish its second shard, and what it says."""
    gate = Gate(folder / "gate", "scoring")
    gated = {**installed, **gate.environment}
    with running(command, env=gated, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        wait_until(gate.waiting, job)  # else the worker might be done before the driver is
        strike(job, gate)
        gate.open()  # a worker that is left first scores what it has in hand
        _, err = job.communicate(timeout=GUARD_S)
        wait_until(lambda: job.pid not in sessions())
    return job.returncode, err


def check_resumed(command: list[str], output: Path, folder: Path, config: Config, installed: dict[str, str]) -> None:
    """Resumes the job of `script_over`, and compares its parts with those of a local one."""
    again = subprocess.run([*command, "--resume"], env=installed, check=False, capture_output=True, text=True)
    assert (0, "") == (again.returncode, again.stderr)
    assert "300 reviews scored" in again.stdout
    here = folder / "in process"
    score_here(config(folder / "in.jsonl", output=str(here), shard_rows=25, run_id="r"))
    assert part_bytes(here) == part_bytes(output)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the workers")
def test_script_runs_a_job_that_can_be_stopped_and_resumed_to_the_same_bytes(
    tmp_path: Path, tiny_model: Path, config: Config, stand_in: Path, installed: dict[str, str]
) -> None:
    def terminate(job: subprocess.Popen[str], gate: Gate) -> None:
        job.send_signal(signal.SIGTERM)  # reaches the driver alone, which has to end its job server
        job.wait(timeout=GUARD_S)

    output = tmp_path / "over prism"
    command = script_over(tmp_path, output, tiny_model, "prism", "--server", stand_in)
    code, err = struck(command, terminate, tmp_path, installed)
    assert (1, "error: interrupted") == (code, err.splitlines()[0])
    assert "Traceback" not in err
    assert not (output / "_SUCCESS").exists()
    check_resumed(command, output, tmp_path, config, installed)


@pytest.mark.parametrize("runner", ["flink", "spark", "prism"])
def test_script_gives_options_that_beam_understands(
    runner: str, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apache_beam.runners.portability import flink_runner, prism_runner, spark_runner

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = tmp_path / "a job server.jar"
    server.write_bytes(b"\x00 nothing to run")
    words = (SCRIPT, "--print", runner, "in.parquet", "--output", "out", f"--server={server}", "--top-k", "3")
    said = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "WORKERS": "3"})
    command = shlex.split(said.stdout)
    assert ["batch-scorer", "score", "in.parquet", "--output", "out", "--top-k", "3", "--"] == command[:8]
    options = pipeline.options(config("in.parquet", beam_options=tuple(command[8:])))
    runners: dict[str, Any] = {
        "flink": (flink_runner.FlinkRunner, flink_runner.FlinkJarJobServer),
        "spark": (spark_runner.SparkRunner, spark_runner.SparkJarJobServer),
        "prism": (prism_runner.PrismRunner, prism_runner.PrismJobServer),
    }
    kind, job_server = runners[runner]
    assert kind.__name__ == options.get_all_options()["runner"]
    asked = options.view_as(PortableOptions)
    assert ("LOOPBACK", "3") == (asked.environment_type, str(asked.sdk_worker_parallelism))
    assert options.get_all_options()["experiments"] == ["use_loopback_process_worker"]
    started, _ = job_server(options).subprocess_cmd_and_endpoint()
    started = [str(word) for word in started]
    if runner == "prism":
        assert str(server) == started[0]
        return
    assert ["java", "-jar", str(server)] == [started[0], *started[started.index("-jar") :][:2]]
    assert "--add-opens=java.base/java.util=ALL-UNNAMED" in started
    master = {"flink": ["--flink-master", "[local]"], "spark": ["--spark-master-url", "local[3]"]}[runner]
    assert master == started[started.index(master[0]) :][:2]
    if runner == "flink":
        assert 3 == options.get_all_options()["parallelism"]


def test_script_passes_more_options_of_beam_on_and_refuses_what_is_not_there(tmp_path: Path) -> None:
    server = tmp_path / "prism"
    server.touch()
    words = (SCRIPT, "--print", "prism", "in", "--server", server, "--output", "out", "--", "--prism_log_level=warn")
    said = subprocess.run(words, check=True, capture_output=True, text=True)
    command = shlex.split(said.stdout)
    assert ["in", "--output", "out"] == command[2:5]
    assert 1 == command.count("--")
    assert "--runner=PrismRunner" == command[command.index("--") + 1]
    assert "--prism_log_level=warn" == command[-1]  # where it replaces what the script gives
    nothing = (("prism",), ("prism", "--server"), ("prism", "--server", server), ("prism", "in", "--server"))
    clusters = (("prism", "--cluster", "h:1"), ("flink", "--pool", "h:1"), ("spark", "--cluster", "spark://h:1"))
    clusters += (("flink", "--cluster", "h"), ("flink", "--cluster"), ("spark", "--cluster", "h:1", "--pool=h"))
    given = [(*words, "in", "--server", server) for words in clusters]
    for wrong in (("prism", "--server", tmp_path / "none", "in"), ("storm", "in"), *nothing, *given):
        refused = subprocess.run((SCRIPT, *wrong), check=False, capture_output=True, text=True)
        assert 2 == refused.returncode
        assert refused.stderr


def test_script_without_java_says_how_to_install_it(tmp_path: Path) -> None:
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    words = (SCRIPT, "flink", "in", "--output", "out")
    refused = subprocess.run(words, check=False, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert (2, "") == (refused.returncode, refused.stdout)
    assert refused.stderr.startswith("error: no Java found; install Java 17: ")


def test_script_takes_the_fetched_engine_or_says_how_to_fetch_it(tmp_path: Path, installed: dict[str, str]) -> None:
    engines = tmp_path / "my engines"
    words, env = (SCRIPT, "--print", "spark", "in", "--output", "out"), {**installed, CACHE: str(engines)}
    refused = subprocess.run(words, check=False, capture_output=True, text=True, env=env)
    assert (2, "") == (refused.returncode, refused.stdout)
    assert "scripts/engines spark" in refused.stderr
    server = engines / ENGINES["spark"].file
    engines.mkdir()
    server.touch()
    said = subprocess.run(words, check=True, capture_output=True, text=True, env=env)
    assert f"--spark_job_server_jar={server}" in shlex.split(said.stdout)


@pytest.fixture
def fetched(request: pytest.FixtureRequest) -> str:
    """The engine of the test's parameter, if it has been fetched."""
    runner: str = request.param
    if CACHE not in os.environ:
        pytest.skip(f"{CACHE} names no folder of engines; docs/engines.md says how to fetch them")
    if not (cache() / ENGINES[runner].file).exists():
        pytest.skip(f"no {runner} in {cache()}: `scripts/engines {runner}` fetches it")
    if runner != "prism" and shutil.which("java") is None:
        pytest.skip(f"{runner} needs Java")
    return runner


@pytest.mark.parametrize("fetched", ["prism", "flink", "spark"], indirect=True)
def test_real_engine_gives_the_same_bytes(
    fetched: str, mixed: Path, tiny_model: Path, tmp_path: Path, config: Config, installed: dict[str, str]
) -> None:
    common = ("--model", tiny_model, "--id-column", "id", "--shard-rows", 50, "--run-id", "r")
    options = (*common, "--allow-unreadable", "--output", tmp_path / "there")
    command = [str(word) for word in (SCRIPT, fetched, mixed, *options)]
    job = subprocess.run(command, check=False, capture_output=True, text=True, env=installed, timeout=GUARD_S)
    assert (0, "") == (job.returncode, job.stderr)
    score_here(config(mixed, output=str(tmp_path / "here"), id_column="id", shard_rows=50, run_id="r", workers=1))
    assert part_bytes(tmp_path / "here") == part_bytes(tmp_path / "there")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the workers")
@pytest.mark.parametrize("fetched", ["prism", "flink"], indirect=True)
def test_real_engine_whose_worker_is_killed_is_resumed_to_the_same_bytes(
    fetched: str, tiny_model: Path, tmp_path: Path, config: Config, installed: dict[str, str]
) -> None:
    """Without a cluster, nothing is repeated by the engine: the job ends, says so, and its finished shards are kept."""

    def kill_worker(job: subprocess.Popen[str], gate: Gate) -> None:
        os.kill(gate.waiting()[0], signal.SIGKILL)

    output = tmp_path / "there"
    command = script_over(tmp_path, output, tiny_model, fetched)
    code, err = struck(command, kill_worker, tmp_path, installed)
    assert 1 == code
    assert "--resume" in err and "Traceback" not in err
    assert 0 < len(list(output.glob("shards/*.json"))) < 12
    check_resumed(command, output, tmp_path, config, installed)


def test_job_may_last_longer_than_beams_timeout_unless_one_is_given(config: Config) -> None:
    embedded = ("--runner=PortableRunner", "--job_endpoint=embed")
    for given, expected in (((), portable.JOB_SECONDS), (("--job_server_timeout=7",), 7)):
        options = pipeline.options(config("in", beam_options=(*embedded, *given)))
        assert expected == options.view_as(PortableOptions).job_server_timeout


def test_job_server_that_does_not_answer_is_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable, "ANSWER_SECONDS", 0.2)
    with pytest.raises(OptionError, match="the job server does not answer"):
        pipeline.options(config("in", beam_options=("--runner=PortableRunner", "--job_endpoint=localhost:1")))


FROM_JAVA = """Pipeline job failed in state FAILED: java.lang.RuntimeException: Error received from SDK harness for \
instruction 3: Traceback (most recent call last):
  File "graph.py", line 52, in _load
batch_scorer.errors.JobError: the worker has another model
  where:    there
  got:      model 2
  to fix:   mend it

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.onNext(FnApiControlClient.java:180)
Caused by: java.lang.RuntimeException: the same"""
FROM_GRPC = """<_MultiThreadedRendezvous of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "failed to connect to all addresses"
\tdebug_error_string = "UNAVAILABLE"
>"""


@pytest.mark.parametrize(
    ("said", "what", "got"),
    [
        (FROM_JAVA, "the job failed: the worker has another model", "model 2"),
        (FROM_GRPC, "the job failed", "failed to connect to all addresses"),
    ],
)
def test_failure_as_another_runner_tells_it_is_told_in_our_words(
    said: str, what: str, got: str, config: Config, monkeypatch: pytest.MonkeyPatch, tiny: Artifact, mixed: Path
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(local, "run_here", fails)
    job = config(mixed)
    made, _ = plan.make_plan(job, tiny.model_id)
    with pytest.raises(PipelineError) as told:
        pipeline.run(made, job, pipeline.options(job))
    assert (what, got) == (told.value.what, told.value.got)


UNPICKLES = """
import json, sys
from apache_beam.internal import pickler
found = [pickler.loads(bytes.fromhex(line)) for line in sys.stdin]
shown = [[type(one).__name__, str(one) if isinstance(one, Exception) else
          repr(one) if hasattr(one, "__dataclass_fields__") else sorted(vars(one))] for one in found]
print(json.dumps([shown, "tensorflow" in sys.modules]))
"""


def test_all_that_goes_over_the_wire_arrives_in_a_fresh_process(config: Config, mixed: Path, tiny: Artifact) -> None:
    job = config(mixed, id_column="id", kept=(Kept("stars", "rating"),))
    made, shards = plan.make_plan(job, tiny.model_id)
    done = Summary(1, Counts(2, 1, 1, 0), (Part("predictions/part-00000.parquet", 1, "0" * 64),), EMPTY)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ScorerError)]
    raised = [kind("what", where="where", expected="1", got="2", fix="fix") for kind in kinds]
    assert 10 < len(raised)
    steps = [graph.ScoreShards(made, job, None), graph.FoldSummaries(), graph.Commit(made, job, "now")]
    records = [made, job, done, *shards]
    sent = [*records, *raised, *steps]
    lines = "".join(pickler.dumps(one, use_zlib=False).hex() + "\n" for one in sent)
    command = [sys.executable, "-c", UNPICKLES]
    there = subprocess.run(command, input=lines, check=True, capture_output=True, text=True, env=environment())
    shown, loads_tensorflow = json.loads(there.stdout)
    expected = [[type(one).__name__, repr(one)] for one in records]
    expected += [[type(one).__name__, str(one)] for one in raised]
    expected += [[type(one).__name__, sorted(vars(one))] for one in steps]  # type: ignore[list-item]
    assert expected == shown
    assert not loads_tensorflow
