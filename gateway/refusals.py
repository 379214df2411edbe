"""Notes what was refused, so that an operator can find it; but what strangers can provoke must not fill the disk."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping

import structlog
from prometheus_client import Counter

from gateway.group_commit import commit_together
from gateway.models import Event, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH

# Of each kind, and from strangers and known peers apart. More are in the metrics, and in one line of the log.
MAX_EVENTS_PER_MINUTE = 60
_MINUTE_SECONDS = 60.0

_REFUSALS = Counter("gateway_refusals", "What was refused, by the kind of event it is noted as.", ["kind"])

log = structlog.get_logger(__name__)


class Allowance:
    """Lets so many through in each minute, from whatever thread they come."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._minute_ends_at = clock()
        self._taken = 0

    def take(self) -> tuple[bool, int]:
        """Whether one more may pass; and, of the first in a minute alone, how many could not in the one before."""
        with self._lock:
            now, left_out = self._clock(), 0
            if now >= self._minute_ends_at:
                left_out = max(self._taken - self._per_minute, 0)
                self._minute_ends_at, self._taken = now + _MINUTE_SECONDS, 0
            self._taken += 1
            return self._taken <= self._per_minute, left_out


Allowances = Mapping[tuple[Event.Kind, bool], Allowance]


def make_allowances(per_minute: int) -> Allowances:
    """One for each kind, and for strangers and known peers apart: what the former do must not hide the latter."""
    return {(kind, is_known): Allowance(per_minute) for kind in Event.Kind for is_known in (False, True)}


_allowances: Allowances = make_allowances(MAX_EVENTS_PER_MINUTE)


def note_refusal(kind: Event.Kind, reason: str, *, peer_id: str = "", subject_id: uuid.UUID | None = None) -> None:
    """Count a refusal and, unless there were too many in this minute, log it and keep an event; never raises.

    A peer that is named is a known one: its signature and path were believed. To be called outside transactions:
    where nothing else is written, nothing else can fail with it.
    """
    _REFUSALS.labels(kind.value).inc()
    may_pass, left_out = _allowances[kind, bool(peer_id)].take()
    if left_out:
        log.warning("refusals_left_out", kind=kind.value, is_peer_known=bool(peer_id), number=left_out)
    write = log.info if may_pass else log.debug
    write(kind.value, reason=reason, private_peer_id=peer_id, subject_id=subject_id and str(subject_id))
    if not may_pass:
        return
    event = Event(kind=kind, detail=reason[:EVENT_DETAIL_LENGTH], peer_id=peer_id, subject_id=subject_id)
    try:
        with record_errors():
            commit_together(lambda: None, event)
    except Exception as error:  # noqa: BLE001 - a note that is lost must not change the answer to the refused
        log.warning("refusal_not_noted", kind=kind.value, error=type(error).__name__)
