"""Takes in parcels, from the Internet (PoHTTP) and from private gateways (PoWeb).

What survives a crash at each step: before the row is committed, at most an object that no row names, which a sweep
removes, and the sender has no answer and tries again; after it, everything. The hint to collectors may be lost.
"""

import hashlib
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import structlog
from django.db import IntegrityError

from awala.errors import UnauthorizedSenderError
from awala.messages.parcel import Parcel
from gateway.errors import StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import Event, OutgoingParcel, ParcelRecord, StoredParcel, record_errors
from gateway.notifications import notify_peer
from gateway.services.load_identity import VERIFIED_LINKS, load_identity
from gateway.storage import delete_object, store_object

Result = TypeVar("Result")

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

    def write_rows() -> str | None:
        if sending_peer_id is not None:
            _record(parcel, sending_peer_id, now)
        return _upsert_stored_parcel(parcel, peer_id, object_key, len(octets), now)

    replaced_key = _keep(object_key, octets, write_rows)
    if replaced_key is not None:
        _discard_object(replaced_key)
    log.info("parcel_stored", private_peer_id=peer_id, recipient_id=parcel.recipient.id, size=len(octets))
    notify_peer(peer_id)


def _upsert_stored_parcel(parcel: Parcel, peer_id: str, object_key: str, size: int, now: datetime) -> str | None:
    """Write the parcel's row over the one it may have; returns the key of the object that this replaces."""
    ids = {"peer_id": peer_id, **_identify(parcel)}
    fields = {"object_key": object_key, "size": size, "received_at": now, "expires_at": parcel.expiry}
    row = StoredParcel.objects.filter(**ids).first()
    if row is None:
        StoredParcel.objects.create(**ids, **fields)
        return None
    replaced_key = row.object_key if row.state == StoredParcel.State.QUEUED else None
    if not row.advance(StoredParcel.State.QUEUED, revision=uuid.uuid4(), settled_at=None, **fields):
        raise IntegrityError("the parcel's row changed meanwhile")
    Event.objects.create(at=now, kind=Event.Kind.PARCEL_REPLACED, subject_id=row.id, peer_id=peer_id)
    return replaced_key


def _queue(parcel: Parcel, octets: bytes, sending_peer_id: str, now: datetime) -> None:
    destination = (parcel.recipient.internet_address or "").rstrip(".").lower()
    object_key = OutgoingParcel.make_object_key()

    def write_rows() -> bool:
        if not _record(parcel, sending_peer_id, now):
            return False
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

    if _find_record(parcel, sending_peer_id, now) is None and _keep(object_key, octets, write_rows):
        log.info("parcel_queued", private_peer_id=sending_peer_id, destination=destination, size=len(octets))
        return
    log.info("parcel_repeated", private_peer_id=sending_peer_id, destination=destination)
    _discard_object(object_key)


def _record(parcel: Parcel, sending_peer_id: str, now: datetime) -> bool:
    """Note that the peer sent the parcel; False if that was known."""
    if _find_record(parcel, sending_peer_id, now) is not None:
        return False
    ids = {"peer_id": sending_peer_id, **_identify(parcel)}
    # One that has expired, and that no sweep has removed yet, makes room for its namesake.
    ParcelRecord.objects.filter(**ids, expires_at__lt=now).delete()
    ParcelRecord.objects.create(**ids, parcel_id=parcel.id.encode("latin-1"), received_at=now, expires_at=parcel.expiry)
    return True


def _find_record(parcel: Parcel, sending_peer_id: str, now: datetime) -> ParcelRecord | None:
    with record_errors():
        records = ParcelRecord.objects.filter(peer_id=sending_peer_id, **_identify(parcel), expires_at__gte=now)
        return records.first()


def _identify(parcel: Parcel) -> dict[str, str]:
    return {
        "recipient_id": parcel.recipient.id,
        "sender_id": parcel.sender_certificate.node_id,
        "parcel_id_sha256": hashlib.sha256(parcel.id.encode("latin-1")).hexdigest(),
    }


def _keep(object_key: str, octets: bytes, write_rows: Callable[[], Result]) -> Result:
    """Make the object durable, then its rows, in one transaction; leave no object if the rows cannot be written."""
    store_object(object_key, octets)
    is_written = False

    def write() -> Result:
        nonlocal is_written
        is_written = False
        result = write_rows()
        is_written = True
        return result

    try:
        with record_errors():
            try:
                return commit_together(write)
            except IntegrityError:
                # Another request wrote the same row after we had looked for it. This time it will be seen.
                return commit_together(write)
    except BaseException:
        # A commit that failed may yet have been carried out, and a row must never lack its object.
        if not is_written:
            _discard_object(object_key)
        raise


def _discard_object(object_key: str) -> None:
    with suppress(StorageUnavailableError):  # An object without a row is garbage, for a sweep to collect.
        delete_object(object_key)
