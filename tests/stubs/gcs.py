"""A small Google Cloud Storage server: the JSON API as its Python client and Beam use it, in memory, on 127.0.0.1.

with serving("bucket") as store:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)  # anonymous, if the client has no credentials
    store.put("bucket", "reviews/a.jsonl", b"...")
    store.fault = lambda request: Fault(status=503) if request.is_upload else None
    ...
    assert ["out/part-00000.parquet"] == store.uploads("bucket")
"""

from __future__ import annotations

import base64
import email.parser
import hashlib
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import google_crc32c

from tests.stubs.server import Cut, Handler, Server, running

PAGE = 1000  # objects in a page of a listing
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Request:
    """One request as it arrived; a batch counts as one, and each of its parts as another.

    `target` is the `bucket/name` of its object, or `bucket` if it is not about an object.
    """

    number: int
    method: str
    path: str
    query: dict[str, str]
    size_bytes: int
    target: str

    @property
    def is_upload(self) -> bool:
        """Whether it carries bytes of an object, or announces them."""
        return self.path.startswith("/upload/")

    @property
    def begins_upload(self) -> bool:
        """Whether it is the first request of an upload."""
        return self.is_upload and self.method == "POST"

    @property
    def is_download(self) -> bool:
        return self.method == "GET" and self.query.get("alt") == "media"


@dataclass(frozen=True)
class Fault:
    """What goes wrong: `delay_s` before anything; then an error `status`, or a connection that is cut.

    `cut_after` counts bytes of the body that the client sends or, if it sends none, of the body that it would receive.
    With `after`, the request takes effect before the answer fails.
    """

    status: int = 0
    cut_after: int | None = None
    delay_s: float = 0.0
    after: bool = False


@dataclass
class Stored:
    """An object."""

    data: bytes
    generation: int
    updated: datetime
    content_type: str = "application/octet-stream"


@dataclass
class _Session:
    """A resumable upload that has begun."""

    bucket: str
    name: str
    content_type: str
    data: bytearray = field(default_factory=bytearray)
    done: bytes = b""  # the answer to the last piece


class Store:
    """The server's contents, and the requests so far. Tests may change what is public in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.buckets: dict[str, dict[str, Stored]] = {}
        self.requests: list[Request] = []
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.heeds_conditions = True
        self.page = PAGE
        self.sessions: dict[str, _Session] = {}
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)

    def put(self, bucket: str, name: str, data: bytes, content_type: str = "application/octet-stream") -> Stored:
        """Stores an object, whole."""
        with self.lock:
            stored = Stored(bytes(data), time.time_ns() // 1000 + next(self._numbers), datetime.now(UTC), content_type)
            self.buckets.setdefault(bucket, {})[name] = stored
            return stored

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """The names of the objects in `bucket` that begin with `prefix`, sorted."""
        return sorted(name for name in self.buckets[bucket] if name.startswith(prefix))

    def read(self, bucket: str, name: str) -> bytes:
        """The bytes of an object."""
        return self.buckets[bucket][name].data

    def uploads(self, bucket: str) -> list[str]:
        """The name of each object whose upload was started, in order, repeats included."""
        return [
            r.target.split("/", 1)[1] for r in self.requests if r.begins_upload and r.target.startswith(f"{bucket}/")
        ]

    def note(self, method: str, address: str, size_bytes: int = 0, start: bytes = b"") -> Request:
        """Records a request, whose body begins with `start`."""
        parts = urlsplit(address)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self.lock:
            target = self._target(parts.path, query, start)
            request = Request(len(self.requests), method, parts.path, query, size_bytes, target)
            self.requests.append(request)
            return request

    def _target(self, path: str, query: dict[str, str], start: bytes) -> str:
        if session := self.sessions.get(query.get("upload_id", "")):
            return f"{session.bucket}/{session.name}"
        _, _, rest = path.partition("/storage/v1/b/")
        bucket, _, name = rest.partition("/o/")
        named = re.search(rb'"name": *("(?:[^"\\]|\\.)*")', start) if path.startswith("/upload/") else None
        name = json.loads(named[1]) if named else name or query.get("name", "")
        return f"{unquote(bucket.split('/')[0])}/{unquote(name)}".rstrip("/")


@contextmanager
def serving(*buckets: str) -> Iterator[Store]:
    """A server on a free port of this machine, with these empty buckets, until the body ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.store = Store(f"http://127.0.0.1:{server.server_port}")
    for bucket in buckets:
        server.store.buckets[bucket] = {}
    with running(server):
        yield server.store


