"""A Python worker without a container: `python -m deploy.process_worker --id=ID --provision_endpoint=HOST:PORT`.

In a container of Beam's, a program in Go does this: it asks the engine for addresses, and for the options of the job.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker_main
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
from google.protobuf import json_format, text_format


def provision(worker_id: str, endpoint: str) -> dict[str, str]:
    """What the engine at an endpoint tells a worker, as the environment variables of Beam's worker.

    Raises:
        grpc.RpcError: it does not answer.
    """
    with grpc.insecure_channel(endpoint) as channel:
        asked = grpc.intercept_channel(channel, WorkerIdInterceptor(worker_id))
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(asked)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = stub.GetProvisionInfo(request, wait_for_ready=True).info
    return {
        "WORKER_ID": worker_id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.control_endpoint),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.logging_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


def main(words: Sequence[str]) -> None:
    """Works until the engine needs it no longer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    asked = parser.parse_known_args(words)[0]
    os.environ.update(provision(asked.id, asked.provision_endpoint))
    sdk_worker_main.main(sys.argv[:1])


if __name__ == "__main__":
    main(sys.argv[1:])
