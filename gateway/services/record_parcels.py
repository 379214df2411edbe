"""Writes the rows of admitted parcels, one or many, and finds the rows that parcels have already."""

import uuid
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any, TypeVar

import structlog
from django.db.models import Model, Q

from gateway.errors import RecordChangedError
from gateway.models import Event, OutgoingParcel, ParcelRecord, StoredParcel
from gateway.notifications import notify_peer
from gateway.queues import hint_outgoing_parcel
from gateway.services.admit_parcel import AdmittedParcel

# What a parcel is known by: peer, recipient, sender, and the digest of its id.
Key = tuple[str, str, str, str]
Row = TypeVar("Row", ParcelRecord, StoredParcel)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What became of parcels once the transaction is committed."""

    kept: list[AdmittedParcel] = field(default_factory=list)
    repeated: list[AdmittedParcel] = field(default_factory=list)
    # Objects that no row names any more.
    garbage: list[str] = field(default_factory=list)


def make_rows(parcel: AdmittedParcel) -> tuple[Model, ...]:
    """The rows of a parcel that was never here before."""
    record = (_make_record(parcel),) if parcel.sending_peer_id else ()
    return (*record, _make_outgoing(parcel) if parcel.destination else _make_stored(parcel))


def find_repeated(parcels: Sequence[AdmittedParcel]) -> list[AdmittedParcel]:
    """Those for the Internet that the same peer sent before, while they are on record (protocol section 11)."""
    outgoing = [parcel for parcel in parcels if parcel.destination]
    records = _find(ParcelRecord, map(_sent_key, outgoing))
    return [parcel for parcel in outgoing if _is_current(records.get(_sent_key(parcel)), parcel)]


def record_parcels(parcels: Sequence[AdmittedParcel]) -> Recorded:
    """Write the rows of parcels in their order, within the caller's transaction; safe to do twice.

    A parcel for an endpoint of ours takes the place of its namesake. One for the Internet that was sent before is
    not queued again. `IntegrityError` and `RecordChangedError` say that another writer was faster.
    """
    recorded = Recorded()
    first_sent = _write_records(parcels)
    _store([parcel for parcel in parcels if not parcel.destination], recorded)
    _queue([parcel for parcel in parcels if parcel.destination], first_sent, recorded)
    return recorded


def announce(recorded: Recorded) -> None:
    """Log what is committed, and hint at it to collectors and workers."""
    for parcel in recorded.kept:
        if parcel.destination:
            log.info(
                "parcel_queued",
                parcel_id=parcel.id,
                parcel_row_id=str(parcel.row_id),
                private_peer_id=parcel.sending_peer_id,
                destination=parcel.destination,
            )
            hint_outgoing_parcel(parcel.row_id, parcel.destination)
        else:
            log.info(
                "parcel_stored",
                parcel_id=parcel.id,
                parcel_row_id=str(parcel.row_id),
                private_peer_id=parcel.peer_id,
                recipient_id=parcel.recipient_id,
                size=len(parcel.octets),
            )
    for parcel in recorded.repeated:
        log.info(
            "parcel_repeated",
            parcel_id=parcel.id,
            private_peer_id=parcel.sending_peer_id,
            destination=parcel.destination,
        )
    for peer_id in dict.fromkeys(parcel.peer_id for parcel in recorded.kept if parcel.peer_id):
        notify_peer(peer_id)


def find_stored(keys: Iterable[Key]) -> dict[Key, StoredParcel]:
    """The stored parcels with these keys, whatever their state."""
    return _find(StoredParcel, keys)


def _sent_key(parcel: AdmittedParcel) -> Key:
    return (parcel.sending_peer_id, parcel.recipient_id, parcel.sender_id, parcel.parcel_id_sha256)


def _stored_key(parcel: AdmittedParcel) -> Key:
    return (parcel.peer_id, parcel.recipient_id, parcel.sender_id, parcel.parcel_id_sha256)


def _write_records(parcels: Sequence[AdmittedParcel]) -> set[uuid.UUID]:
    """Note which peer sent which parcel; returns the `row_id` of those that this was not known of.

    Rows that two transactions may want are written in the order of their keys, so that neither waits for the other.
    """
    sent = [parcel for parcel in parcels if parcel.sending_peer_id]
    records = _find(ParcelRecord, map(_sent_key, sent))
    first: dict[Key, AdmittedParcel] = {}
    for parcel in sent:
        if not _is_current(records.get(_sent_key(parcel)), parcel):
            first.setdefault(_sent_key(parcel), parcel)
    new = []
    for key, parcel in sorted(first.items(), key=lambda item: item[0]):
        record = records.get(key)
        if record is None:
            new.append(_make_record(parcel))
        else:
            # An expired one, which no sweep has removed yet, makes room for its namesake.
            record.received_at, record.expires_at = parcel.received_at, parcel.expires_at
            record.save()
    if new:
        ParcelRecord.objects.bulk_create(new)
    return {parcel.row_id for parcel in first.values()}


def _store(parcels: Sequence[AdmittedParcel], recorded: Recorded) -> None:
    newest = {_stored_key(parcel): parcel for parcel in parcels}
    rows = _find(StoredParcel, newest)
    recorded.kept.extend(parcels)
    recorded.garbage.extend(
        parcel.object_key for parcel in parcels if newest[_stored_key(parcel)].row_id != parcel.row_id
    )
    for key, row in sorted(rows.items(), key=lambda item: item[0]):
        replaced_key = _replace(row, newest[key])
        if replaced_key is not None:
            recorded.garbage.append(replaced_key)
    new = [_make_stored(parcel) for key, parcel in newest.items() if key not in rows]
    if new:
        StoredParcel.objects.bulk_create(new)


def _replace(row: StoredParcel, parcel: AdmittedParcel) -> str | None:
    """Write the parcel over its namesake's row; returns the key of the object that this replaces, if any."""
    if row.object_key == parcel.object_key:
        return None  # A commit of ours that seemed to fail was carried out.
    replaced_key = row.object_key if row.state == StoredParcel.State.QUEUED else None
    changes = {
        "object_key": parcel.object_key,
        "size": len(parcel.octets),
        "received_at": parcel.received_at,
        "expires_at": parcel.expires_at,
    }
    if not row.advance(StoredParcel.State.QUEUED, revision=uuid.uuid4(), settled_at=None, **changes):
        raise RecordChangedError("the parcel's row changes too often")
    kind = Event.Kind.PARCEL_REPLACED
    Event.objects.create(at=row.received_at, kind=kind, subject_id=row.id, peer_id=row.peer_id)
    return replaced_key