class _Server(Server):
    store: Store


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def _json(value: Any, status: int = 200) -> _Answer:
    return _Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})


_REASONS = {401: "required", 403: "forbidden", 404: "notFound", 412: "conditionNotMet", 503: "backendError"}


def _error(status: int, message: str) -> _Answer:
    reason = _REASONS.get(status, "invalid")
    detail = {"message": message, "domain": "global", "reason": reason}
    return _json({"error": {"code": status, "message": message, "errors": [detail]}}, status)


class _Handler(Handler):
    server: _Server

    def answer(self) -> None:
        store, size = self.server.store, int(self.headers.get("Content-Length") or 0)
        request = store.note(self.command, self.path, size, self.rfile.peek(1024) if size else b"")
        fault = store.fault(request) or Fault()
        time.sleep(fault.delay_s)
        if fault.cut_after is not None and size and not fault.after:
            self.rfile.read(min(fault.cut_after, size))
            raise Cut
        body = self.rfile.read(size)
        if fault.status and not fault.after:
            answer = _error(fault.status, f"injected {fault.status}")
        else:
            answer = _respond(store, request, self.headers, body)
            if fault.after and fault.cut_after is not None:
                raise Cut
            if fault.after:
                answer = _error(fault.status, f"injected {fault.status}")
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: fault.cut_after if fault.cut_after is not None else len(answer.body)])
            self.wfile.flush()
        if fault.cut_after is not None:
            raise Cut


def _respond(store: Store, request: Request, headers: Any, body: bytes) -> _Answer:
    if request.path.startswith("/batch"):
        return _batch(store, headers, body)
    # Names stay quoted until the path is split at its slashes: a name may contain slashes itself.
    pieces = [unquote(piece) for piece in request.path.strip("/").split("/")]
    upload, download = pieces[0] == "upload", pieces[0] == "download"
    pieces = pieces[1:] if upload or download else pieces
    if pieces[:3] != ["storage", "v1", "b"]:
        return _error(404, f"no such address: {request.path}")
    with store.lock:
        match pieces[3:]:
            case []:
                return _create_bucket(store, json.loads(body))
            case [bucket, *_] if bucket not in store.buckets:
                return _error(404, "The specified bucket does not exist.")
            case [bucket]:
                return _bucket(bucket)
            case [bucket, "o"] if upload:
                return _upload(store, request, bucket, headers, body)
            case [bucket, "o"]:
                return _list(store, bucket, request.query)
            case [bucket, "o", name, "rewriteTo" | "copyTo" as verb, "b", to_bucket, "o", to_name]:
                return _copy(store, (bucket, name), (to_bucket, to_name), verb)
            case [bucket, "o", name]:
                return _object(store, request, bucket, name, headers)
    return _error(404, f"no such address: {request.path}")


def _create_bucket(store: Store, described: dict[str, Any]) -> _Answer:
    store.buckets.setdefault(described["name"], {})
    return _bucket(described["name"])


def _bucket(bucket: str) -> _Answer:
    return _json(
        {
            "kind": "storage#bucket",
            "id": bucket,
            "name": bucket,
            "projectNumber": "1",
            "location": "US",
            "storageClass": "STANDARD",
            "softDeletePolicy": {"retentionDurationSeconds": "0"},
        }
    )


