"""The collector's side of a parcel collection over WebSocket (RS-016)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import oids
from awala.clients.errors import CollectionClosedError, InvalidAnswerError, ServerUnavailableError
from awala.clients.websocket import NORMAL_CLOSURE, WebSocket, open_websocket
from awala.errors import InvalidMessageError, MalformedMessageError
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from awala.parcel_delivery import ParcelDelivery
from awala.pki.certificate import Certificate
from awala.signatures import sign_detached

_PROTOCOL_VIOLATED: Final = 1003


class StreamingMode(Enum):
    """Whether a collection ends once the queue is empty, or waits for further parcels (RS-016)."""

    KEEP_ALIVE = "keep-alive"
    CLOSE_UPON_COMPLETION = "close-upon-completion"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """A private gateway's key, and the certificate that the Internet gateway issued for it."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: Certificate

    def sign(self, plaintext: bytes, oid: bytes) -> bytes:
        """Return the detached signature of ``plaintext`` for the use ``oid`` (RS-000)."""
        return sign_detached(plaintext, oid, private_key=self.private_key, certificate=self.certificate)


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectedParcel:
    """A parcel that the server sent, and will send again until it is acknowledged."""

    delivery_id: str
    parcel_serialized: bytes = field(repr=False)
    _websocket: WebSocket = field(repr=False)

    def acknowledge(self) -> None:
        """Tell the server that the parcel is safe, so that it deletes it.

        :raises CollectionClosedError: if the connection is gone
        """
        self._websocket.send(self.delivery_id)


class Collection:
    """An open collection: iterate over it for the parcels, until the server says that there are no more."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    def __iter__(self) -> Iterator[CollectedParcel]:
        while (parcel := self.receive()) is not None:
            yield parcel

    def receive(self, *, timeout: float | None = None) -> CollectedParcel | None:
        """Return the next parcel, or ``None`` when the server says that there are no more.

        ``timeout`` is in seconds; without it this waits as long as the connection lives.

        :raises TimeoutError: if no parcel came in time; one may be waited for again
        :raises CollectionClosedError: if the connection ended otherwise
        :raises InvalidAnswerError: if the server sent something else than parcels
        """
        try:
            message = self._websocket.receive(timeout)
        except CollectionClosedError as error:
            if error.code == NORMAL_CLOSURE:
                return None
            raise
        try:
            delivery = ParcelDelivery.deserialize(_expect_binary(message))
        except InvalidMessageError as error:
            self._websocket.close(_PROTOCOL_VIOLATED, "Malformed parcel delivery")
            raise InvalidAnswerError(f"Server sent no valid parcel delivery: {error}") from error
        return CollectedParcel(
            delivery_id=delivery.delivery_id,
            parcel_serialized=delivery.parcel_serialized,
            _websocket=self._websocket,
        )


@contextmanager
def open_collection(
    url: str, signers: Sequence[Signer], mode: StreamingMode, *, timeout: float = 10
) -> Iterator[Collection]:
    """Open a collection at the endpoint at ``url`` (``ws:`` or ``wss:``), and close it when the ``with`` is left.

    ``timeout`` is in seconds, for the connection and again for the challenge. The server's pings are answered
    from here on. A server that refuses the answer to its challenge closes the connection, which is found out by
    waiting for the first parcel. What was not acknowledged stays on the server.

    :raises ServerUnavailableError: if the server cannot be reached, or does not serve now
    :raises RejectedRequestError: if it refuses the request
    :raises CollectionClosedError: if it closes the connection before the challenge
    :raises InvalidAnswerError: if its answers make no sense
    :raises InvalidArgumentError: if ``url`` is no WebSocket URL
    """
    # The specification's name of the header, and the older one, the only one that some servers know.
    headers = {"X-Awala-Streaming-Mode": mode.value, "X-Relaynet-Streaming-Mode": mode.value}
    with open_websocket(url, headers=headers, timeout=timeout, max_size=MAX_RAMF_MESSAGE_SIZE) as websocket:
        _answer_challenge(websocket, signers, timeout)
        yield Collection(websocket)


def _answer_challenge(websocket: WebSocket, signers: Sequence[Signer], timeout: float) -> None:
    try:
        challenge = HandshakeChallenge.deserialize(_expect_binary(websocket.receive(timeout)))
        signatures = tuple(signer.sign(challenge.nonce, oids.PARCEL_COLLECTION_HANDSHAKE) for signer in signers)
        websocket.send(HandshakeResponse(nonce_signatures=signatures).serialize())
    except TimeoutError as error:
        websocket.close(_PROTOCOL_VIOLATED, "Handshake took too long")
        raise ServerUnavailableError("Server sent no handshake challenge in time") from error
    except InvalidMessageError as error:
        websocket.close(_PROTOCOL_VIOLATED, "Invalid handshake challenge")
        raise InvalidAnswerError(f"Server sent no valid handshake challenge: {error}") from error


def _expect_binary(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise MalformedMessageError("Text message where a binary one is expected")
    return message
