"""Decides whether a parcel is taken in and where it goes, whichever way it came; keeps nothing."""

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from awala.errors import UnauthorizedSenderError
from awala.messages.parcel import Parcel
from gateway.models import OutgoingParcel, StoredParcel
from gateway.services.load_identity import VERIFIED_LINKS, load_identity


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmittedParcel:
    """A valid parcel, with the values of the rows that it is to have."""

    octets: bytes = field(repr=False)
    # Arbitrary text, one character per octet.
    id: str
    recipient_id: str
    sender_id: str
    parcel_id_sha256: str
    # The private gateway that sent it; empty where it came from the Internet.
    sending_peer_id: str
    # Either the private gateway that it waits for, or the Internet address that it leaves for; the other is empty.
    peer_id: str
    destination: str
    object_key: str
    row_id: uuid.UUID = field(default_factory=uuid.uuid4)
    received_at: datetime
    expires_at: datetime


def admit_parcel_from_internet(parcel_serialized: bytes, now: datetime) -> AdmittedParcel:
    """A parcel that must be for an endpoint of ours, whatever Internet address it names.

    Raises `InvalidMessageError`.
    """
    parcel = Parcel.deserialize(parcel_serialized)
    parcel.check_timing(now)
    return _for_our_endpoint(parcel, parcel_serialized, "", now)


def admit_parcel_from_peer(parcel_serialized: bytes, sending_peer_id: str, now: datetime) -> AdmittedParcel:
    """A parcel for an endpoint of ours or for the Internet; raises `InvalidMessageError`."""
    parcel = Parcel.deserialize(parcel_serialized)
    parcel.check_timing(now)
    if load_identity(now).serves(parcel.recipient):
        return _for_our_endpoint(parcel, parcel_serialized, sending_peer_id, now)
    parcel.check_sender_certificate(now)
    return _admit(
        parcel,
        parcel_serialized,
        sending_peer_id,
        now,
        destination=(parcel.recipient.internet_address or "").rstrip(".").lower(),
    )


def _for_our_endpoint(parcel: Parcel, octets: bytes, sending_peer_id: str, now: datetime) -> AdmittedParcel:
    return _admit(parcel, octets, sending_peer_id, now, peer_id=_find_private_gateway(parcel, now))


def _find_private_gateway(parcel: Parcel, now: datetime) -> str:
    """The id of the private gateway that serves the recipient: the certificate directly under ours is its."""
    identity = load_identity(now)
    if parcel.recipient.id == identity.node_id:
        raise UnauthorizedSenderError("Parcels are for endpoints, not for this gateway")
    path = parcel.authorized_path(identity.certificates, now=now, links=VERIFIED_LINKS)
    return path[-2].node_id


def _admit(
    parcel: Parcel, octets: bytes, sending_peer_id: str, now: datetime, *, peer_id: str = "", destination: str = ""
) -> AdmittedParcel:
    return AdmittedParcel(
        octets=octets,
        id=parcel.id,
        recipient_id=parcel.recipient.id,
        sender_id=parcel.sender_certificate.node_id,
        parcel_id_sha256=hashlib.sha256(parcel.id.encode("latin-1")).hexdigest(),
        sending_peer_id=sending_peer_id,
        peer_id=peer_id,
        destination=destination,
        object_key=OutgoingParcel.make_object_key() if destination else StoredParcel.make_object_key(peer_id),
        received_at=now,
        expires_at=parcel.expiry,
    )
