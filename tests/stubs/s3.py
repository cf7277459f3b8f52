"""S3 for tests: moto's server, with recorded requests and injected faults as in `tests.stubs.gcs`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote
from urllib.request import Request as Post
from urllib.request import urlopen

import boto3
from botocore.config import Config
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.stubs.gcs import Fault, Request
from tests.stubs.server import running

SECRETS = {"AWS_SECRET_ACCESS_KEY": "hush-hush-key", "AWS_SESSION_TOKEN": "hush-hush-token"}
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_DEFAULT_REGION": "us-east-1", **SECRETS}
_OURS = "by-the-test"  # part of the user agent whose requests are neither recorded nor disturbed


class Store:
    """The server's contents, and the requests so far. Tests may change `fault` and `heeds_conditions` at any time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.heeds_conditions = True  # some of S3's like do not: `If-None-Match` means nothing to them
        self.lock, self.writing = threading.Lock(), threading.Lock()
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        self._client = boto3.client("s3", endpoint_url=url, config=Config(user_agent_extra=_OURS), **keys)

    def make(self, bucket: str) -> None:
        self._client.create_bucket(Bucket=bucket)

    def put(self, bucket: str, name: str, data: bytes) -> None:
        """Stores an object, whole."""
        self._client.put_object(Bucket=bucket, Key=name, Body=data)

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """The names of the objects in `bucket` that begin with `prefix`, sorted."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def read(self, bucket: str, name: str) -> bytes:
        """The bytes of an object."""
        data: bytes = self._client.get_object(Bucket=bucket, Key=name)["Body"].read()
        return data

    def unfinished(self, bucket: str) -> int:
        """How many uploads in pieces were started and neither completed nor aborted."""
        return len(self._client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()))

    def uploads(self, bucket: str) -> list[str]:
        """The name of each object whose upload was started, in order, repeats included."""
        begun = [r for r in self.requests if _begins_upload(r) and r.target.startswith(f"{bucket}/")]
        return [r.target.split("/", 1)[1] for r in begun]


def _begins_upload(request: Request) -> bool:
    in_one = request.method == "PUT" and "partNumber" not in request.query
    return request.target.count("/") > 0 and (in_one or (request.method == "POST" and "uploads" in request.query))


@contextmanager
def serving() -> Iterator[Store]:
    """A server on a free port of this machine until the body ends."""
    wrapped = _Recorder(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, wrapped, threaded=True, request_handler=_Quiet)
    server.daemon_threads, server.block_on_close = True, False  # type: ignore[attr-defined]
    wrapped.store = Store(f"http://127.0.0.1:{server.server_port}")
    with running(server), closing(wrapped.store._client):
        # Moto keeps its contents in its modules: the objects of another test would still be there.
        urlopen(Post(f"{wrapped.store.url}/moto-api/reset", method="POST")).close()
        yield wrapped.store


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any) -> None:
        """Keeps quiet."""


class _Recorder:
    """A WSGI application around another."""

    store: Store

    def __init__(self, application: Any) -> None:
        self._moto = application

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """What moto answers. Between its look at a condition and its writing, another thread might write."""
        conditions = [name for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH") if name in environ]
        if environ["REQUEST_METHOD"] not in ("PUT", "DELETE") or not conditions:
            return self._moto(environ, start_response)  # type: ignore[no-any-return]
        for name in conditions:
            if not self.store.heeds_conditions:
                del environ[name]
        with self.store.writing:
            return [b"".join(self._moto(environ, start_response))]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _OURS in environ.get("HTTP_USER_AGENT", ""):
            return self._application(environ, start_response)
        store, size = self.store, int(environ.get("CONTENT_LENGTH") or 0)
        path = unquote(environ["RAW_URI"].split("?")[0])
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        with store.lock:
            request = Request(len(store.requests), environ["REQUEST_METHOD"], path, query, size, path.strip("/"))
            store.requests.append(request)
        fault = store.fault(request) or Fault()
        time.sleep(fault.delay_s)
        if fault.cut_after is not None and size and not fault.after:
            environ["wsgi.input"].read(min(fault.cut_after, size))
            return _cut(environ)
        if fault.status and not fault.after:
            environ["wsgi.input"].read(size)
            return _error(fault.status, start_response)
        if fault.cut_after is None and not fault.after:
            return self._application(environ, start_response)
        body = b"".join(self._application(environ, start_response if not fault.after else lambda *args: None))
        if fault.status:
            return _error(fault.status, start_response)
        return _cut(environ, body[: fault.cut_after])


def _error(status: int, start_response: Any) -> list[bytes]:
    code = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}.get(status, "Injected")
    body = f"<Error><Code>{code}</Code><Message>injected {status}</Message></Error>".encode()
    start_response(f"{status} {code}", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _cut(environ: dict[str, Any], before: bytes = b"") -> Iterator[bytes]:
    if before:
        yield before
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError  # the server takes this for a client that went away
