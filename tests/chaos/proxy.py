"""A proxy before a store, which does to requests and answers what a network and a busy store do."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.stubs.server import Cut, Handler, Server, running

_OF_THE_CONNECTION = {"connection", "transfer-encoding", "content-length", "expect", "keep-alive"}
_SKEW_S = 900  # S3 refuses what was signed with a clock that is off by more
GUARD_S = 60.0


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived; `number` counts them from 1."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    size_bytes: int

    @property
    def is_write(self) -> bool:
        """Whether it may make an object."""
        return self.method == "PUT" or (self.method == "POST" and (self.path.startswith("/upload/")))

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and "prefix" in self.query


@dataclass(frozen=True)
class Blow:
    """What happens to a request: the first of these that is given, and `stall_s` before it.

    Args:
        after: whether the store gets it before the rest happens.
        status, code: the answer is this error.
        cut: the connection ends without an answer; while a body is sent, in its middle.
        cut_answer: it ends in the middle of the answer's body.
        stale: a listing is what it was when it was first asked for.
    """

    after: bool = False
    status: int = 0
    code: str = "Injected"
    cut: bool = False
    cut_answer: bool = False
    stall_s: float = 0.0
    stale: bool = False


class Proxy:
    """The proxy's state; trials may change `blow` and `checks_clock` at any time."""

    def __init__(self, url: str, upstream: str) -> None:
        self.url, self.upstream = url, upstream
        self.blow: Callable[[Asked], Blow | None] = lambda asked: None
        self.checks_clock = False
        self.count = self.struck = 0
        self.listings: dict[str, Any] = {}
        self.lock = threading.Lock()

    def rest(self) -> None:
        """Harms nothing from now on, and counts from 1 again."""
        with self.lock:
            self.blow, self.checks_clock = lambda asked: None, False
            self.count = self.struck = 0
            self.listings.clear()


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """A proxy on a free port of this machine before the store at `upstream`, until the body ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = Proxy(f"http://127.0.0.1:{server.server_port}", upstream)
    with running(server):
        yield server.proxy


class _Server(Server):
    proxy: Proxy


class _Handler(Handler):
    server: _Server

    def answer(self) -> None:
        proxy, size = self.server.proxy, int(self.headers.get("Content-Length") or 0)
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with proxy.lock:
            proxy.count += 1
            asked = Asked(proxy.count, self.command, unquote(parts.path), query, size)
            blow = proxy.blow(asked) or Blow()
            proxy.struck += blow != Blow()
        if blow.cut and not blow.after and size:
            self.rfile.read(max(1, size // 2))
            raise Cut
        body = self.rfile.read(size)
        if proxy.checks_clock and self._is_off():
            blow = Blow(status=403, code="RequestTimeTooSkewed")
        if not blow.after:
            self._suffer(blow)
        status, headers, answer = self._ask(asked, body, blow.stale)
        if blow.after:
            self._suffer(blow)
        self._send(status, headers, answer, blow.cut_answer)

    def _suffer(self, blow: Blow) -> None:
        time.sleep(blow.stall_s)
        if blow.cut or blow.stall_s:
            raise Cut
        if blow.status:
            text = f"injected {blow.status}"
            known = {"code": blow.status, "message": text, "errors": [{"reason": blow.code, "message": text}]}
            xml = f"<Error><Code>{blow.code}</Code><Message>{text}</Message></Error>".encode()
            google = "/storage/v1/" in self.path or self.path.startswith("/batch")
            self._send(blow.status, [], json.dumps({"error": known}).encode() if google else xml)
            raise Cut

    def _is_off(self) -> bool:
        signed = self.headers.get("X-Amz-Date")
        then = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if signed else datetime.now(UTC)
        return abs((datetime.now(UTC) - then).total_seconds()) > _SKEW_S

    def _ask(self, asked: Asked, body: bytes, stale: bool) -> tuple[int, list[tuple[str, str]], bytes]:
        proxy = self.server.proxy
        if asked.is_listing and stale and self.path in proxy.listings:
            found: tuple[int, list[tuple[str, str]], bytes] = proxy.listings[self.path]
            return found
        connection = http.client.HTTPConnection(urlsplit(proxy.upstream).netloc, timeout=GUARD_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=False, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OF_THE_CONNECTION and name.lower() != "host":
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            data = answer.read()
            # An upload in pieces continues where the store says; it has to come through here as well.
            kept = [(n, v.replace(proxy.upstream, proxy.url)) for n, v in answer.getheaders()]
            if self.command == "HEAD":
                kept = [*((n, v) for n, v in kept if n.lower() not in _OF_THE_CONNECTION - {"content-length"})]
            else:
                kept = [(n, v) for n, v in kept if n.lower() not in _OF_THE_CONNECTION]
        finally:
            connection.close()
        result = answer.status, kept, data
        if asked.is_listing:
            proxy.listings.setdefault(self.path, result)
        return result

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        elif not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.wfile.flush()
        if cut:
            raise Cut
