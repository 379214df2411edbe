"""Gives cargo to one worker at a time, and back when that worker fails."""

import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.errors import RecordUnavailableError
from gateway.group_commit import commit_together
from gateway.models import IncomingCargo, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH

LEASE_TIME: Final = timedelta(seconds=60)
# A cargo whose workers die, which may be its fault, comes back ever later: nothing may spin.
MAX_DELAY_AFTER_DEATH: Final = timedelta(hours=1)
# What failed on our side is likely to be mended soon.
MAX_DELAY_AFTER_FAILURE: Final = timedelta(minutes=5)


class LeaseLostError(Exception):
    """The cargo is settled, or another worker's: this one's lease has run out."""


def lease_cargo(cargo_id: uuid.UUID, now: datetime) -> IncomingCargo | None:
    """Take the cargo for as long as a lease lasts; None if it is settled, not due, or another worker's."""
    with record_errors():
        pending = IncomingCargo.objects.filter(pk=cargo_id, state=IncomingCargo.State.PENDING, next_attempt_at__lte=now)
        cargo = pending.first()
        if cargo is None:
            return None
        seen_lease_id = cargo.lease_id
        cargo.attempts += 1
        lease = {"lease_id": uuid.uuid4(), "attempts": cargo.attempts, **prolonged_lease(cargo, now)}
        if not commit_together(lambda: pending.filter(lease_id=seen_lease_id).update(**lease)):
            return None
    for name, value in lease.items():
        setattr(cargo, name, value)
    return cargo


def prolonged_lease(cargo: IncomingCargo, now: datetime) -> dict[str, Any]:
    """The columns of a lease that starts now; the cargo is due again some time after the end."""
    leased_until = now + LEASE_TIME
    delay = _double(cargo.attempts, MAX_DELAY_AFTER_DEATH)
    return {"leased_until": leased_until, "next_attempt_at": leased_until + delay}


def change_leased_cargo(cargo: IncomingCargo, **changes: Any) -> None:
    """Change the row, though not the instance; raises `LeaseLostError` where this worker's lease is over."""
    leased = IncomingCargo.objects.filter(pk=cargo.pk, state=IncomingCargo.State.PENDING, lease_id=cargo.lease_id)
    if not leased.update(**changes):
        raise LeaseLostError


def postpone_cargo(cargo: IncomingCargo, error: Exception, now: datetime) -> None:
    """Give the cargo back, to be tried again later; where even that fails, its lease ends by itself."""
    delay = _double(cargo.attempts, MAX_DELAY_AFTER_FAILURE)
    changes = {
        "lease_id": None,
        "leased_until": None,
        "next_attempt_at": now + delay,
        "last_error": describe(error),
    }
    with suppress(RecordUnavailableError, LeaseLostError), record_errors():
        commit_together(lambda: change_leased_cargo(cargo, **changes))


def describe(error: Exception) -> str:
    """What an operator is to read of an error: those of other libraries by their name alone, since they may quote."""
    text = str(error) if type(error).__module__.startswith(("awala.", "gateway.")) else ""
    return (text or type(error).__name__)[:EVENT_DETAIL_LENGTH]


def _double(attempts: int, most: timedelta) -> timedelta:
    return min(timedelta(seconds=2 ** min(attempts, 16)), most)
