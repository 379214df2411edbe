"""Takes in parcels, from the Internet (PoHTTP) and from private gateways (PoWeb).

What survives a crash at each step: before the row is committed, at most an object that no row names, which a sweep
removes, and the sender has no answer and tries again; after it, everything. The hint to collectors may be lost.
"""

from datetime import datetime

from gateway.durable_intake import discard_object, keep_durably
from gateway.models import record_errors
from gateway.services.admit_parcel import AdmittedParcel, admit_parcel_from_internet, admit_parcel_from_peer
from gateway.services.record_parcels import Recorded, announce, find_repeated, make_rows, record_parcels


def receive_parcel_from_internet(parcel_serialized: bytes, now: datetime) -> None:
    """Store a parcel for the endpoint of ours that it must be bound for, whatever Internet address it names.

    Raises `InvalidMessageError`, `StorageUnavailableError` or `RecordUnavailableError`, and keeps nothing then.
    """
    _keep(admit_parcel_from_internet(parcel_serialized, now))


def receive_parcel_from_peer(parcel_serialized: bytes, sending_peer_id: str, now: datetime) -> None:
    """Store a parcel for an endpoint of ours, or queue it for the Internet, and record who sent it.

    Raises as `receive_parcel_from_internet` does. A parcel for the Internet that the peer sent before is
    accepted again without being queued again (protocol section 11).
    """
    parcel = admit_parcel_from_peer(parcel_serialized, sending_peer_id, now)
    # Looked for before the object is written as well, since clients repeat what they had no answer to.
    with record_errors():
        repeated = find_repeated([parcel])
    if repeated:
        announce(Recorded(repeated=repeated))
        return
    _keep(parcel)


def _keep(parcel: AdmittedParcel) -> None:
    # New rows are inserted without looking first, along with those of simultaneous requests: most parcels are new.
    recorded = keep_durably(
        parcel.object_key,
        parcel.octets,
        lambda: Recorded(kept=[parcel]),
        *make_rows(parcel),
        otherwise=lambda: record_parcels([parcel]),
    )
    for object_key in recorded.garbage:
        discard_object(object_key)
    announce(recorded)
