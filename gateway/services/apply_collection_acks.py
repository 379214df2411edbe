"""Settles the parcels that a private gateway says, in its cargo, to have collected."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from awala.messages.parcel_collection_ack import ParcelCollectionAck
from gateway.models import StoredParcel
from gateway.services.record_parcels import find_stored


def apply_collection_acks(acks: Sequence[ParcelCollectionAck], peer_id: str, now: datetime) -> list[str]:
    """Settle the peer's queued parcels that the ACKs name, within the caller's transaction; safe to do twice.

    Returns the keys of the objects that are to be deleted once it is committed. What the ACKs name in vain, or what
    waits for another peer, is left alone.
    """
    rows = find_stored(
        (
            peer_id,
            ack.recipient_endpoint_id,
            ack.sender_endpoint_id,
            hashlib.sha256(ack.parcel_id.encode("latin-1")).hexdigest(),
        )
        for ack in acks
    )
    queued = [row for row in rows.values() if row.state == StoredParcel.State.QUEUED]
    if not queued:
        return []
    # A newer version that took a parcel's place since has another revision, and stays.
    StoredParcel.objects.filter(
        pk__in=[row.pk for row in queued],
        revision__in=[row.revision for row in queued],
        state=StoredParcel.State.QUEUED,
    ).update(state=StoredParcel.State.COLLECTED, settled_at=now)
    return [row.object_key for row in queued]
