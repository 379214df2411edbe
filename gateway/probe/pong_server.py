"""Where parcels for the pong endpoint come in: plain HTTP, open to whoever finds it, so that everything is bounded."""

import queue
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final, Self

from awala.clients.pohttp import PARCEL_CONTENT_TYPE
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from gateway.errors import GatewayError
from gateway.probe.target import PongPlace

_MAX_CONNECTIONS: Final = 8
_MAX_PARCELS: Final = 16
_IDLE_SECONDS: Final = 10
_STOP_SECONDS: Final = 0.05


class PongPortError(GatewayError):
    """The probe cannot listen where parcels for its pong endpoint are to come in."""


class PongServer(ThreadingTCPServer):
    """Listens from the moment it is made until its `with` block ends; keeps the parcels that came."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, place: PongPlace) -> None:
        """Raises `PongPortError`."""
        self.place = place
        self._room = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._parcels: queue.Queue[bytes] = queue.Queue(_MAX_PARCELS)
        self.address_family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        try:
            super().__init__((place.host, place.port), _Handler)
        except OSError as error:
            raise PongPortError(f"The probe cannot listen for the pong endpoint, {place}: {error.strerror}") from error
        self._thread = threading.Thread(target=self.serve_forever, args=(_STOP_SECONDS,), name="pong", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def keep(self, parcel_serialized: bytes) -> bool:
        """Returns whether there was room for it."""
        try:
            self._parcels.put_nowait(parcel_serialized)
        except queue.Full:
            return False
        return True

    def receive(self, timeout: float) -> bytes:
        """The next parcel that came, whoever sent it; raises TimeoutError."""
        try:
            return self._parcels.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None

    # ------------------------------------------------------------------ what the base class calls

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no failures of the probe."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: PongServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > len(str(MAX_RAMF_MESSAGE_SIZE)) or int(length) > MAX_RAMF_MESSAGE_SIZE:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self.headers.get("Content-Type") != PARCEL_CONTENT_TYPE:
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        else:
            self._take(int(length))

    def _take(self, length: int) -> None:
        parcel_serialized = self.rfile.read(length)
        if len(parcel_serialized) < length:
            self.close_connection = True
        elif self.server.keep(parcel_serialized):
            self._answer(HTTPStatus.ACCEPTED)
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer before the body was read, so that nothing else can come over this connection."""
        self.close_connection = True
        self._answer(status)

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The steps of the probe say what came."""