def _queue(parcels: Sequence[AdmittedParcel], first_sent: Container[uuid.UUID], recorded: Recorded) -> None:
    repeated = [parcel for parcel in parcels if parcel.row_id not in first_sent]
    ids = [parcel.row_id for parcel in repeated]
    # It may have been us: a commit that seemed to fail, and was carried out.
    own = set(OutgoingParcel.objects.filter(pk__in=ids).values_list("pk", flat=True)) if ids else frozenset()
    new = [_make_outgoing(parcel) for parcel in parcels if parcel.row_id in first_sent]
    if new:
        OutgoingParcel.objects.bulk_create(new)
    for parcel in parcels:
        if parcel.row_id in first_sent or parcel.row_id in own:
            recorded.kept.append(parcel)
        else:
            recorded.repeated.append(parcel)
            recorded.garbage.append(parcel.object_key)


def _find(model: type[Row], keys: Iterable[Key]) -> dict[Key, Row]:
    """The rows with these keys. One condition for all parcels between the same two endpoints."""
    conditions = [
        Q(peer_id=peer, recipient_id=recipient, sender_id=sender, parcel_id_sha256__in=[key[3] for key in group])
        for (peer, recipient, sender), group in groupby(sorted(set(keys)), key=lambda key: key[:3])
    ]
    if not conditions:
        return {}
    rows = model._default_manager.filter(reduce(or_, conditions))
    return {(row.peer_id, row.recipient_id, row.sender_id, row.parcel_id_sha256): row for row in rows}


def _is_current(record: ParcelRecord | None, parcel: AdmittedParcel) -> bool:
    return record is not None and record.expires_at >= parcel.received_at


def _make_record(parcel: AdmittedParcel) -> ParcelRecord:
    return ParcelRecord(
        **_shared_columns(parcel), peer_id=parcel.sending_peer_id, parcel_id=parcel.id.encode("latin-1")
    )


def _make_stored(parcel: AdmittedParcel) -> StoredParcel:
    return StoredParcel(
        **_shared_columns(parcel),
        id=parcel.row_id,
        peer_id=parcel.peer_id,
        object_key=parcel.object_key,
        size=len(parcel.octets),
    )


def _make_outgoing(parcel: AdmittedParcel) -> OutgoingParcel:
    return OutgoingParcel(
        **_shared_columns(parcel),
        id=parcel.row_id,
        destination=parcel.destination,
        peer_id=parcel.sending_peer_id,
        object_key=parcel.object_key,
        size=len(parcel.octets),
        next_attempt_at=parcel.received_at,
    )


def _shared_columns(parcel: AdmittedParcel) -> dict[str, Any]:
    """What the rows of a parcel have in common, in whichever table."""
    return {
        "recipient_id": parcel.recipient_id,
        "sender_id": parcel.sender_id,
        "parcel_id_sha256": parcel.parcel_id_sha256,
        "received_at": parcel.received_at,
        "expires_at": parcel.expires_at,
    }
