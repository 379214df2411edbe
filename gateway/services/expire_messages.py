"""Gives up parcels and cargo whose expiry has passed, and frees what they take in the object store.

What survives a crash at each step: a row that has expired names no object that anybody needs, and is committed
before the object goes. An object left behind is garbage, which another job collects.
"""

from collections.abc import Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import Q

from gateway.batches import CheckTime, move_in_batches
from gateway.group_commit import commit_together
from gateway.models import IncomingCargo, OutgoingParcel, StoredParcel, record_errors
from gateway.storage import delete_object

# Long enough for an operator to look at it and mend what was wrong; cargo itself may live for half a year, and a peer
# that sends what nobody can unwrap must not fill the disk.
MAX_INVALID_AGE: Final = timedelta(days=7)

log = structlog.get_logger(__name__)


def expire_stored_parcels(now: datetime, check_time: CheckTime) -> str | None:
    """Expire parcels that no private gateway has collected in time."""
    overdue = StoredParcel.objects.filter(state=StoredParcel.State.QUEUED, expires_at__lt=now)

    def expire(rows: list[StoredParcel]) -> int:
        # Copies, since a group that is rolled back does its work again, from the state that was seen.
        moved = commit_together(lambda: [row for row in rows if _expire(copy(row), now)])
        return _delete_objects(moved)

    with record_errors():
        return _tell(move_in_batches(overdue, expire, check_time), "parcels expired")


def expire_outgoing_parcels(now: datetime, check_time: CheckTime) -> str | None:
    """Expire parcels that the Internet has not taken in time; not one that a worker delivers at this moment."""
    State = OutgoingParcel.State  # noqa: N806 - a class
    overdue = OutgoingParcel.objects.filter(
        Q(leased_until__isnull=True) | Q(leased_until__lte=now),
        state__in=(State.PENDING, State.HELD),
        expires_at__lt=now,
    )

    def expire_one(row: OutgoingParcel) -> bool:
        # The lease must be the one seen too: a worker may have taken the parcel since.
        unchanged = OutgoingParcel.objects.filter(pk=row.pk, state=row.state, lease_id=row.lease_id)
        return bool(unchanged.update(state=State.EXPIRED, settled_at=now))

    def expire(rows: list[OutgoingParcel]) -> int:
        return _delete_objects(commit_together(lambda: [row for row in rows if expire_one(row)]))

    with record_errors():
        return _tell(move_in_batches(overdue, expire, check_time), "parcels expired")


def expire_invalid_cargo(now: datetime, check_time: CheckTime) -> str | None:
    """Let go of cargo that was kept for inspection. Cargo that waits to be unwrapped never expires: it was accepted."""
    overdue = IncomingCargo.objects.filter(
        Q(expires_at__lt=now) | Q(settled_at__lt=now - MAX_INVALID_AGE), state=IncomingCargo.State.INVALID
    )

    def expire(rows: list[IncomingCargo]) -> int:
        return _delete_objects(commit_together(lambda: [row for row in rows if _expire(copy(row), now)]))

    with record_errors():
        return _tell(move_in_batches(overdue, expire, check_time), "cargoes expired")


def _expire(row: StoredParcel | IncomingCargo, now: datetime) -> bool:
    return row.advance("expired", settled_at=now)


def _delete_objects(rows: Sequence[StoredParcel | OutgoingParcel | IncomingCargo]) -> int:
    """Delete what the rows name; returns their number. A store that is down ends the run, and so further garbage."""
    for row in rows:
        delete_object(row.object_key)
    return len(rows)


def _tell(number: int, what: str) -> str | None:
    return f"{number} {what}" if number else None
