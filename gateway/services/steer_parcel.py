"""Lets an operator keep a parcel from leaving for the Internet, and let it go."""

from datetime import datetime

import structlog
from django.db import transaction

from gateway.models import Event, OutgoingParcel, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH
from gateway.queues import hint_outgoing_parcel

log = structlog.get_logger(__name__)


def hold_parcel(parcel: OutgoingParcel, operator: str, now: datetime) -> bool:
    """Hold a parcel that waits; False where it does not, or is being delivered at the moment.

    A delivery that begins at the same instant may still succeed: its destination then has the parcel, and takes it
    as a duplicate once it is released.
    """
    is_leased = parcel.leased_until is not None and parcel.leased_until > now
    if parcel.state != OutgoingParcel.State.PENDING or is_leased:
        return False
    with record_errors(), transaction.atomic():
        if not parcel.advance(OutgoingParcel.State.HELD):
            return False
        _note(Event.Kind.PARCEL_HELD, parcel, operator)
    log.info("outgoing_parcel_held", parcel_row_id=str(parcel.pk), operator=operator)
    return True


def release_parcel(parcel: OutgoingParcel, operator: str, now: datetime) -> bool:
    """Make a parcel that is held due at once; False where it is not held."""
    if parcel.state != OutgoingParcel.State.HELD:
        return False
    with record_errors(), transaction.atomic():
        if not parcel.advance(OutgoingParcel.State.PENDING, next_attempt_at=now, lease_id=None, leased_until=None):
            return False
        _note(Event.Kind.PARCEL_RELEASED, parcel, operator)
    log.info("outgoing_parcel_released", parcel_row_id=str(parcel.pk), operator=operator)
    hint_outgoing_parcel(parcel.pk, parcel.destination)
    return True


def _note(kind: Event.Kind, parcel: OutgoingParcel, operator: str) -> None:
    detail = f"by {operator}"[:EVENT_DETAIL_LENGTH]
    Event.objects.create(kind=kind, subject_id=parcel.pk, peer_id=parcel.peer_id, detail=detail)
