"""The HTTP server below `InternetEndpoint`: threaded, keeps connections alive, and can be cut off at once."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

HOST = "127.0.0.1"
# Larger than any parcel that a gateway may send.
_MAX_BODY_SIZE = 16 * 1024 * 1024
_IDLE_SECONDS = 60


class Answer(Protocol):
    @property
    def status(self) -> int | None: ...

    @property
    def location(self) -> str | None: ...


OnRequest = Callable[[str | None, bytes], Answer | None]
"""From the content type and the body of a POST to the answer; without one the connection is cut."""


class PoHTTPServer(ThreadingHTTPServer):
    """Serves from the moment it is made."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, on_request: OnRequest, tls: ssl.SSLContext | None) -> None:
        self.on_request = on_request
        self._tls = tls
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="pohttp-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, so that a client's slow TLS handshake delays no other."""
        request.settimeout(_IDLE_SECONDS)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            request = self._tls.wrap_socket(request, server_side=True)
        with self._lock:
            self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            with self._lock:
                self._connections.discard(request)
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, or that are cut off, are no failures of this server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PoHTTPServer

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        assert size <= _MAX_BODY_SIZE
        body = self.rfile.read(size)
        # A client that dies leaves less than it said.
        answer = self.server.on_request(self.headers.get("Content-Type"), body) if len(body) == size else None
        if answer is None or answer.status is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        if answer.location:
            self.send_header("Location", answer.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """What arrives is recorded by the endpoint."""
