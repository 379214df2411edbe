"""What couriers, private gateways and pinging endpoints on the published libraries take and return."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Self

from tests.functional.npm_values import Identity, NpmClientError, ParsedParcel, SessionKeyPair

ItemKind = Literal["parcel", "pca", "rotation", "unreadable"]


@dataclass(frozen=True, kw_only=True)
class CourierServer:
    """Where a CogRPC server listens. With TLS the library trusts whatever certificate the server has, as in a LAN."""

    port: int
    host: str = "127.0.0.1"
    tls: bool = False


@dataclass(frozen=True, kw_only=True)
class CourierFailure:
    """How the library's call failed."""

    name: str
    message: str
    status: str | None
    """Of gRPC, such as `UNAVAILABLE`, if that was the cause."""


@dataclass(frozen=True, kw_only=True)
class CallOutcome:
    seconds: float
    failure: CourierFailure | None

    def check(self) -> Self:
        """Raises NpmClientError if the call failed."""
        if self.failure:
            raise NpmClientError(self.failure.name, self.failure.message)
        return self


@dataclass(frozen=True, kw_only=True)
class CargoAcknowledgement:
    index: int
    """Of the cargo, among those given."""
    at_seconds: float
    """Since the call began."""


@dataclass(frozen=True, kw_only=True)
class CargoDelivery(CallOutcome):
    sent: int
    """The library may end a call before it has taken all cargoes."""
    acknowledgements: tuple[CargoAcknowledgement, ...]

    @property
    def acknowledged(self) -> list[int]:
        return [acknowledgement.index for acknowledgement in self.acknowledgements]


@dataclass(frozen=True, kw_only=True)
class CollectedCargo:
    serialized: bytes = field(repr=False)
    sha256: str
    at_seconds: float
    """Since the call began."""


@dataclass(frozen=True, kw_only=True)
class CargoCollection(CallOutcome):
    cargoes: tuple[CollectedCargo, ...]


@dataclass(frozen=True, kw_only=True)
class NpmPrivateGateway:
    """The library's own private gateway, held by the process under `handle`, sessions and certificates included."""

    handle: str
    identity: Identity
    internet_gateway_id: str


@dataclass(frozen=True, kw_only=True)
class PrivateGatewayState:
    """The certificate it signs with, and the id of the session key that it encrypts the next message to."""

    certificate_der: bytes
    session_key_id: bytes


@dataclass(frozen=True, kw_only=True)
class MadeCargo:
    serialized: bytes = field(repr=False)
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ParsedPCA:
    sender_id: str
    recipient_id: str
    parcel_id: str


@dataclass(frozen=True, kw_only=True)
class ParsedRotation:
    leaf_der: bytes
    authorities_der: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class CargoItem:
    """What the library made of an item; of what it names, only that which fits its kind is there."""

    kind: ItemKind
    serialized: bytes = field(repr=False)
    sha256: str
    parcel: ParsedParcel | None
    invalid: str | None
    """Why the private gateway would not take the parcel."""
    pca: ParsedPCA | None
    rotation: ParsedRotation | None
    accepted: bool | None
    """Whether the certificate of a rotation is the private gateway's from now on."""
    error: str | None
    """Why the item could not be read."""


@dataclass(frozen=True, kw_only=True)
class UnwrappedCargo:
    id: str
    recipient_id: str
    sender_id: str
    created_at: datetime
    ttl_seconds: int
    items: tuple[CargoItem, ...]

    @property
    def valid_parcels(self) -> list[CargoItem]:
        return [item for item in self.items if item.kind == "parcel" and item.invalid is None]

    @property
    def acknowledgements(self) -> list[ParsedPCA]:
        return [item.pca for item in self.items if item.pca]

    @property
    def rotations(self) -> list[CargoItem]:
        return [item for item in self.items if item.kind == "rotation"]


@dataclass(frozen=True, kw_only=True)
class MadePing:
    """The pong will be encrypted to `session_key`."""

    ping_id: str
    parcel_id: str
    serialized: bytes = field(repr=False)
    sha256: str
    expires_at: datetime
    session_key: SessionKeyPair


@dataclass(frozen=True, kw_only=True)
class MadePong:
    ping_id: str
    parcel_id: str
    serialized: bytes = field(repr=False)
    sha256: str
    expires_at: datetime


Items = Sequence["bytes | tuple[bytes, datetime]"]
"""Serialised messages, each with the date of its expiry where it matters."""