def _described(bucket: str, name: str, stored: Stored) -> dict[str, Any]:
    updated = stored.updated.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{stored.generation}",
        "name": name,
        "bucket": bucket,
        "generation": str(stored.generation),
        "metageneration": "1",
        "contentType": stored.content_type,
        "storageClass": "STANDARD",
        "size": str(len(stored.data)),
        "md5Hash": _md5(stored.data),
        "crc32c": _crc32c(stored.data),
        "etag": str(stored.generation),
        "timeCreated": updated,
        "updated": updated,
    }


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def _list(store: Store, bucket: str, query: dict[str, str]) -> _Answer:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    items: list[dict[str, Any]] = []
    folders: list[str] = []
    limit = min(int(query.get("maxResults") or store.page), store.page)
    page: dict[str, Any] = {"kind": "storage#objects"}
    last = ""
    for name in store.names(bucket, prefix):
        if name <= query.get("pageToken", ""):
            continue
        if len(items) + len(folders) == limit:
            page["nextPageToken"] = last
            break
        if folders and name.startswith(folders[-1]):
            continue
        last = name
        head, cut, _ = name[len(prefix) :].partition(delimiter or "\0")
        if cut and delimiter:
            folders.append(prefix + head + delimiter)
            last = folders[-1] + "\U0010ffff"  # the next page begins after everything in it
        else:
            items.append(_described(bucket, name, store.buckets[bucket][name]))
    return _json(page | ({"items": items} if items else {}) | ({"prefixes": folders} if folders else {}))


def _object(store: Store, request: Request, bucket: str, name: str, headers: Any) -> _Answer:
    stored = store.buckets[bucket].get(name)
    wanted = request.query.get("generation") or request.query.get("ifGenerationMatch")
    if stored is None or (request.query.get("generation") and wanted != str(stored.generation)):
        return _error(404, f"No such object: {bucket}/{name}")
    if wanted and wanted != str(stored.generation):
        return _error(412, "At least one of the pre-conditions you specified did not hold.")
    if request.method == "DELETE":
        del store.buckets[bucket][name]
        return _Answer(204)
    if request.is_download:
        return _media(stored, headers.get("Range"))
    return _json(_described(bucket, name, stored))


def _media(stored: Stored, asked: str | None) -> _Answer:
    about = {
        "Content-Type": stored.content_type,
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Hash": f"crc32c={_crc32c(stored.data)},md5={_md5(stored.data)}",
        "X-Goog-Stored-Content-Length": str(len(stored.data)),
        "X-Goog-Stored-Content-Encoding": "identity",
    }
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if wanted is None:
        return _Answer(200, stored.data, about)
    start, size = int(wanted[1]), len(stored.data)
    if start >= size:
        return _Answer(416, b"", about | {"Content-Range": f"bytes */{size}"})
    end = min(int(wanted[2]) if wanted[2] else size - 1, size - 1)
    return _Answer(206, stored.data[start : end + 1], about | {"Content-Range": f"bytes {start}-{end}/{size}"})


def _copy(store: Store, source: tuple[str, str], target: tuple[str, str], verb: str) -> _Answer:
    stored = store.buckets[source[0]].get(source[1])
    if stored is None or target[0] not in store.buckets:
        return _error(404, f"No such object: {source[0]}/{source[1]}")
    resource = _described(*target, store.put(*target, stored.data, stored.content_type))
    if verb == "copyTo":
        return _json(resource)
    size = resource["size"]
    return _json({"done": True, "totalBytesRewritten": size, "objectSize": size, "resource": resource})


