"""What a device gives to couriers, and how it reads what they bring: as strict as deployed devices and couriers."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.pki.certificate import Certificate
from awala.pki.issuance import issue_delivery_authorization
from awala.pki.keys import generate_serial_number, load_rsa_public_key
from awala.ramf import RAMFMessage, Recipient, format_header
from gateway.probe.nodes import BACK_DATING, TTL, PrivateGateway
from gateway.probe.session_keys import SessionKeys
from gateway.probe.steps import UnmetExpectationError, expect

_ACK_HEADER = format_header(ParcelCollectionAck.TYPE)
_ROTATION_HEADER = format_header(CertificateRotation.TYPE)


@dataclass(frozen=True, kw_only=True)
class OpenedCargo:
    """What there is in one cargo, or in all of a collection; certificate rotations are left out."""

    parcels: frozenset[bytes]
    acks: frozenset[ParcelCollectionAck]


class CargoDesk:
    """Where a device makes and opens cargo; it answers to the newest session key of the gateway, as devices do."""

    def __init__(self, gateway: PrivateGateway) -> None:
        self._gateway = gateway
        self._gateway_key = gateway.session_key
        self._session_keys = SessionKeys()

    def make_cargo(self, items: Sequence[bytes], now: datetime) -> bytes:
        return self._make(Cargo, CargoMessageSet(items=tuple(items)).serialize(), now)

    def make_cca(self, now: datetime) -> bytes:
        """An authorisation to collect, good for one time, with one for the gateway to sign cargo for this device."""
        certificate = self._gateway.certificate
        authorization = issue_delivery_authorization(
            subject_public_key=load_rsa_public_key(self._gateway.registration.gateway_certificate.spki_der),
            issuer_private_key=self._gateway.private_key,
            issuer_certificate=certificate,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            serial_number=generate_serial_number(),
        )
        request = CargoCollectionRequest(delivery_authorization=authorization)
        return self._make(CargoCollectionAuthorization, request.serialize(), now)

    def open_all(self, cargoes: Sequence[bytes], now: datetime) -> OpenedCargo:
        """Raises `InvalidMessageError` or `UnmetExpectationError`."""
        items = [item for cargo_serialized in cargoes for item in self._open(cargo_serialized, now)]
        acks = [ParcelCollectionAck.deserialize(item) for item in items if item.startswith(_ACK_HEADER)]
        parcels = [item for item in items if not item.startswith((_ACK_HEADER, _ROTATION_HEADER))]
        for parcel in parcels:
            Parcel.deserialize(parcel)
        return OpenedCargo(parcels=frozenset(parcels), acks=frozenset(acks))

    def _make(self, message_class: type[RAMFMessage], plaintext: bytes, now: datetime) -> bytes:
        registration = self._gateway.registration
        message = message_class(
            recipient=Recipient(
                id=registration.gateway_certificate.node_id,
                internet_address=registration.gateway_internet_address,
            ),
            id=str(uuid.uuid4()),
            creation_date=(now - BACK_DATING).replace(microsecond=0),
            ttl_seconds=int((BACK_DATING + TTL).total_seconds()),
            payload=self._session_keys.wrap(plaintext, self._gateway_key),
            sender_certificate=self._gateway.certificate,
        )
        return message.serialize(self._gateway.private_key)

    def _open(self, cargo_serialized: bytes, now: datetime) -> tuple[bytes, ...]:
        # 1. For whom it is, and when (RS-001).
        cargo = Cargo.deserialize(cargo_serialized)
        cargo.check_timing(now)
        device_id = self._gateway.certificate.node_id
        expect(cargo.recipient.id == device_id, "The cargo is for somebody else")
        # 2. Whether the gateway signed it with the authorisation of this device, whose issuer couriers look for
        #    among the attached certificates (RS-000).
        gateway_id = self._gateway.registration.gateway_certificate.node_id
        expect(cargo.sender_certificate.node_id == gateway_id, "The cargo is not signed by the gateway")
        cargo.authorized_path((_find_issuer(cargo),), now=now)
        # 3. What is in it, and the key for what is sent next (RS-003).
        unwrapped = self._session_keys.unwrap(cargo)
        self._gateway_key = unwrapped.peer_key
        return CargoMessageSet.deserialize(unwrapped.plaintext).items


def _find_issuer(cargo: Cargo) -> Certificate:
    for certificate in cargo.attached_certificates:
        if certificate.node_id == cargo.recipient.id and certificate.subject_der == cargo.sender_certificate.issuer_der:
            return certificate
    raise UnmetExpectationError("The certificate that issued the cargo's authorisation is not attached")


def acknowledge(parcel_serialized: bytes) -> ParcelCollectionAck:
    """What says that a parcel has arrived at its device, or at the gateway."""
    parcel = Parcel.deserialize(parcel_serialized)
    return ParcelCollectionAck(
        sender_endpoint_id=parcel.sender_certificate.node_id,
        recipient_endpoint_id=parcel.recipient.id,
        parcel_id=parcel.id,
    )
