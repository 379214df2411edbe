"""Delivers parcels to the Internet (PDC): a task is a hint that a destination has work, which its thread then does."""

import uuid
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.utils import timezone

from awala.clients.errors import ClientError, RefusedParcelError
from awala.errors import AwalaError
from gateway.queues import hint_outgoing_parcel
from gateway.services.deliver_parcels import Answer, Attempt, Slice, deliver_slice, find_destination
from tasks.deliverer import get_deliverer
from tasks.lanes import Lanes

log = structlog.get_logger(__name__)

_lanes = Lanes(threads=settings.DELIVERY_THREADS, per_destination=settings.DELIVERIES_PER_DESTINATION)


@worker_shutting_down.connect
def _close_lanes(**_: Any) -> None:
    _lanes.close()


@shared_task(name="tasks.pdc.deliver_parcel")
def deliver_parcel(parcel_id: str) -> None:
    """Deliver what is due for the destination of this parcel, and then for others that wait for a thread."""
    destination = find_destination(uuid.UUID(parcel_id))
    if destination is None:
        return
    _lanes.announce(destination)
    while (destination := _lanes.take()) is not None:
        work_on(destination, _lanes)


def work_on(destination: str, lanes: Lanes) -> None:
    """Do one slice for a destination that was taken from the lanes."""
    done = Slice()
    try:
        done = deliver_slice(destination, post, timezone.now, delivery_seconds=get_deliverer().max_seconds)
    finally:
        lanes.give_back(destination, has_more=done.next_parcel_id is not None, answers=done.answers)
    if done.next_parcel_id is not None:
        # There is enough for another thread.
        hint_outgoing_parcel(done.next_parcel_id, destination)


def post(internet_address: str, parcel_serialized: bytes) -> Attempt:
    """Post a parcel and say what became of it; whatever goes wrong is a failure that may pass."""
    try:
        get_deliverer().deliver(internet_address, parcel_serialized)
    except RefusedParcelError as error:
        return Attempt(answer=Answer.REFUSED, reason=str(error))
    except ClientError as error:
        retry_after = getattr(error, "retry_after_seconds", None) or 0
        return Attempt(answer=Answer.FAILED, reason=str(error), retry_after_seconds=retry_after)
    except AwalaError as error:
        return Attempt(answer=Answer.FAILED, reason=str(error))
    except Exception as error:  # The parcel is kept whatever it is, and other destinations go on.
        log.exception("delivery_broke", destination=internet_address)
        return Attempt(answer=Answer.FAILED, reason=f"unforeseen {type(error).__name__}; the log tells more")
    return Attempt(answer=Answer.TAKEN)
