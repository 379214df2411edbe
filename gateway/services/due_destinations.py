"""Finds the addresses for which a parcel is due and may be attempted now, in steps that a long queue does not slow.

The theory: the queue is in the order of an index, address by address and within each the parcel first that is due
first. So one page of it tells everything about the addresses in it, and the next page begins after the last of
them: of ten thousand parcels for one dead address, a page at the most is read. An address is held back by its
Destination row; most have none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from gateway.models import Destination, OutgoingParcel

_PAGE_SIZE: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class DueDestination:
    """An address and the parcel for it that has been due for the longest."""

    internet_address: str
    parcel_id: UUID
    due_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What one part of the queue holds. `last_address` is where the next part begins, None after the last part."""

    due: tuple[DueDestination, ...]
    addresses: int
    last_address: str | None


def find_due_destinations(now: datetime, *, after: str = "") -> Iterator[Page]:
    """The queue's addresses in their order, from the one after `after` on; a page is read when it is asked for."""
    last_address: str | None = after
    while last_address is not None:
        page = _read_page(now, last_address)
        yield page
        last_address = page.last_address


def _read_page(now: datetime, after: str) -> Page:
    pending = OutgoingParcel.objects.filter(state=OutgoingParcel.State.PENDING, destination__gt=after)
    ordered = pending.order_by("destination", "next_attempt_at")
    rows = list(ordered.values_list("destination", "next_attempt_at", "pk")[:_PAGE_SIZE])
    first_of_each: dict[str, DueDestination] = {}
    for address, due_at, parcel_id in rows:
        destination = DueDestination(internet_address=address, parcel_id=parcel_id, due_at=due_at)
        first_of_each.setdefault(address, destination)
    return Page(
        due=tuple(_find_attemptable(first_of_each, now)),
        addresses=len(first_of_each),
        last_address=rows[-1][0] if len(rows) == _PAGE_SIZE else None,
    )


def _find_attemptable(destinations: Mapping[str, DueDestination], now: datetime) -> Iterator[DueDestination]:
    due = [destination for destination in destinations.values() if destination.due_at <= now]
    if not due:
        return
    held_back = Destination.objects.filter(
        Q(is_paused=True) | Q(next_attempt_at__gt=now),
        internet_address__in=[destination.internet_address for destination in due],
    )
    addresses = set(held_back.values_list("internet_address", flat=True))
    yield from (destination for destination in due if destination.internet_address not in addresses)
