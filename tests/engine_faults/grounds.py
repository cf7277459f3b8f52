"""Where trials take place: a cluster of two, and a store that each of its machines has a line of its own to."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from batch_scorer import storage
from benchmarks.engines.ways import BUCKET, KEYS, PORTABLE, ROOT, submitting
from benchmarks.job.servers import free_ports
from tests.chaos.gate import PLAIN, WATCHED, Gate
from tests.processes import wait_until


class Store:
    """S3 (moto) in a network of its own, with a line to each of the two machines, and line 0 to everybody else.

    As a context manager, it is there for the duration of the block, for all that this process starts meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._log, self._name, self._port = folder / "store.log", f"store{os.getpid() % 100_000}", free_ports()

    def __enter__(self) -> Store:
        _ip("netns", "add", self._name)
        for line in range(3):
            here, there = f"bs{line}-{self._port}", f"bt{line}-{self._port}"
            _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._name)
            for side, end, inside in ((1, here, ()), (2, there, ("-n", self._name))):
                _ip(*inside, "addr", "add", f"10.231.{line}.{side}/24", "dev", end)
                _ip(*inside, "link", "set", end, "up")
        words = ("ip", "netns", "exec", self._name, sys.executable, "-m", "moto.server", "--host", "0.0.0.0")
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([*words, "--port", str(self._port)], stdout=log, stderr=log)
        os.environ.update(KEYS, AWS_ENDPOINT_URL=self._endpoint(0))
        os.environ["CHAOS_STORES"] = " ".join(f"127.0.0.{line}={self._endpoint(line)}" for line in (1, 2))
        wait_until(self._answers, self._process)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        _ip("netns", "del", self._name)  # and with it the lines

    def _endpoint(self, line: int) -> str:
        return f"http://10.231.{line}.2:{self._port}"

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urlopen(Request(f"{self._endpoint(0)}/{BUCKET}", method="PUT")):
            return True
        return False

    def cut(self, line: int, seconds: float) -> None:
        """Cuts a line for so long: what is sent is lost, and nobody is told."""
        for state in ("down", "up"):
            _ip("-n", self._name, "link", "set", f"bt{line}-{self._port}", state)
            time.sleep(seconds * (state == "down"))

    def copy(self, output: str, folder: Path) -> None:
        """Copies an output into a folder."""
        for file in storage.match(storage.join(output, "**")):
            path = folder / file.path.removeprefix(output).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(storage.read_bytes(file.path))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Cluster:
    """A cluster of two, whose Python workers score without TensorFlow and wait at a gate.

    Args:
        engine: flink or spark.
        restarts: whether it does again what failed.
    """

    def __init__(self, engine: str, restarts: bool, folder: Path) -> None:
        self.engine, self.restarts, self.folder = engine, restarts, folder
        self.port, self.pool = free_ports(2), free_ports()
        self.gate = Gate(folder / "gate", "scoring")
        given = {"PORT": str(self.port), "POOL_PORT": str(self.pool), "RESTARTS": "3" if restarts else "0"}
        self._environment = {**os.environ, **self.gate.environment, **PLAIN, **given}
        self._script = str(ROOT / f"deploy/{engine}/cluster")

    def start(self) -> None:
        """Starts it, or what of it has died."""
        words = [self._script, "start", str(self.folder / "logs")]
        for last in (False, False, True):  # a process of it may give up on a busy machine, since it waits ten seconds
            out = subprocess.DEVNULL
            if not subprocess.run(words, check=last, env=self._environment, stdin=out, stdout=out).returncode:
                break

    def stop(self) -> None:
        """Stops it."""
        subprocess.run([self._script, "stop", str(self.folder / "logs")], check=False)

    def pid(self, name: str) -> int:
        """The process, and process group, that the cluster's script knows by this name."""
        return int((self.folder / f"logs/{name}.pid").read_text())

    def executor(self, number: int) -> int:
        """The process that gives shards to Python workers: a TaskManager, or an executor of a Spark worker."""
        if self.engine == "flink":
            return self.pid(f"taskmanager-{number}")
        listed = subprocess.run(["ps", "-A", "-o", "pgid=,pid=,args="], check=True, capture_output=True, text=True)
        lines = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
        group = str(self.pid(f"worker-{number}"))
        return next(int(pid) for found, pid, args in lines if found == group and "ExecutorBackend" in args)

    def shut(self) -> None:
        """Closes the gate for the next job."""
        for path in (self.folder / "gate").iterdir():
            path.unlink()
        (self.folder / "gate" / WATCHED).touch()

    def states(self) -> list[str]:
        """How the jobs on Flink ended, the last one last, once all have; Spark's end with their driver."""
        if self.engine == "spark":
            return []
        wait_until(lambda: all(job["end-time"] > 0 for job in self._jobs()))
        return [job["state"] for job in sorted(self._jobs(), key=lambda job: int(job["start-time"]))]

    def _jobs(self) -> list[dict[str, Any]]:
        with urlopen(f"http://localhost:{self.port}/jobs/overview") as page:
            return list(json.load(page)["jobs"])

    def command(self, words: Sequence[str]) -> list[str]:
        """The command of a job on it."""
        off = self.engine == "spark" and not self.restarts
        more = ("--", "--job_server_jvm_property=-Dspark.task.maxFailures=1") if off else ()
        return [*PORTABLE, self.engine, *submitting(self.port, self.pool), *words, *more]
