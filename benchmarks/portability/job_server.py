"""Beam's own job server, changed to give a job as many workers as it asks for (`--sdk_worker_parallelism`).

`python -m benchmarks.portability.job_server --job-port N` takes the place of the job servers of Flink, Spark and Prism.
It accepts their arguments and uses only the port.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer


class Job(BeamJob):  # type: ignore[misc]
    """A job on Beam's local runner. Beam's own class always uses a single worker."""

    def _invoke_runner(self) -> Any:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        options = self.pipeline_options()
        runner = FnApiRunner(provision_info=self._provision_info)
        runner._num_workers = int(options.view_as(PortableOptions).sdk_worker_parallelism)
        return runner.run_via_runner_api(self._pipeline_proto, options)


def main(words: Sequence[str] | None = None) -> None:
    """Serves until it is terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-port", "--job_port", type=int, required=True)
    port = parser.parse_known_args(words)[0].job_port
    terminated = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: terminated.set())
    server = LocalJobServicer(beam_job_type=Job)
    server.start_grpc_server(port)
    terminated.wait()
    server.stop()


if __name__ == "__main__":
    main()
