"""Hints what is due, so that no hint that was lost costs more than the time between two sweeps.

A sweep writes nothing: what it hints may be leased, settled or held by the time that a worker looks at it.
"""

from datetime import datetime
from typing import Any, Final

import structlog
from django.db.models import QuerySet

from gateway.models import IncomingCargo, OutgoingParcel, record_errors
from gateway.queues import count_waiting, hint_cargo, hint_outgoing_parcel
from gateway.services.due_destinations import find_due_destinations

# More than workers unwrap between two sweeps; the others are still due at the next one.
MAX_CARGOES: Final = 500
# Addresses looked at. Where more have parcels waiting, the next sweep goes on after the last of these.
MAX_DESTINATIONS: Final = 1_000
# Cargo that has seen more workers die may be what they died of, so that a restart must not try it at once.
MAX_EAGER_ATTEMPTS: Final = 4

# Of one kind. Redis would keep any number, were workers gone or slow.
MAX_HINTS_WAITING: Final = 1_000

log = structlog.get_logger(__name__)

# The address after which the next sweep of this process begins.
_last_address: str = ""


def sweep(now: datetime) -> None:
    """Hint all that is due, or as much as workers can do until the next sweep; raises `RecordUnavailableError`."""
    with record_errors():
        cargoes = _hint_cargoes(now)
        destinations = _hint_destinations(now)
    log.debug("swept", cargoes=cargoes, destinations=destinations)


def release_leases(now: datetime) -> None:
    """Make due what is leased, when all who may hold a lease are known to be dead.

    For the start of the process that is all of the gateway; raises `RecordUnavailableError`.
    """
    pending_cargo = IncomingCargo.objects.filter(state=IncomingCargo.State.PENDING)
    with record_errors():
        cargoes = _release(pending_cargo.filter(attempts__lte=MAX_EAGER_ATTEMPTS), now)
        parcels = _release(OutgoingParcel.objects.filter(state=OutgoingParcel.State.PENDING), now)
    log.info("leases_released", cargoes=cargoes, parcels=parcels)


def _release(pending: "QuerySet[Any]", now: datetime) -> int:
    # What is leased is not due before its lease ends, so the index of what is due finds the few rows.
    leased = pending.filter(next_attempt_at__gt=now, leased_until__gt=now)
    return leased.update(next_attempt_at=now, lease_id=None, leased_until=None)


def _hint_cargoes(now: datetime) -> int:
    # Whatever is due is hinted there already, as far as workers can do it for now; more would say the same again.
    if count_waiting("crc") >= MAX_HINTS_WAITING:
        return 0
    due = IncomingCargo.objects.filter(state=IncomingCargo.State.PENDING, next_attempt_at__lte=now)
    cargo_ids = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:MAX_CARGOES])
    for cargo_id in cargo_ids:
        hint_cargo(cargo_id)
    return len(cargo_ids)


def _hint_destinations(now: datetime) -> int:
    """Hint one parcel for each address; the worker finds the others there."""
    global _last_address  # noqa: PLW0603 - a hint to ourselves, which a restart may forget
    if count_waiting("pdc") >= MAX_HINTS_WAITING:
        return 0
    begun_after = _last_address
    looked_at = hinted = 0
    _last_address = ""  # Where the queue ends within this sweep, the next one begins at its head.
    for page in find_due_destinations(now, after=begun_after):
        for destination in page.due:
            hint_outgoing_parcel(destination.parcel_id, destination.internet_address)
        hinted += len(page.due)
        looked_at += page.addresses
        if looked_at >= MAX_DESTINATIONS:
            _last_address = page.last_address or ""
            break
    return hinted
