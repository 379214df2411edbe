"""Delivers parcels to the Internet (PDC): a task is a hint that a destination has work, which its thread then does."""

import time
import uuid

import structlog
from django.conf import settings
from django.utils import timezone

from awala.clients.delivery import DEADLINE_FACTOR
from awala.clients.errors import RefusedParcelError, ServerUnavailableError
from awala.errors import AwalaError
from gateway import stopping
from gateway.celery import app
from gateway.queues import hint_outgoing_parcel
from gateway.services.deliver_parcels import Answer, Attempt, Slice, deliver_slice, find_destination
from tasks.deliverer import get_deliverer
from tasks.lanes import Lanes

# Far below what Celery allows a task.
TURN_SECONDS = 60.0
_DELIVERY_SECONDS = DEADLINE_FACTOR * settings.DELIVERY_TIMEOUT_SECONDS

log = structlog.get_logger(__name__)

_lanes = Lanes(threads=settings.DELIVERY_THREADS, per_destination=settings.DELIVERIES_PER_DESTINATION)


@app.task(name="tasks.pdc.deliver_parcel")
def deliver_parcel(parcel_id: str) -> None:
    """Deliver what is due for the destination of this parcel, and then for others that wait for a thread."""
    destination = find_destination(uuid.UUID(parcel_id))
    if destination is not None:
        _lanes.announce(destination)
    ends_at = time.monotonic() + TURN_SECONDS
    # What waits when the worker stops stays due on record.
    while not stopping.is_stopping() and (taken := _lanes.take()) is not None:
        next_id = work_on(taken, _lanes)
        if next_id is not None:
            # There is enough for another thread, or for this one in another task.
            hint_outgoing_parcel(next_id, taken)
        if time.monotonic() >= ends_at:
            return


def work_on(destination: str, lanes: Lanes) -> uuid.UUID | None:
    """Do one slice for a destination that was taken from the lanes; returns a parcel that is due there still."""
    done = Slice()
    try:
        done = deliver_slice(destination, post, timezone.now, delivery_seconds=_DELIVERY_SECONDS)
    finally:
        lanes.give_back(destination, has_more=done.next_parcel_id is not None, answers=done.answers)
    return done.next_parcel_id


def post(internet_address: str, parcel_serialized: bytes) -> Attempt:
    """Post a parcel and say what became of it; whatever goes wrong is a failure that may pass."""
    try:
        get_deliverer().deliver(internet_address, parcel_serialized)
    except RefusedParcelError as error:
        return Attempt(answer=Answer.REFUSED, reason=str(error))
    except ServerUnavailableError as error:
        return Attempt(answer=Answer.FAILED, reason=str(error), retry_after_seconds=error.retry_after_seconds or 0)
    except AwalaError as error:
        return Attempt(answer=Answer.FAILED, reason=str(error))
    except Exception as error:  # The parcel is kept whatever it is, and other destinations go on.
        log.exception("delivery_broke", destination=internet_address)
        return Attempt(answer=Answer.FAILED, reason=f"unforeseen {type(error).__name__}; the log tells more")
    return Attempt(answer=Answer.TAKEN)
