"""Beam's worker pool at one address of this machine: `python deploy/worker_pool.py HOST PORT`.

Beam's own program listens at every address, so that anybody who reaches the machine can have it start workers, and only
one pool fits on it. Two TaskManagers need two: each calls its first worker 1-1, and has it stopped by that name.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance


def main(words: Sequence[str]) -> None:
    """Serves at the host and port that `words` name, until it is terminated.

    Raises:
        RuntimeError: the port is taken.
    """
    host, port = words
    server = grpc.server(shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)])
    server.add_insecure_port(f"{host}:{port}")
    pool = BeamFnExternalWorkerPoolServicer(use_process=True, data_buffer_time_limit_ms=-1)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
