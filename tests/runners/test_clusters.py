"""Jobs on a cluster: the options that `scripts/portable` gives them, and their end when they are interrupted."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import StoppedError
from batch_scorer.runners import pipeline, portable

Config = Callable[..., ScoreConfig]
SCRIPT = Path(__file__).parents[2] / "scripts/portable"


@pytest.mark.parametrize(
    ("runner", "expected"),
    [
        ("flink", ["--flink_master=h:1", "--parallelism=3"]),
        ("spark", ["--spark_master_url=spark://h:1", "--job_server_jvm_property=-Dspark.default.parallelism=3"]),
    ],
)
def test_script_submits_to_a_cluster_whose_machines_have_pools(
    runner: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "server").touch()
    words = [SCRIPT, "--print", runner, "--server", tmp_path / "server", "--cluster", "h:1", "in", "--output", "out"]
    env = {**os.environ, "WORKERS": "3"}

    def options(*more: str) -> list[str]:
        said = subprocess.run([*words, *more], check=True, capture_output=True, text=True, env=env)
        return shlex.split(said.stdout)[6:]

    found = options()
    assert {*expected, "--sdk_worker_parallelism=1"} < {*found}
    assert ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"] == [o for o in found if "env" in o]
    assert "--environment_config=pool:2" in options("--pool", "pool:2")
    process = ("--environment_type=PROCESS", '--environment_config={"command": "/opt/worker"}')
    assert [*process] == options("--", *process)[-2:]  # the last ones count


def test_interrupted_job_is_cancelled_on_flink_by_its_name_and_no_other(config: Config) -> None:
    from apache_beam.runners.portability.flink_runner import FlinkRunner

    class Rest(BaseHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            jobs = [("a", name, -1), ("b", "another", -1), ("c", name, 1_700_000_000_000)]
            page = {"jobs": [{"jid": jid, "name": told, "end-time": end} for jid, told, end in jobs]}
            self.answer(json.dumps(page).encode())

        def do_PATCH(self) -> None:
            self.asked.append(self.path)
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Rest)
    job = config("in", beam_options=("--runner=FlinkRunner", f"--flink_master=127.0.0.1:{server.server_port}"))
    options = pipeline.options(job)
    name = options.view_as(GoogleCloudOptions).job_name
    assert name.startswith("batch-scorer-")
    assert name != pipeline.options(job).view_as(GoogleCloudOptions).job_name

    def interrupts() -> None:
        raise KeyboardInterrupt

    beams: Any = SimpleNamespace(runner=FlinkRunner(), options=options, run=interrupts)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    with pytest.raises(StoppedError, match="interrupted") as told:
        portable.run(beams, job)
    assert (["/jobs/a"], None) == (Rest.asked, told.value.got)
    server.shutdown()
    server.server_close()
    with pytest.raises(StoppedError) as told:
        portable.run(beams, job)
    assert f"the job {name} may continue there" in str(told.value.got)
