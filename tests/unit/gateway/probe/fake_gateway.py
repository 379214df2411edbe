"""A gateway in memory, in the place of the clients that the probe uses; it can be told to misbehave."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.clients.collection import Signer, StreamingMode
from awala.clients.errors import RefusedParcelError
from awala.connection_params import NodeConnectionParams
from awala.errors import InvalidMessageError
from awala.messages.parcel import Parcel
from awala.pki.issuance import issue_gateway_certificate
from awala.registration import Registration
from awala.session_key import generate_session_key
from gateway.probe.session_keys import SessionKeys
from tests import factories

CERTIFICATE = factories.gateway_certificate()
REGISTRATION_ADDRESS = "gateway.example.com"


@dataclass(kw_only=True)
class FakeGateway:
    """Behaves well, but for what its fields say otherwise."""

    address: str = REGISTRATION_ADDRESS
    certified_by: str = "gateway"
    has_session_key: bool = True
    pushes: bool = True
    ends_kept_alive: bool = False
    spoils: bool = False
    sends_twice: bool = False
    forgets_poweb: bool = False
    forgets_pohttp: bool = False
    delivers_again: int = 0
    takes_expired: bool = False
    poweb_refusal: int = 422
    serves_couriers: bool = True
    unwraps: bool = True
    spoils_cargo: bool = False
    ends_for_cargo: bool = False
    delivers_pings: bool = True
    strange_parcels: int = 0
    returns_letters: bool = True
    acknowledges: bool = True
    takes_cca_twice: bool = False
    heeds_acks: bool = True
    acks_garbage: bool = True
    session_keys: SessionKeys = field(default_factory=SessionKeys)
    queues: dict[str, list[bytes]] = field(default_factory=dict)
    refusals: int = 0

    def __call__(self, _url: str, *, timeout: float) -> Self:  # noqa: ARG002
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def fetch_connection_params(self) -> NodeConnectionParams:
        return NodeConnectionParams(
            internet_address=REGISTRATION_ADDRESS,
            identity_key_der=CERTIFICATE.spki_der,
            session_key=generate_session_key()[0],
        )

    def register(self, private_key: rsa.RSAPrivateKey) -> Registration:
        issuer = factories.gateway_certificate(self.certified_by)
        certificate = issue_gateway_certificate(
            subject_public_key=private_key.public_key(),
            issuer_private_key=factories.rsa_key(self.certified_by),
            issuer_certificate=issuer,
            not_before=factories.NOT_BEFORE,
            not_after=factories.NOT_AFTER,
            serial_number=1,
        )
        return Registration(
            node_certificate=certificate,
            gateway_certificate=issuer,
            gateway_internet_address=self.address,
            session_key=self.session_keys.generate() if self.has_session_key else None,
        )

    def deliver_parcel(self, parcel_serialized: bytes, _signer: Signer) -> None:
        self._take(parcel_serialized, self.poweb_refusal, forgets=self.forgets_poweb)

    def deliver_over_pohttp(self, _url: str, parcel_serialized: bytes, *, timeout: float) -> None:  # noqa: ARG002
        self._take(parcel_serialized, 403, forgets=self.forgets_pohttp)

    def take_from_cargo(self, parcel_serialized: bytes) -> None:
        self._take(parcel_serialized, 403, forgets=False)

    def _take(self, parcel_serialized: bytes, refusal: int, *, forgets: bool) -> None:
        now = datetime.now(UTC)
        parcel = Parcel.deserialize(parcel_serialized)
        path = parcel.authorized_path((CERTIFICATE,), now=now)
        try:
            parcel.check_timing(now)
        except InvalidMessageError as error:
            self.refusals += 1
            if not self.takes_expired:
                raise RefusedParcelError(str(error), status=refusal) from error
        queue = self.queues.setdefault(path[-2].node_id, [])
        if not forgets:
            queue.append(parcel_serialized)
        if self.sends_twice:
            queue.append(parcel_serialized)

    @contextmanager
    def collect(self, signers: Sequence[Signer], mode: StreamingMode) -> Iterator["_FakeCollection"]:
        [signer] = signers
        queue = self.queues.setdefault(signer.certificate.node_id, [])
        yield _FakeCollection(gateway=self, queue=queue, mode=mode)


@dataclass(frozen=True, kw_only=True)
class _FakeParcel:
    parcel_serialized: bytes
    queue: list[bytes]
    gateway: FakeGateway

    def acknowledge(self) -> None:
        self.queue.remove(self.parcel_serialized)


@dataclass(kw_only=True)
class _FakeCollection:
    gateway: FakeGateway
    queue: list[bytes]
    mode: StreamingMode

    def receive(self, *, timeout: float) -> _FakeParcel | None:  # noqa: ARG002
        if self.mode is StreamingMode.KEEP_ALIVE:
            # The refusals are what comes before the cargo.
            if self.gateway.ends_kept_alive or (self.gateway.ends_for_cargo and self.gateway.refusals):
                return None
            if not self.queue or not self.gateway.pushes:
                raise TimeoutError
        if not self.queue:
            # The refusals are what comes before the last look into the queues.
            if not self.gateway.delivers_again or self.gateway.refusals < 2:
                return None
            self.gateway.delivers_again -= 1
            return _FakeParcel(parcel_serialized=b"again", queue=[b"again"], gateway=self.gateway)
        parcel = _FakeParcel(parcel_serialized=self.queue[0], queue=self.queue, gateway=self.gateway)
        spoils = self.gateway.spoils or (self.gateway.spoils_cargo and self.gateway.refusals)
        return replace(parcel, parcel_serialized=b"spoilt") if spoils else parcel
