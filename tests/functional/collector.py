"""A private gateway's side of a parcel collection, each message in the test's own hands."""

import hashlib
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from awala.parcel_delivery import ParcelDelivery
from tests.functional.private_gateway import PrivateGateway

PATIENCE_SECONDS = 20.0
# What a client has been sent is there within this time, on a busy machine too.
QUIET_SECONDS = 1.0

KEEP_ALIVE = "keep-alive"
CLOSE_UPON_COMPLETION = "close-upon-completion"
STREAMING_MODE = "X-Relaynet-Streaming-Mode"


class Collector:
    """Connects at once; answers pings by itself. Entering its `with` block completes the handshake."""

    def __init__(
        self,
        url: str,
        *signers: PrivateGateway,
        mode: str | None = KEEP_ALIVE,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._signers = signers
        named = {} if mode is None else {STREAMING_MODE: mode}
        self._stack = ExitStack()
        connection = connect(
            url,
            additional_headers=named | dict(headers or {}),
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=MAX_RAMF_MESSAGE_SIZE + 1024,
            close_timeout=1,
        )
        self._connection: ClientConnection = self._stack.enter_context(connection)

    def __enter__(self) -> Self:
        try:
            self.respond(*(signer.sign_nonce(self.nonce) for signer in self._signers))
        except BaseException:
            self.cut()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def nonce(self) -> bytes:
        """Of the challenge, which is read at the first use."""
        if not hasattr(self, "_nonce"):
            self._nonce = HandshakeChallenge.deserialize(self.receive()).nonce
        return self._nonce

    def respond(self, *signatures: bytes) -> None:
        self.send(HandshakeResponse(nonce_signatures=signatures).serialize())

    def send(self, message: bytes | str) -> None:
        self._connection.send(message)

    def receive(self, timeout: float = PATIENCE_SECONDS) -> bytes:
        """The next message, which must be binary; raises TimeoutError or `ConnectionClosed`."""
        message = self._connection.recv(timeout)
        assert isinstance(message, bytes)
        return message

    def take(self, timeout: float = PATIENCE_SECONDS) -> ParcelDelivery:
        return ParcelDelivery.deserialize(self.receive(timeout))

    def acknowledge(self, delivery: ParcelDelivery, *, binary: bool = False) -> None:
        self.send(delivery.delivery_id.encode() if binary else delivery.delivery_id)

    def collect(self, number: int) -> list[bytes]:
        """The next parcels, each acknowledged before the next one."""
        parcels: list[bytes] = []
        for _ in range(number):
            delivery = self.take()
            self.acknowledge(delivery)
            parcels.append(delivery.parcel_serialized)
        return parcels

    def collect_rest(self) -> list[bytes]:
        """The parcels until the server closes."""
        parcels: list[bytes] = []
        try:
            while True:
                parcels.extend(self.collect(1))
        except ConnectionClosed:
            return parcels

    def is_sent_nothing(self, seconds: float = QUIET_SECONDS) -> bool:
        try:
            self._connection.recv(seconds)
        except TimeoutError:
            return True
        return False

    def wait_until_closed(self, timeout: float = PATIENCE_SECONDS) -> tuple[int, str]:
        """The code and reason of the server's close frame (1006 without one); throws away what comes before."""
        try:
            while True:
                self._connection.recv(timeout)
        except ConnectionClosed as closed:
            frame = closed.rcvd
            return (1006, "") if frame is None else (int(frame.code), frame.reason)

    def close(self) -> None:
        self._stack.close()

    def cut(self) -> None:
        """End the connection as a device does that loses its network."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)
        self.close()


def drain_queue(url: str, *signers: PrivateGateway) -> list[bytes]:
    """Everything that waits for the private gateways, acknowledged."""
    with Collector(url, *signers, mode=CLOSE_UPON_COMPLETION) as collector:
        return collector.collect_rest()


def sha256_of(parcels: Sequence[bytes]) -> list[str]:
    """What to compare instead of parcels, so that a failure prints no megabytes."""
    return [hashlib.sha256(parcel).hexdigest() for parcel in parcels]
