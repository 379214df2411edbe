"""The server's side of a parcel collection over WebSocket (RS-016), as a state machine that touches no socket.

    AWAITING_RESPONSE --response--> AUTHENTICATING --accept()--> COLLECTING --close--> CLOSED

Whoever drives it sends `challenge`, passes each message received to `receive`, and acts on what that returns. In
COLLECTING, `deliver` numbers parcels as long as `can_deliver` says that fewer than the permitted number are
unacknowledged: clients of the JavaScript library lose parcels that are sent back to back. Whatever breaks the
protocol is answered with a `Closure`.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from awala.errors import InvalidMessageError
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.parcel_delivery import ParcelDelivery

Token = TypeVar("Token")


@dataclass(frozen=True, kw_only=True, slots=True)
class Closure:
    """The WebSocket is to be closed with this code and reason."""

    code: int
    reason: str


COMPLETED: Final = Closure(code=1000, reason="All parcels have been collected")
INVALID_RESPONSE: Final = Closure(code=1003, reason="Invalid handshake response")
UNKNOWN_DELIVERY: Final = Closure(code=1003, reason="Unknown delivery id in acknowledgement")
UNEXPECTED_MESSAGE: Final = Closure(code=1003, reason="Message came out of turn")
FORBIDDEN_ORIGIN: Final = Closure(code=1008, reason="Web browsers are not allowed")
HANDSHAKE_TIMED_OUT: Final = Closure(code=1003, reason="Handshake took too long")
# RS-016 gives 4000 for a keep-alive collection that the server has to end. Android stops collecting after a 1000.
SERVER_STOPPING: Final = Closure(code=4000, reason="Server is stopping; connect again")
SERVER_FAILED: Final = Closure(code=4000, reason="Server cannot go on; connect again later")


@dataclass(frozen=True, kw_only=True, slots=True)
class HandshakeAnswered:
    """The client answered the challenge; its signatures are still to be verified."""

    nonce_signatures: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelAcknowledged(Generic[Token]):
    """The client has the parcel that `deliver` was given this token for."""

    token: Token


class _State(Enum):
    AWAITING_RESPONSE = auto()
    AUTHENTICATING = auto()
    COLLECTING = auto()
    CLOSED = auto()


@dataclass(slots=True)
class CollectionServer(Generic[Token]):
    """One collection. `Token` is whatever stands for a parcel to the caller."""

    nonce: bytes
    is_keep_alive: bool
    max_in_flight: int
    _state: _State = field(default=_State.AWAITING_RESPONSE, init=False)
    _in_flight: dict[str, Token] = field(default_factory=dict, init=False)

    @property
    def challenge(self) -> bytes:
        """The first message to send, binary."""
        return HandshakeChallenge(nonce=self.nonce).serialize()

    def receive(self, message: bytes | str) -> "HandshakeAnswered | ParcelAcknowledged[Token] | Closure":
        """Say what a message from the client means; acknowledgements may be text or binary."""
        if self._state is _State.AWAITING_RESPONSE:
            return self._receive_response(message)
        if self._state is _State.AUTHENTICATING:
            return self.close(UNEXPECTED_MESSAGE)
        # In CLOSED too: what the client acknowledged before it learnt of the end, it has.
        return self._receive_acknowledgement(message)

    def accept(self) -> None:
        """Begin to collect: the signatures hold. Comes too late if the collection was closed meanwhile."""
        if self._state is _State.AUTHENTICATING:
            self._state = _State.COLLECTING

    @property
    def in_flight(self) -> tuple[Token, ...]:
        """The parcels sent and not acknowledged yet, oldest first."""
        return tuple(self._in_flight.values())

    @property
    def can_deliver(self) -> bool:
        """Whether one more parcel may be sent now."""
        return self._state is _State.COLLECTING and len(self._in_flight) < self.max_in_flight

    def deliver(self, delivery_id: str, parcel_serialized: bytes, token: Token) -> bytes:
        """Return the message, binary, that delivers a parcel; `delivery_id` is text unique to this collection."""
        self._in_flight[delivery_id] = token
        return ParcelDelivery(delivery_id=delivery_id, parcel_serialized=parcel_serialized).serialize()

    def complete(self) -> Closure | None:
        """Say what to do now that the queue is empty: nothing while parcels are in flight or to be waited for."""
        if self.is_keep_alive or self._in_flight or self._state is not _State.COLLECTING:
            return None
        return self.close(COMPLETED)

    def close(self, closure: Closure) -> Closure:
        """End the collection; of what still comes, only acknowledgements of parcels in flight mean anything."""
        self._state = _State.CLOSED
        return closure

    def _receive_response(self, message: bytes | str) -> "HandshakeAnswered | Closure":
        if isinstance(message, str):
            return self.close(INVALID_RESPONSE)
        try:
            response = HandshakeResponse.deserialize(message)
        except InvalidMessageError:
            return self.close(INVALID_RESPONSE)
        self._state = _State.AUTHENTICATING
        return HandshakeAnswered(nonce_signatures=response.nonce_signatures)

    def _receive_acknowledgement(self, message: bytes | str) -> "ParcelAcknowledged[Token] | Closure":
        delivery_id = message if isinstance(message, str) else message.decode("latin-1")
        if delivery_id not in self._in_flight:
            return self.close(UNKNOWN_DELIVERY)
        return ParcelAcknowledged(token=self._in_flight.pop(delivery_id))
