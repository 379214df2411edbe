"""Lets an operator have invalid cargo unwrapped again, once what was wrong on our side is mended."""

from datetime import datetime

import structlog
from django.db import transaction

from gateway.models import Event, IncomingCargo, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH
from gateway.queues import hint_cargo

log = structlog.get_logger(__name__)


def unwrap_again(cargo: IncomingCargo, operator: str, now: datetime) -> bool:
    """Make invalid cargo due at once, as if it had never been tried; False where it is not invalid.

    What was wrong stays on record until the next attempt says better.
    """
    if cargo.state != IncomingCargo.State.INVALID:
        return False
    with record_errors(), transaction.atomic():
        is_due = cargo.advance(
            IncomingCargo.State.PENDING,
            next_attempt_at=now,
            attempts=0,
            lease_id=None,
            leased_until=None,
            settled_at=None,
        )
        if is_due:
            Event.objects.create(
                kind=Event.Kind.CARGO_RELEASED,
                subject_id=cargo.pk,
                peer_id=cargo.peer_id,
                detail=f"by {operator}"[:EVENT_DETAIL_LENGTH],
            )
    if is_due:
        log.info("cargo_to_be_unwrapped_again", cargo_row_id=str(cargo.pk), operator=operator)
        hint_cargo(cargo.pk)
    return is_due
