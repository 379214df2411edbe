"""CogRPC of the gateway in memory: it unwraps real cargo at once, and makes real cargo."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from awala.clients.cogrpc import CollectedCargo
from awala.clients.errors import CollectedAlreadyError, InvalidAnswerError, ServerUnavailableError
from awala.clients.pohttp import deliver_parcel
from awala.errors import InvalidMessageError
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.ramf import Recipient
from gateway.probe.cargo import acknowledge
from gateway.probe.session_keys import SessionKeys
from tests import factories
from tests.unit.gateway.probe.fake_gateway import CERTIFICATE, REGISTRATION_ADDRESS, FakeGateway


def make_cargo(cca_serialized: bytes, session_keys: SessionKeys, items: Sequence[bytes], **fields: Any) -> bytes:
    """The cargo that a gateway with these session keys makes for a CCA; whatever a test changes may make it bad."""
    cca = CargoCollectionAuthorization.deserialize(cca_serialized)
    unwrapped = session_keys.unwrap(cca)
    request = CargoCollectionRequest.deserialize(unwrapped.plaintext)
    plaintext = CargoMessageSet(items=tuple(items)).serialize()
    owner = fields.pop("signed_by", "gateway")
    defaults: dict[str, Any] = {
        "recipient": Recipient(id=cca.sender_certificate.node_id),
        "id": str(uuid.uuid4()),
        "creation_date": (datetime.now(UTC) - timedelta(hours=3)).replace(microsecond=0),
        "ttl_seconds": 4 * 3_600,
        "payload": session_keys.wrap(plaintext, fields.pop("session_key", unwrapped.peer_key)),
        "sender_certificate": request.delivery_authorization,
        "attached_certificates": (cca.sender_certificate,),
    }
    return Cargo(**defaults | fields).serialize(factories.rsa_key(owner))


def make_rotation() -> CertificateRotation:
    return CertificateRotation(path=CertificationPath(leaf=CERTIFICATE, authorities=(CERTIFICATE,)))


class FakeRelay:
    """Takes the place of the CogRPC client. Pings are really posted, to `pong_url`."""

    def __init__(self, gateway: FakeGateway, pong_url: str) -> None:
        self._gateway = gateway
        self._pong_url = pong_url
        self._acks: defaultdict[str, list[ParcelCollectionAck]] = defaultdict(list)
        self._used: set[str] = set()
        self.acknowledged: list[str] = []
        self.options: dict[str, Any] = {}

    def __call__(self, address: str, **options: Any) -> Self:
        self.options = {"address": address, **options}
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def deliver_cargo(self, cargoes: Iterable[tuple[str, bytes]]) -> Iterator[str]:
        self._check_service()
        for delivery_id, cargo_serialized in cargoes:
            try:
                cargo = Cargo.deserialize(cargo_serialized)
            except InvalidMessageError as error:
                if not self._gateway.acks_garbage:
                    raise InvalidAnswerError("Server ended the call") from error
            else:
                self._unwrap(cargo)
            yield delivery_id

    def collect_cargo(self, cca_serialized: bytes) -> Iterator[CollectedCargo]:
        self._check_service()
        cca = CargoCollectionAuthorization.deserialize(cca_serialized)
        cca.check_timing(datetime.now(UTC))
        if cca.id in self._used and not self._gateway.takes_cca_twice:
            raise CollectedAlreadyError("CCA was used before", code="PERMISSION_DENIED")
        self._used.add(cca.id)
        peer_id = cca.sender_certificate.node_id
        acks = [ack.serialize() for ack in self._acks[peer_id] if self._gateway.acknowledges]
        parcels = self._gateway.queues[peer_id] if self._gateway.returns_letters else []
        for number, items in enumerate((acks, [*parcels, make_rotation().serialize()])):
            yield CollectedCargo(
                id=str(number),
                cargo_serialized=make_cargo(cca_serialized, self._gateway.session_keys, items),
                acknowledge=lambda: self.acknowledged.append(cca.id),
            )

    def _check_service(self) -> None:
        if not self._gateway.serves_couriers:
            raise ServerUnavailableError("Server cannot serve now: UNAVAILABLE: -")

    def _unwrap(self, cargo: Cargo) -> None:
        if not self._gateway.unwraps:
            return
        assert cargo.recipient == Recipient(id=CERTIFICATE.node_id, internet_address=REGISTRATION_ADDRESS)
        peer_id = cargo.sender_certificate.node_id
        plaintext = self._gateway.session_keys.unwrap(cargo).plaintext
        for item in CargoMessageSet.deserialize(plaintext).items:
            with suppress(InvalidMessageError):
                self._forget(peer_id, ParcelCollectionAck.deserialize(item))
                continue
            self._take(peer_id, item)

    def _forget(self, peer_id: str, ack: ParcelCollectionAck) -> None:
        queue = self._gateway.queues[peer_id]
        queue[:] = [parcel for parcel in queue if not self._gateway.heeds_acks or acknowledge(parcel) != ack]

    def _take(self, peer_id: str, parcel_serialized: bytes) -> None:
        self._acks[peer_id].append(acknowledge(parcel_serialized))
        if Parcel.deserialize(parcel_serialized).recipient.internet_address is None:
            self._gateway.take_from_cargo(parcel_serialized)
            return
        for _ in range(self._gateway.strange_parcels):
            deliver_parcel(self._pong_url, b"Hello")
        if self._gateway.delivers_pings:
            deliver_parcel(self._pong_url, parcel_serialized)
