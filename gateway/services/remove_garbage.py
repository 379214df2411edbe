"""Removes objects that no row needs: what crashes left, and what could not be deleted in its time.

An object is written before its row, so one without a row is left alone for a day. After that its row cannot come
any more: whoever wrote the object has failed. Rows are never found by their object's key, for which there is no
index; instead the keys that are needed are read past a limited number of keys that are there.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from django.db.models import QuerySet

from gateway.batches import CheckTime
from gateway.errors import ObjectMissingError
from gateway.models import IncomingCargo, OutgoingParcel, StoredParcel, record_errors
from gateway.storage import (
    delete_object,
    find_object_time,
    list_folders,
    list_objects,
    remove_stale_temporary_files,
)

GRACE_PERIOD: Final = timedelta(days=1)
# Ten megabytes or so. The more keys at once, the fewer times the rows are read.
MAX_KEYS: Final = 50_000
_ROWS_AT_ONCE: Final = 2_000

_STORED_PARCELS: Final = "parcels/gateway-bound"
_OUTGOING_PARCELS: Final = "parcels/endpoint-bound"
_CARGOES: Final = "cargoes/pending-unwrapping"
_HEALTH_PROBES: Final = "health"


def remove_orphaned_objects(now: datetime, check_time: CheckTime) -> str | None:
    """Remove what has been there for a day and belongs to no parcel that waits and no cargo that is kept."""
    removed = 0
    folders = list(_list_folders())
    # Of a store that is too large for one run, other folders come first in the next one.
    random.shuffle(folders)
    for folder, needed_by in folders:
        removed += _remove_orphans(folder, needed_by, now, check_time)
        check_time()
    return f"{removed} objects removed" if removed else None


def remove_temporary_files(_now: datetime, _check_time: CheckTime) -> str | None:
    removed = remove_stale_temporary_files()
    return f"{removed} files removed" if removed else None


def _list_folders() -> "Iterator[tuple[str, QuerySet[Any]]]":
    """The folders of the object store, each with the rows that may need what is in it."""
    outgoing, cargo = OutgoingParcel.State, IncomingCargo.State
    yield _HEALTH_PROBES, StoredParcel.objects.none()
    yield _OUTGOING_PARCELS, OutgoingParcel.objects.filter(state__in=(outgoing.PENDING, outgoing.HELD))
    yield _CARGOES, IncomingCargo.objects.filter(state__in=(cargo.PENDING, cargo.INVALID))
    for peer_id in list_folders(_STORED_PARCELS):
        queued = StoredParcel.objects.filter(peer_id=peer_id, state=StoredParcel.State.QUEUED)
        yield f"{_STORED_PARCELS}/{peer_id}", queued


def _remove_orphans(folder: str, needed_by: "QuerySet[Any]", now: datetime, check_time: CheckTime) -> int:
    removed = 0
    there = list_objects(folder)
    while keys := set(islice(there, MAX_KEYS)):
        with record_errors():
            keys.difference_update(needed_by.values_list("object_key", flat=True).iterator(chunk_size=_ROWS_AT_ONCE))
        for key in keys:
            removed += _is_old(key, now) and _remove(key, needed_by)
            check_time()
    return removed


def _is_old(key: str, now: datetime) -> bool:
    try:
        return find_object_time(key) < now - GRACE_PERIOD
    except ObjectMissingError:
        return False  # Somebody else has just removed it.


def _remove(key: str, needed_by: "QuerySet[Any]") -> bool:
    # Few come so far that a look for each costs nothing. A row that moved while all were read may have been missed.
    with record_errors():
        if needed_by.filter(object_key=key).exists():
            return False
    delete_object(key)
    return True
