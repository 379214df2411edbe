"""What the published clients take and return."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

HashName = Literal["SHA-256", "SHA-384", "SHA-512"]
CertificateKind = Literal["gateway", "endpoint", "delivery-authorization"]
StreamingMode = Literal["keep-alive", "close-upon-completion"]
SignaturePurpose = Literal["parcel-delivery", "collection-handshake"]


class NpmClientError(Exception):
    """A library refused; `name` is the class of its error."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class NpmProcessError(RuntimeError):
    """The process that runs the libraries did not start, or ended."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An RSA key pair held by the process under `handle`."""

    handle: str
    node_id: str
    spki_der: bytes


@dataclass(frozen=True, kw_only=True)
class PublicSessionKey:
    key_id: bytes
    public_key_der: bytes


@dataclass(frozen=True, kw_only=True)
class SessionKeyPair:
    """A session key pair held by the process under `handle`."""

    handle: str
    public: PublicSessionKey


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A node that signs for itself: its key and the certificate that its peers know."""

    identity: Identity
    certificate_der: bytes


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a PoWeb server listens without TLS.

    The time limit is the library's own when none is given: 3 s for 127.0.0.1, 5 s otherwise.
    """

    port: int
    host: str = "127.0.0.1"
    timeout_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceMessage:
    type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class MadeParcel:
    id: str
    serialized: bytes
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ParsedParcel:
    id: str
    recipient_id: str
    recipient_internet_address: str | None
    sender_id: str
    sender_certificate_der: bytes
    created_at: datetime
    ttl_seconds: int
    payload_size: int
    payload_sha256: str
    path: tuple[str, ...] | None
    """Node ids from the sender to the trusted certificate, when a path was asked for."""


@dataclass(frozen=True, kw_only=True)
class ParsedCertificate:
    node_id: str
    common_name: str
    issuer_id: str | None
    serial_number: str
    not_before: datetime
    not_after: datetime
    path: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Registration:
    certificate_der: bytes
    gateway_certificate_der: bytes
    internet_address: str
    session_key: PublicSessionKey | None


@dataclass(frozen=True, kw_only=True)
class ConnectionParams:
    internet_address: str
    identity_key_der: bytes
    session_key: PublicSessionKey
    content_type: str | None
    """Of the response, when it came from a server."""


@dataclass(frozen=True, kw_only=True)
class RegistrationAuthorization:
    expires_at: datetime
    gateway_data: bytes


@dataclass(frozen=True, kw_only=True)
class RegistrationRequest:
    spki_der: bytes
    authorization: bytes


@dataclass(frozen=True, kw_only=True)
class CertificationPath:
    leaf_der: bytes
    authorities_der: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class VerificationCost:
    """Per parcel."""

    cpu_microseconds: float
    wall_microseconds: float


@dataclass(frozen=True, kw_only=True)
class CollectedParcel:
    index: int
    sha256: str
    size: int
    received_at: float
    """Seconds since the epoch, by the clock of this machine."""
    id: str | None
    """Its own id, if it was to be parsed and could be."""
    invalid: str | None
    """The class of the error that a private gateway would meet, if it was to be parsed."""
    serialized: bytes | None


@dataclass(frozen=True, kw_only=True)
class Closure:
    """How a WebSocket connection ended: 1006 is a cut without a closing frame."""

    code: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class CollectionSummary:
    parcels: int
    stopped: bool