def _upload(store: Store, request: Request, bucket: str, headers: Any, body: bytes) -> _Answer:
    match request.method, request.query.get("uploadType"):
        case "POST", "multipart":
            head = b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n"
            about, content = email.parser.BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
            described = json.loads(about.get_content())
            # The parser is for text, so cut out the bytes by hand, between the last headers and the closing line.
            boundary = re.search(r'boundary="?([^";]+)', headers["Content-Type"])
            assert boundary
            data = body[: body.rindex(b"\r\n--" + boundary[1].encode())].split(b"\r\n\r\n", 2)[2]
            name = described.get("name") or request.query["name"]
            return _finish(store, request, bucket, name, data, content.get_content_type(), described)
        case "POST", "media":
            name = request.query["name"]
            return _finish(store, request, bucket, name, body, headers.get("Content-Type", ""), {})
        case "POST", "resumable":
            described = json.loads(body or b"{}")
            name = described.get("name") or request.query["name"]
            session = f"{request.number}"
            kind = headers.get("X-Upload-Content-Type") or "application/octet-stream"
            store.sessions[session] = _Session(bucket, name, kind)
            url = f"{store.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={session}"
            return _Answer(200, b"", {"Location": url})
        case "PUT", "resumable":
            return _resume(store, request.query["upload_id"], headers.get("Content-Range", ""), body)
        case "DELETE", "resumable":
            store.sessions.pop(request.query["upload_id"], None)
            return _Answer(499)
    return _error(400, f"no such upload: {request.method} {request.query}")


def _finish(
    store: Store, request: Request, bucket: str, name: str, data: bytes, kind: str, described: dict[str, Any]
) -> _Answer:
    existing = store.buckets[bucket].get(name)
    wanted = request.query.get("ifGenerationMatch")
    if store.heeds_conditions and wanted is not None and wanted != (str(existing.generation) if existing else "0"):
        return _error(412, "At least one of the pre-conditions you specified did not hold.")
    for key, have in (("md5Hash", _md5(data)), ("crc32c", _crc32c(data))):
        if described.get(key, have) != have:
            return _error(400, f"Provided {key} does not match the content.")
    return _json(_described(bucket, name, store.put(bucket, name, data, kind or "application/octet-stream")))


def _resume(store: Store, upload_id: str, content_range: str, body: bytes) -> _Answer:
    session = store.sessions.get(upload_id)
    if session is None:
        return _error(404, "no such upload")
    if session.done:
        return _Answer(200, session.done, {"Content-Type": "application/json"})
    span = _RANGE.fullmatch(content_range)
    if span is None:
        return _error(400, f"not a range: {content_range!r}")
    if span[1] is not None:
        start = int(span[1])
        if start > len(session.data):
            return _error(503, "bytes are missing in between")
        session.data[start:] = body
    if span[3] != "*" and len(session.data) == int(span[3]):
        stored = store.put(session.bucket, session.name, bytes(session.data), session.content_type)
        session.data.clear()
        answer = _json(_described(session.bucket, session.name, stored))
        session.done = answer.body
        return answer
    have = {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
    return _Answer(308, b"", have)


def _batch(store: Store, headers: Any, body: bytes) -> _Answer:
    whole = email.parser.BytesParser().parsebytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\n\n" + body)
    answers = []
    for part in whole.get_payload():
        first, _, rest = part.get_payload(decode=True).decode().partition("\n")
        method, target, _ = first.split()
        target = urlsplit(target)._replace(scheme="", netloc="").geturl()
        request = store.note(method, target)
        fault = store.fault(request)
        if fault and fault.status:
            answer = _error(fault.status, f"injected {fault.status}")
        else:
            answer = _respond(store, request, email.parser.Parser().parsestr(rest, headersonly=True), b"")
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{k}: {v}" for k, v in answer.headers.items()), ""]
        answers.append("\r\n".join([*lines, answer.body.decode()]))
    edge = "batch_of_answers"
    parts = "".join(f"--{edge}\r\nContent-Type: application/http\r\n\r\n{answer}\r\n" for answer in answers)
    return _Answer(200, f"{parts}--{edge}--\r\n".encode(), {"Content-Type": f'multipart/mixed; boundary="{edge}"'})
