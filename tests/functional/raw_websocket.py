"""A WebSocket client that does nothing by itself: it answers no ping, and sends whatever frames it is told to."""

import os
import socket
import time
from base64 import b64encode
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

_UPGRADE = (
    "GET /v1/parcel-collection HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n"
)


class ConnectionCutError(Exception):
    """The server ended the TCP connection."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    opcode: int
    payload: bytes
    at: float
    """Seconds since the connection began."""

    @property
    def close_code(self) -> int:
        return int.from_bytes(self.payload[:2], "big")


class RawWebSocket:
    """Connected, and the upgrade done, once it exists."""

    def __init__(self, port: int, *, more_headers: str = "", timeout: float = 30) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._buffer = b""
        request = _UPGRADE.format(key=b64encode(os.urandom(16)).decode(), more=more_headers)
        self._socket.sendall(request.encode())
        self._began_at = time.monotonic()
        self.upgrade = self._read_until(b"\r\n\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def read_frame(self) -> Frame:
        """The next frame of the server; raises ConnectionCutError or TimeoutError."""
        first, second = self._read(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
        return Frame(opcode=first & 0x0F, payload=self._read(length), at=self.seconds)

    @property
    def seconds(self) -> float:
        """Since the connection began."""
        return time.monotonic() - self._began_at

    def read_frame_of(self, opcode: int) -> Frame:
        while (frame := self.read_frame()).opcode != opcode:
            pass
        return frame

    def send_frame(self, opcode: int, payload: bytes = b"", *, is_final: bool = True) -> None:
        mask = os.urandom(4)
        length = len(payload)
        size = (
            bytes((0x80 | length,))
            if length < 126
            else b"\xfe" + length.to_bytes(2, "big")
            if length < 65_536
            else b"\xff" + length.to_bytes(8, "big")
        )
        masked = bytes(octet ^ mask[i % 4] for i, octet in enumerate(payload))
        self._socket.sendall(bytes((opcode | (0x80 if is_final else 0),)) + size + mask + masked)

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        octets, self._buffer = self._buffer[:size], self._buffer[size:]
        return octets

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(end)
        return head

    def _receive(self) -> None:
        try:
            octets = self._socket.recv(65_536)
        except ConnectionResetError:
            octets = b""
        if not octets:
            raise ConnectionCutError
        self._buffer += octets
