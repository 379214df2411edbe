"""Decides when a destination is tried, by what became of the attempts before (a circuit breaker on record).

An attempt belongs to a turn. A turn sees the destination's row once; what it has to say is written only if the row
is still as it was, so that of several turns that fail together one counts.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError

from gateway.group_commit import commit_together
from gateway.models import Destination, Event, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH
from gateway.retry_interval import LONGEST_INTERVAL, retry_interval

FAILURES_THAT_OPEN = 5
SHORTEST_WAIT = timedelta(seconds=1)
_SUCCESS_NOTED_EVERY = timedelta(seconds=10)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Leave to attempt deliveries to a destination; one alone where that is a probe."""

    destination: Destination
    is_probe: bool


def take_turn(internet_address: str, now: datetime, *, probe_seconds: float) -> Turn | None:
    """Leave to try the destination now, or None. A probe that is not concluded in its time is free to be made again."""
    destination = _find(internet_address)
    if destination.is_paused:
        return None
    if destination.next_attempt_at is not None and destination.next_attempt_at > now:
        return None
    if not destination.consecutive_failures:
        return Turn(destination=destination, is_probe=False)
    # A destination in trouble is tried by one worker at a time, whatever the state of its circuit.
    state = Destination.State.CLOSED if destination.state == Destination.State.CLOSED else Destination.State.HALF_OPEN
    with record_errors():
        is_ours = destination.advance(state, next_attempt_at=now + timedelta(seconds=probe_seconds))
    return Turn(destination=destination, is_probe=True) if is_ours else None


def give_turn_back(turn: Turn, now: datetime) -> None:
    """Nothing was attempted, so that whoever comes next may try."""
    if turn.is_probe:
        with record_errors():
            turn.destination.advance(turn.destination.state, next_attempt_at=now)


def note_success(turn: Turn, now: datetime) -> None:
    """The destination has taken a parcel, or refused one for good, which shows as well that it is there."""
    destination = turn.destination
    with record_errors():
        if not destination.consecutive_failures:
            if destination.last_success_at is None or now - destination.last_success_at >= _SUCCESS_NOTED_EVERY:
                Destination.objects.filter(pk=destination.pk).update(last_success_at=now)
                destination.last_success_at = now
            return
        was_open = destination.state != Destination.State.CLOSED
        is_ours = destination.advance(
            Destination.State.CLOSED,
            consecutive_failures=0,
            failing_since=None,
            retry_interval_seconds=0,
            next_attempt_at=None,
            last_success_at=now,
        )
        if is_ours and was_open:
            _note_event(Event.Kind.CIRCUIT_CLOSED, destination, now)
    if is_ours:
        log.info("destination_recovered", destination=destination.internet_address)


def note_failure(
    turn: Turn, reason: str, now: datetime, *, began_at: datetime | None = None, retry_after_seconds: float = 0
) -> datetime:
    """The destination could not be reached or did not answer as it should; returns when it is tried again.

    The wait counts from `began_at`, since an attempt that hung has been waiting already.
    """
    destination = turn.destination
    # Strangers' servers have a say in it, so that the log gets no more of it than the row.
    reason = reason[:EVENT_DETAIL_LENGTH]
    failing_since = destination.failing_since or now
    asked_for = timedelta(seconds=min(retry_after_seconds, LONGEST_INTERVAL.total_seconds()))
    interval = retry_interval(now - failing_since, random.random())  # noqa: S311 - not a secret
    again_at = max((began_at or now) + interval, now + asked_for, now + SHORTEST_WAIT)
    failures = destination.consecutive_failures + 1
    is_open = failures >= FAILURES_THAT_OPEN
    opens = is_open and destination.state == Destination.State.CLOSED
    with record_errors():
        is_ours = destination.advance(
            Destination.State.OPEN if is_open else Destination.State.CLOSED,
            consecutive_failures=failures,
            failing_since=failing_since,
            retry_interval_seconds=round((again_at - now).total_seconds()),
            next_attempt_at=again_at,
            last_failure_at=now,
            last_error=reason,
        )
        if is_ours and opens:
            _note_event(Event.Kind.CIRCUIT_OPENED, destination, now, detail=reason)
    if is_ours:
        log.warning("destination_failing", destination=destination.internet_address, failures=failures, reason=reason)
    return again_at


def is_paused(turn: Turn) -> bool:
    """Whether an operator has paused the destination since the turn began."""
    with record_errors():
        return Destination.objects.filter(pk=turn.destination.pk, is_paused=True).exists()


def _find(internet_address: str) -> Destination:
    with record_errors():
        destination = Destination.objects.filter(internet_address=internet_address).first()
        if destination is not None:
            return destination
        try:
            return commit_together(lambda: Destination.objects.create(internet_address=internet_address))
        except IntegrityError:
            return Destination.objects.get(internet_address=internet_address)


def _note_event(kind: Event.Kind, destination: Destination, now: datetime, *, detail: str = "") -> None:
    text = f"{destination.internet_address}: {detail}" if detail else destination.internet_address
    Event.objects.create(at=now, kind=kind, subject_id=destination.pk, detail=text[:EVENT_DETAIL_LENGTH])
