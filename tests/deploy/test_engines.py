"""The clusters of `deploy/flink` and `deploy/spark`: their files for Kubernetes, and what their scripts refuse."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import jsonschema
import pytest
import yaml
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

from deploy import process_worker
from scripts.engine_versions import ENGINES
from tests.processes import GUARD_S

ROOT = Path(__file__).parents[2]
# Of Flink's operator (its CRD for FlinkDeployment) and of Kubernetes 1.30 (strict), without what no file here uses.
SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parent / "kubernetes_schemas.json").read_text(encoding="utf-8"))
KINDS = {"flink": ["FlinkDeployment"], "spark": ["Service", "Deployment", "Deployment"]}


def documents(engine: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / engine / "kubernetes.yaml").read_text(encoding="utf-8")))


def errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMAS[document["kind"]]).iter_errors(document)]


def pods(engine: str) -> list[dict[str, Any]]:
    """The specs of the pods that have a worker pool."""
    found = [
        document["spec"]["taskManager"]["podTemplate"] if engine == "flink" else document["spec"]["template"]
        for document in documents(engine)
        if document["kind"] in ("FlinkDeployment", "Deployment")
    ]
    return [pod["spec"] for pod in found if any(one["name"] == "worker-pool" for one in pod["spec"]["containers"])]


@pytest.mark.parametrize("engine", KINDS)
def test_files_for_kubernetes_are_as_its_schemas_ask(engine: str) -> None:
    found = documents(engine)
    assert KINDS[engine] == [document["kind"] for document in found]
    assert [] == [error for document in found for error in errors(document)]


def test_schemas_refuse_what_is_misspelt_missing_or_of_another_type() -> None:
    (flink,) = documents("flink")
    deployment = documents("spark")[2]
    for change, said in (
        (lambda made: made[0]["spec"].update(flinkVersion="v1_99"), "'v1_99' is not one of"),
        (lambda made: made[0]["spec"]["taskManager"].update(replica=2), "'replica' was unexpected"),
        (
            lambda made: made[1]["spec"]["template"]["spec"]["containers"][1].pop("name"),
            "'name' is a required property",
        ),
        (lambda made: made[1]["spec"].update(replicas="2"), "'2' is not of type"),
        (lambda made: made[1]["spec"].pop("selector"), "'selector' is a required property"),
    ):
        made = copy.deepcopy((flink, deployment))
        change(made)
        assert said in " ".join(error for document in made for error in errors(document))


@pytest.mark.parametrize("engine", KINDS)
def test_pool_on_kubernetes_is_the_image_of_the_workers_and_listens_where_jobs_look_for_it(engine: str) -> None:
    (pod,) = pods(engine)
    (pool,) = (one for one in pod["containers"] if one["name"] == "worker-pool")
    assert "--service_port=50000" == pool["command"][-1]
    assert 50000 == pool["readinessProbe"]["tcpSocket"]["port"]
    words = (ROOT / "scripts/portable", "--print", engine, "--server", __file__, "--cluster", "host:1", "in")
    said = subprocess.run([*words, "--output", "out"], check=True, capture_output=True, text=True).stdout
    assert "--environment_config=localhost:50000 " in said
    assert importlib.util.find_spec(pool["command"][2])


def test_engines_on_kubernetes_have_the_versions_that_are_fetched() -> None:
    images = re.findall(
        r"image: (flink|apache/spark):([\d.]+)",
        "".join((ROOT / "deploy" / engine / "kubernetes.yaml").read_text() for engine in KINDS),
    )
    expected = {("flink", ENGINES["flink"].version), ("apache/spark", ENGINES["spark"].version)}
    assert expected == set(images)
    (flink,) = documents("flink")
    assert "v" + "_".join(ENGINES["flink"].version.split(".")[:2]) == flink["spec"]["flinkVersion"]


@pytest.mark.parametrize("engine", KINDS)
def test_cluster_says_how_it_is_used_and_how_to_fetch_its_engine(engine: str, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(sys.executable)
    (venv / ".installed").touch()
    env = {**os.environ, "BATCH_SCORER_VENV": str(venv), "BATCH_SCORER_ENGINES": str(tmp_path / "none")}
    script = ROOT / "deploy" / engine / "cluster"

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in (script, *words)],
            check=False, capture_output=True, text=True, env=env, timeout=GUARD_S,
        )  # fmt: skip

    for wrong in ((), ("start",), ("begin", tmp_path), ("stop", tmp_path, "now")):
        refused = run(*wrong)
        assert (2, "") == (refused.returncode, refused.stdout)
        assert f"deploy/{engine}/cluster start FOLDER" in refused.stderr
    refused = run("start", tmp_path / "logs")
    assert (2, "") == (refused.returncode, refused.stdout)
    assert f"scripts/engines {engine}" in refused.stderr
    assert 0 == run("stop", tmp_path / "logs").returncode
    assert [] == list((tmp_path / "logs").iterdir())


def test_processes_are_stopped_with_all_that_they_started_and_one_that_ends_is_told(tmp_path: Path) -> None:
    """The functions that both scripts share, on processes that cost nothing."""
    sleeping = f"sleep {1000 + os.getpid() / 1e7:.7f}"  # found by its words
    lines = f"""set -euo pipefail
    here={ROOT} folder={tmp_path} STOP_TRIES=2
    source "$here/deploy/processes.sh"
    launch parent bash -c '{sleeping} & trap "" TERM; echo begun; {sleeping}; {sleeping}'
    await "it began" grep -q begun "$folder/parent.log"
    launch parent echo "a second one"
    is_running parent
    stop_all
    echo "$(ps -A -o args= | grep -c '^{sleeping}')"
    launch short true
    while is_running short; do sleep 0.1; done
    launch short bash -c 'echo alas; exit 3'
    await "it never came" false
    """
    ran = subprocess.run(["bash", "-c", lines], check=False, capture_output=True, text=True, timeout=GUARD_S)
    assert f"error: short ended before it never came; from {tmp_path}/short.log:\n  alas\n" == ran.stderr
    assert (1, "0\n") == (ran.returncode, ran.stdout)
    assert ["parent.log", "short.log", "short.pid"] == sorted(path.name for path in tmp_path.iterdir())


def test_worker_of_a_process_is_told_by_its_engine_where_that_listens() -> None:
    class Engine(beam_provision_api_pb2_grpc.ProvisionServiceServicer):  # type: ignore[misc]
        def GetProvisionInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
            asked.append(dict(context.invocation_metadata())["worker_id"])
            info = beam_provision_api_pb2.ProvisionInfo()
            info.control_endpoint.url, info.logging_endpoint.url = "localhost:1", "localhost:2"
            info.runner_capabilities.append("a")
            info.pipeline_options.update({"beam:option:job_name:v1": "j"})
            return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)

    asked: list[str] = []
    server = grpc.server(ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = process_worker.provision("1-1", f"127.0.0.1:{port}")
    finally:
        server.stop(None).wait()
    assert ["1-1"] == asked
    assert {"beam:option:job_name:v1": "j"} == json.loads(found.pop("PIPELINE_OPTIONS"))
    assert {
        "WORKER_ID": "1-1",
        "CONTROL_API_SERVICE_DESCRIPTOR": 'url: "localhost:1"\n',
        "LOGGING_API_SERVICE_DESCRIPTOR": 'url: "localhost:2"\n',
        "RUNNER_CAPABILITIES": "a",
    } == found
