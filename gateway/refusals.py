"""Notes what was refused, so that an operator can find it; but what strangers can provoke must not fill the disk."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import Counter

from gateway.group_commit import commit_together
from gateway.models import Event, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH

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
        self._left = 0

    def take(self) -> bool:
        with self._lock:
            now = self._clock()
            if now >= self._minute_ends_at:
                self._minute_ends_at, self._left = now + _MINUTE_SECONDS, self._per_minute
            self._left -= 1
            return self._left >= 0


_EVENTS: Final = Allowance(MAX_EVENTS_PER_MINUTE)


def note_refusal(kind: Event.Kind, reason: str, *, peer_id: str = "", subject_id: uuid.UUID | None = None) -> None:
    """Log and count a refusal and, unless there were too many in this minute, keep an event; never raises.

    To be called outside transactions: where nothing else is written, nothing else can fail with it.
    """
    _REFUSALS.labels(kind.value).inc()
    log.info(kind.value, reason=reason, private_peer_id=peer_id, subject_id=subject_id and str(subject_id))
    if not _EVENTS.take():
        return
    event = Event(kind=kind, detail=reason[:EVENT_DETAIL_LENGTH], peer_id=peer_id, subject_id=subject_id)
    try:
        with record_errors():
            commit_together(lambda: None, event)
    except Exception as error:  # noqa: BLE001 - a note that is lost must not change the answer to the refused
        log.warning("refusal_not_noted", kind=kind.value, error=type(error).__name__)
