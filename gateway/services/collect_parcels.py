"""Hands stored parcels to the private gateways that they are for, and forgets each once it is acknowledged.

What survives a crash at each step: a parcel is on record until its acknowledgement is committed, so it is sent
again if that is lost; its object goes after that, and one left behind is garbage that a sweep collects.
"""

from collections.abc import Collection
from contextlib import suppress
from copy import copy
from datetime import datetime

import structlog

from gateway.errors import ObjectMissingError, StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import Event, StoredParcel, record_errors
from gateway.storage import delete_object, load_object

_PAGE_SIZE = 32

log = structlog.get_logger(__name__)


def list_queued_parcels(
    peer_ids: Collection[str], now: datetime, *, excluding: Collection[StoredParcel] = ()
) -> list[StoredParcel]:
    """The next unexpired parcels for any of these private gateways, oldest first, a page at the most."""
    with record_errors():
        queued = StoredParcel.objects.filter(peer_id__in=peer_ids, state=StoredParcel.State.QUEUED, expires_at__gt=now)
        rows = queued.order_by("received_at")[: _PAGE_SIZE + len(excluding)]
        skipped = {row.id for row in excluding}
        return [row for row in rows if row.id not in skipped][:_PAGE_SIZE]


def load_parcel(parcel: StoredParcel, now: datetime) -> bytes | None:
    """The parcel's octets, or None if it has expired, or been settled or replaced, since it was listed."""
    if parcel.expires_at <= now:
        return None
    try:
        return load_object(parcel.object_key)
    except ObjectMissingError:
        pass
    # With a row that still names it, the object was removed behind our back: nothing can bring it home any more.
    with record_errors():
        if parcel.advance(StoredParcel.State.DISCARDED, settled_at=now):
            Event.objects.create(
                at=now,
                kind=Event.Kind.PARCEL_DISCARDED,
                subject_id=parcel.id,
                peer_id=parcel.peer_id,
                detail="its object is missing",
            )
            log.error("parcel_object_missing", private_peer_id=parcel.peer_id, object_key=parcel.object_key)
    return None


def acknowledge_parcel(parcel: StoredParcel, now: datetime) -> None:
    """Settle a parcel that its private gateway has; unless a newer version took its place meanwhile."""
    with record_errors():
        # A copy at each call: a group that was rolled back does its work again, and moves the row from the state seen.
        if not commit_together(lambda: copy(parcel).advance(StoredParcel.State.COLLECTED, settled_at=now)):
            return
    log.info(
        "parcel_collected",
        parcel_row_id=str(parcel.pk),
        private_peer_id=parcel.peer_id,
        recipient_id=parcel.recipient_id,
    )
    with suppress(StorageUnavailableError):  # An object without a queued row is garbage, for a sweep to collect.
        delete_object(parcel.object_key)
