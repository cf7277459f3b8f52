"""A small Dataflow service: takes jobs as the REST API does, runs them with whatever it is given, on localhost.

with serving() as service:
    service.work = lambda job: None  # what a submitted job does; an exception fails it
    main(["score", ..., "--", "--runner=DataflowRunner", f"--dataflow_endpoint={service.url}", "--no_auth"])
    assert "batch-scorer-r" == service.jobs[0]["name"]
"""

from __future__ import annotations

import json
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.stubs.server import Handler, Server, running

_JOBS = re.compile(r"/v1b3/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/jobs(?P<rest>/[^?]*)?")
_TERMINAL = ("JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
PAGE = 2  # messages in a page of a listing


class Service:
    """What the service was sent, and what it answers. Tests may change `work`, `messages` and `refuse` at any time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jobs: list[dict[str, Any]] = []
        self.sizes: list[int] = []  # bytes of each job request
        self.messages: list[tuple[str, str]] = []  # importance and text
        self.work: Callable[[dict[str, Any]], None] = lambda job: None
        self.refuse: Callable[[str], int] = lambda method: 0  # an HTTP status instead of an answer
        self.states: list[str] = []
        self._looked_at: list[threading.Event] = []

    def submit(self, job: dict[str, Any], place: dict[str, str], size: int) -> dict[str, Any]:
        """Takes a job, and starts it."""
        active = next((j for j, s in zip(self.jobs, self.states, strict=True) if s not in _TERMINAL), None)
        if active and active["name"] == job["name"]:
            return active
        job = {**job, **place, "id": f"2026-01-01_00_00_00-{len(self.jobs)}"}
        self.jobs.append(job)
        self.sizes.append(size)
        self.states.append("JOB_STATE_PENDING")
        self._looked_at.append(threading.Event())
        threading.Thread(target=self._run, args=(job, len(self.jobs) - 1), daemon=True).start()
        return job

    def _run(self, job: dict[str, Any], number: int) -> None:
        self._looked_at[number].wait()  # else nobody might see on a busy machine that it was pending
        self.states[number] = "JOB_STATE_RUNNING"
        try:
            self.work(job)
        except Exception:
            self.messages.append(("JOB_MESSAGE_ERROR", f"Error message from worker: {traceback.format_exc()}"))
            self.states[number] = "JOB_STATE_FAILED"
        else:
            if self.states[number] not in _TERMINAL:
                self.states[number] = "JOB_STATE_DONE"

    def described(self, job_id: str) -> dict[str, Any]:
        """A job with its state, as a listing shows it."""
        number = next(i for i, job in enumerate(self.jobs) if job["id"] == job_id)
        described = {"id": job_id, "name": self.jobs[number]["name"], "currentState": self.states[number]}
        self._looked_at[number].set()
        return described


@contextmanager
def serving() -> Iterator[Service]:
    """A server on a free port of this machine, until the body ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.service = Service(f"http://localhost:{server.server_port}")
    with running(server):
        yield server.service


class _Server(Server):
    service: Service


class _Handler(Handler):
    server: _Server

    def answer(self) -> None:
        service, body = self.server.service, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = service.refuse(self.command), {}
        if status:
            answer = {"error": {"code": status, "message": f"injected {status}", "status": "X"}}
        else:
            status, answer = _respond(service, self.command, self.path, body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _respond(service: Service, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    found = _JOBS.match(path)
    if found is None:
        return 404, {"error": {"code": 404, "message": f"no such address: {path}"}}
    place = {"projectId": found["project"], "location": found["region"]}
    _, *rest = (found["rest"] or "").split("/")
    match method, rest:
        case "POST", []:
            return 200, service.submit(json.loads(body), place, len(body))
        case "GET", [job_id]:
            return 200, service.described(job_id)
        case "GET", [_, "messages"]:
            return 200, _messages(service, path)
    return 404, {"error": {"code": 404, "message": f"no such address: {method} {path}"}}


def _messages(service: Service, path: str) -> dict[str, Any]:
    token = re.search(r"pageToken=(\d+)", path)
    start = int(token[1]) if token else 0
    wanted = ("JOB_MESSAGE_ERROR",) if "minimumImportance" in path else ("JOB_MESSAGE_BASIC", "JOB_MESSAGE_ERROR")
    listed = [(importance, text) for importance, text in service.messages if importance in wanted]
    messages = [
        {"id": str(i), "time": "2026-01-01T00:00:00Z", "messageImportance": importance, "messageText": text}
        for i, (importance, text) in list(enumerate(listed))[start : start + PAGE]
    ]
    more = {"nextPageToken": str(start + PAGE)} if len(listed) > start + PAGE else {}
    return {"jobMessages": messages, **more}
