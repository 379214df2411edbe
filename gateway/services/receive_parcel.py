"""Takes in parcels, from the Internet (PoHTTP) and from private gateways (PoWeb).

What survives a crash at each step: before the row is committed, at most an object that no row names, which a sweep
removes, and the sender has no answer and tries again; after it, everything. The hint to collectors may be lost.
"""

import hashlib
import uuid
from datetime import datetime
from typing import Any

import structlog

from awala.errors import UnauthorizedSenderError
from awala.messages.parcel import Parcel
from gateway.durable_intake import discard_object, keep_durably
from gateway.errors import RecordUnavailableError
from gateway.models import Event, OutgoingParcel, ParcelRecord, StoredParcel, record_errors
from gateway.notifications import notify_peer
from gateway.services.load_identity import VERIFIED_LINKS, load_identity

log = structlog.get_logger(__name__)


def receive_parcel_from_internet(parcel_serialized: bytes, now: datetime) -> None:
    """Store a parcel for the endpoint of ours that it must be bound for, whatever Internet address it names.

    Raises `InvalidMessageError`, `StorageUnavailableError` or `RecordUnavailableError`, and keeps nothing then.
    """
    parcel = Parcel.deserialize(parcel_serialized)
    parcel.check_timing(now)
    peer_id = _find_private_gateway(parcel, now)
    _store(parcel, parcel_serialized, peer_id, now)


def receive_parcel_from_peer(parcel_serialized: bytes, sending_peer_id: str, now: datetime) -> None:
    """Store a parcel for an endpoint of ours, or queue it for the Internet, and record who sent it.

    Raises as `receive_parcel_from_internet` does. A parcel for the Internet that the peer sent before is
    accepted again without being queued again (protocol section 11).
    """
    parcel = Parcel.deserialize(parcel_serialized)
    parcel.check_timing(now)
    if load_identity(now).serves(parcel.recipient):
        peer_id = _find_private_gateway(parcel, now)
        _store(parcel, parcel_serialized, peer_id, now, sending_peer_id=sending_peer_id)
    else:
        parcel.check_sender_certificate(now)
        _queue(parcel, parcel_serialized, sending_peer_id, now)


def _find_private_gateway(parcel: Parcel, now: datetime) -> str:
    """The id of the private gateway that serves the recipient: the certificate directly under ours is its."""
    identity = load_identity(now)
    if parcel.recipient.id == identity.node_id:
        raise UnauthorizedSenderError("Parcels are for endpoints, not for this gateway")
    path = parcel.authorized_path(identity.certificates, now=now, links=VERIFIED_LINKS)
    return path[-2].node_id


def _store(parcel: Parcel, octets: bytes, peer_id: str, now: datetime, *, sending_peer_id: str | None = None) -> None:
    object_key = StoredParcel.make_object_key(peer_id)

    ids = {"peer_id": peer_id, **_identify(parcel)}
    fields = {"object_key": object_key, "size": len(octets), "received_at": now, "expires_at": parcel.expiry}

    def record() -> None:
        if sending_peer_id is not None:
            _record(parcel, sending_peer_id, now)

    def replace() -> str | None:
        record()
        row = StoredParcel.objects.filter(**ids).first()
        if row is not None:
            return _replace_stored_parcel(row, **fields)
        StoredParcel.objects.create(**ids, **fields)
        return None

    replaced_key = keep_durably(object_key, octets, record, StoredParcel(**ids, **fields), otherwise=replace)
    if replaced_key is not None:
        discard_object(replaced_key)
    log.info(
        "parcel_stored",
        parcel_id=parcel.id,
        private_peer_id=peer_id,
        recipient_id=parcel.recipient.id,
        size=len(octets),
    )
    notify_peer(peer_id)


def _replace_stored_parcel(row: StoredParcel, **fields: Any) -> str | None:
    """Write the parcel over its namesake's row; returns the key of the object that this replaces, if any."""
    if row.object_key == fields["object_key"]:
        return None  # A commit of ours that seemed to fail was carried out.
    replaced_key = row.object_key if row.state == StoredParcel.State.QUEUED else None
    if not row.advance(StoredParcel.State.QUEUED, revision=uuid.uuid4(), settled_at=None, **fields):
        raise RecordUnavailableError("the parcel's row changes too often")
    kind = Event.Kind.PARCEL_REPLACED
    Event.objects.create(at=row.received_at, kind=kind, subject_id=row.id, peer_id=row.peer_id)
    return replaced_key


def _queue(parcel: Parcel, octets: bytes, sending_peer_id: str, now: datetime) -> None:
    destination = (parcel.recipient.internet_address or "").rstrip(".").lower()
    object_key = OutgoingParcel.make_object_key()

    def insert() -> bool:
        if not _record(parcel, sending_peer_id, now):
            # It may have been us: a commit that seemed to fail, and was carried out.
            return OutgoingParcel.objects.filter(object_key=object_key).exists()
        OutgoingParcel.objects.create(
            destination=destination,
            peer_id=sending_peer_id,
            **_identify(parcel),
            object_key=object_key,
            size=len(octets),
            received_at=now,
            next_attempt_at=now,
            expires_at=parcel.expiry,
        )
        return True

    # Looked for before the object is written as well, since clients repeat what they had no answer to.
    with record_errors():
        record = _find_record(parcel, sending_peer_id)
    if not _is_current(record, now) and keep_durably(object_key, octets, insert, otherwise=insert):
        log.info("parcel_queued", parcel_id=parcel.id, private_peer_id=sending_peer_id, destination=destination)
        return
    log.info("parcel_repeated", parcel_id=parcel.id, private_peer_id=sending_peer_id, destination=destination)
    discard_object(object_key)


def _record(parcel: Parcel, sending_peer_id: str, now: datetime) -> bool:
    """Note that the peer sent the parcel; False if that was known."""
    record = _find_record(parcel, sending_peer_id)
    if _is_current(record, now):
        return False
    # An expired one, which no sweep has removed yet, makes room for its namesake.
    record = record or ParcelRecord(peer_id=sending_peer_id, **_identify(parcel), parcel_id=parcel.id.encode("latin-1"))
    record.received_at, record.expires_at = now, parcel.expiry
    record.save()
    return True


def _find_record(parcel: Parcel, sending_peer_id: str) -> ParcelRecord | None:
    return ParcelRecord.objects.filter(peer_id=sending_peer_id, **_identify(parcel)).first()


def _is_current(record: ParcelRecord | None, now: datetime) -> bool:
    return record is not None and record.expires_at >= now


def _identify(parcel: Parcel) -> dict[str, str]:
    return {
        "recipient_id": parcel.recipient.id,
        "sender_id": parcel.sender_certificate.node_id,
        "parcel_id_sha256": hashlib.sha256(parcel.id.encode("latin-1")).hexdigest(),
    }
