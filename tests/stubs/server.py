"""Servers of tests on this machine: quiet, in a thread of their own, gone with the body that uses them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any


@contextmanager
def running(server: BaseServer) -> Iterator[None]:
    """Answers requests until the body ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False  # a connection that a client keeps open must not block the test
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that go away."""


class Cut(Exception):
    """The connection is to be cut now."""


class Handler(BaseHTTPRequestHandler):
    """Passes every request to `answer`, which may raise `Cut`."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def answer(self) -> None:
        """Reads the request, and sends what there is to send."""
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps quiet."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _serve(self) -> None:
        try:
            self.answer()
        except Cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _serve
