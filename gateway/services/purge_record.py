"""Removes rows that nobody needs any more.

A row goes once what it stands for can do no harm without it: what is settled, when the retention time is over;
what tells that something was used once, when that thing would be refused for its age alone.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet

from gateway.batches import MAX_DELETED_ROWS, CheckTime, delete_in_batches
from gateway.models import (
    CargoCollection,
    Destination,
    Event,
    IncomingCargo,
    OutgoingParcel,
    ParcelRecord,
    SpentAuthorization,
    StoredParcel,
    record_errors,
)

# Events may be all that says why something was refused, so that operators have at least this long to look.
MIN_EVENT_AGE: Final = timedelta(hours=1)
# For calls that go on past an expiry, and for processes whose clocks differ: the row still refuses a second use.
EXPIRY_MARGIN: Final = timedelta(hours=1)
DESTINATION_IDLE_TIME: Final = timedelta(days=30)


def purge_settled_rows(now: datetime, check_time: CheckTime) -> str | None:
    """Remove what was settled before the retention time, but for cargo that a courier could still bring again.

    Were that unwrapped a second time, a collection ACK in it would settle whichever parcel has the same ids by then.
    So its row, which holds ids and counts alone, stays until the cargo would be refused for its age, as the records
    of parcels do.
    """
    begin = now - timedelta(hours=settings.METADATA_RETENTION_HOURS)
    cargo = IncomingCargo.settled_before(begin).exclude(state=IncomingCargo.State.UNWRAPPED, expires_at__gte=now)
    settled: tuple[QuerySet[Any], ...] = (
        StoredParcel.settled_before(begin),
        OutgoingParcel.settled_before(begin),
        cargo,
    )
    with record_errors():
        return _tell(sum(delete_in_batches(rows, check_time) for rows in settled))


def purge_events(now: datetime, check_time: CheckTime) -> str | None:
    age = max(timedelta(hours=settings.METADATA_RETENTION_HOURS), MIN_EVENT_AGE)
    return _purge(Event.objects.filter(at__lt=now - age), check_time)


def purge_parcel_records(now: datetime, check_time: CheckTime) -> str | None:
    return _purge(ParcelRecord.objects.filter(expires_at__lt=now), check_time)


def purge_cargo_collections(now: datetime, check_time: CheckTime) -> str | None:
    return _purge(CargoCollection.objects.filter(expires_at__lt=now - EXPIRY_MARGIN), check_time)


def purge_spent_authorizations(now: datetime, check_time: CheckTime) -> str | None:
    return _purge(SpentAuthorization.objects.filter(expires_at__lt=now - EXPIRY_MARGIN), check_time)


def purge_idle_destinations(now: datetime, check_time: CheckTime) -> str | None:
    """Forget addresses for which nothing waits and nothing has happened for long, unless an operator paused them.

    An address that is known no more is tried like a new one. Else each name that any device ever made up would stay.
    """
    idle_since = now - DESTINATION_IDLE_TIME
    idle = Destination.objects.filter(
        Q(last_success_at__isnull=True) | Q(last_success_at__lt=idle_since),
        Q(last_failure_at__isnull=True) | Q(last_failure_at__lt=idle_since),
        is_paused=False,
    )
    purged, last_address = 0, ""
    with record_errors():
        while addresses := _list_addresses(idle, after=last_address):
            unused = [address for address in addresses if not _is_awaited(address)]
            purged += delete_in_batches(idle.filter(internet_address__in=unused), check_time)
            last_address = addresses[-1]
            check_time()
    return _tell(purged)


def _list_addresses(destinations: "QuerySet[Destination]", *, after: str) -> list[str]:
    rest = destinations.filter(internet_address__gt=after).order_by("internet_address")
    return list(rest.values_list("internet_address", flat=True)[:MAX_DELETED_ROWS])


def _is_awaited(address: str) -> bool:
    State = OutgoingParcel.State  # noqa: N806 - a class
    return OutgoingParcel.objects.filter(destination=address, state__in=(State.PENDING, State.HELD)).exists()


def _purge(rows: "QuerySet[Any]", check_time: CheckTime) -> str | None:
    with record_errors():
        return _tell(delete_in_batches(rows, check_time))


def _tell(number: int) -> str | None:
    return f"{number} rows removed" if number else None
