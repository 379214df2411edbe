"""A light collector: the client's side of PoWeb's WebSocket, with as little work per message as will do."""

import asyncio
import os
import socket
from base64 import b64encode
from collections.abc import Callable

from awala.asn1 import oids
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.parcel_delivery import ParcelDelivery
from awala.signatures import sign_detached
from benchmarks.http_load import HOST
from benchmarks.population import Collector

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_UPGRADE = (
    "GET /v1/parcel-collection HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nX-Awala-Streaming-Mode: keep-alive\r\n\r\n"
)

OnParcel = Callable[["CollectorConnection", bytes], None]


class CollectorConnection(asyncio.Protocol):
    """Collects in keep-alive mode, and answers pings, until it is closed. `on_parcel` gets each message whole."""

    def __init__(self, collector: Collector, on_parcel: OnParcel) -> None:
        self._collector = collector
        self._on_parcel = on_parcel
        self._buffer = b""
        self._message = b""
        self._is_upgraded = False
        self._is_answered = False
        self.pings = 0
        self.is_lost = False
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, port: int, collector: Collector, on_parcel: OnParcel) -> "CollectorConnection":
        """Returns once the handshake has been answered, which the server has still to check."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(collector, on_parcel), HOST, port)
        await connection.answered
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(_UPGRADE.format(key=b64encode(os.urandom(16)).decode()).encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_upgraded:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._is_upgraded, self._buffer = True, rest
        while (frame := self._take_frame()) is not None:
            self._receive(*frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError("The server ended the connection"))

    def acknowledge(self, message: bytes) -> None:
        self._send(_TEXT, ParcelDelivery.deserialize(message).delivery_id.encode())

    def _receive(self, first: int, payload: bytes) -> None:
        opcode, is_final = first & 0x0F, first & 0x80
        if opcode == _PING:
            self.pings += 1
            self._send(_PONG, payload)
        elif opcode == _CLOSE:
            self.transport.close()
        elif opcode in (_BINARY, _CONTINUATION):
            self._message += payload
            if is_final:
                message, self._message = self._message, b""
                self._receive_message(message)

    def _receive_message(self, message: bytes) -> None:
        if self._is_answered:
            self._on_parcel(self, message)
            return
        nonce = HandshakeChallenge.deserialize(message).nonce
        signature = sign_detached(
            nonce,
            oids.PARCEL_COLLECTION_HANDSHAKE,
            private_key=self._collector.private_key,
            certificate=self._collector.certificate,
        )
        self._send(_BINARY, HandshakeResponse(nonce_signatures=(signature,)).serialize())
        self._is_answered = True
        self.answered.set_result(None)

    def _take_frame(self) -> tuple[int, bytes] | None:
        """The first octet and the payload of the next frame, once all of it is there; servers do not mask."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(buffer[2:start], "big")
        end = start + length
        if len(buffer) < start or len(buffer) < end:
            return None
        self._buffer = buffer[end:]
        return buffer[0], buffer[start:end]

    def _send(self, opcode: int, payload: bytes) -> None:
        # A mask of zeros leaves the payload as it is.
        length = len(payload)
        size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        self.transport.write(bytes((0x80 | opcode,)) + size + bytes(4) + payload)
