"""Lets an operator stop all deliveries to an Internet address, and start them again."""

import structlog
from django.db import transaction

from gateway.models import Destination, Event, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH

log = structlog.get_logger(__name__)


def pause_destination(destination: Destination, operator: str) -> bool:
    """Keep every parcel for an address from leaving; False where it is paused already.

    Deliveries under way end as they may. What waits stays pending, and expires when its time has come.
    """
    return _set_paused(destination, operator, is_paused=True)


def resume_destination(destination: Destination, operator: str) -> bool:
    """Let parcels leave again; False where the address is not paused. The next sweep finds them."""
    return _set_paused(destination, operator, is_paused=False)


def _set_paused(destination: Destination, operator: str, *, is_paused: bool) -> bool:
    kind = Event.Kind.DESTINATION_PAUSED if is_paused else Event.Kind.DESTINATION_RESUMED
    with record_errors(), transaction.atomic():
        unchanged = Destination.objects.filter(pk=destination.pk, is_paused=not is_paused)
        if not unchanged.update(is_paused=is_paused):
            return False
        # Who did it comes first: addresses may be longer than the column.
        detail = f"by {operator}: {destination.internet_address}"[:EVENT_DETAIL_LENGTH]
        Event.objects.create(kind=kind, subject_id=destination.pk, detail=detail)
    destination.is_paused = is_paused
    log.info(kind.value, destination=destination.internet_address, operator=operator)
    return True
