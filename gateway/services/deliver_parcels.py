"""Delivers parcels to Internet addresses: leases what is due, has each posted, and settles it by the answer.

What survives a crash at each step: a lease runs out, and the parcel is due again; a parcel that was taken by its
destination before that could be written down is delivered a second time, which every destination must bear.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Any, Final

import structlog
from django.db.models import F

from gateway.errors import ObjectMissingError, StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.metrics import observe_delivery
from gateway.models import Event, OutgoingParcel, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH
from gateway.retry_interval import FIRST_INTERVAL, retry_interval
from gateway.services.watch_destination import Turn, give_turn_back, is_paused, note_failure, note_success, take_turn
from gateway.storage import delete_object, load_object

# Enough that the look into the queue costs little per parcel, few enough that destinations take turns often.
BATCH_SIZE = 16
# A slow destination gives its worker back after this, plus the delivery at hand.
SLICE_SECONDS = 10.0
# How soon an operator's pause takes hold of parcels that are leased already.
PAUSE_SECONDS = 1.0
_LEASE_MARGIN_SECONDS = 20.0

log = structlog.get_logger(__name__)


class Answer(StrEnum):
    """What became of a parcel that was posted."""

    TAKEN = "delivered"
    REFUSED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The answer to a parcel and, where it was not taken, the reason in words."""

    answer: Answer
    reason: str = ""
    retry_after_seconds: float = 0


Post = Callable[[str, bytes], Attempt]
"""Posts a parcel to an Internet address and never raises."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What was done for a destination: whether it answers, if that showed, and a parcel that is due still, if any."""

    answers: bool | None = None
    next_parcel_id: uuid.UUID | None = None


def find_destination(parcel_id: uuid.UUID) -> str | None:
    """The Internet address of a parcel that may be due, or None if its row is gone or settled."""
    with record_errors():
        rows = OutgoingParcel.objects.filter(pk=parcel_id, state=OutgoingParcel.State.PENDING)
        return rows.values_list("destination", flat=True).first()


def deliver_slice(
    internet_address: str, post: Post, clock: Callable[[], datetime], *, delivery_seconds: float
) -> Slice:
    """Deliver what is due for the destination, up to a batch; `delivery_seconds` bounds how long one `post` takes.

    Raises `RecordUnavailableError`; what was leased then is due again when the lease runs out.
    """
    lease_seconds = SLICE_SECONDS + delivery_seconds + _LEASE_MARGIN_SECONDS
    turn = take_turn(internet_address, clock(), probe_seconds=lease_seconds)
    if turn is None:
        return Slice()
    limit = 1 if turn.is_probe else BATCH_SIZE
    parcels, next_id = _lease(internet_address, clock(), limit=limit, seconds=lease_seconds)
    stops_at = time.monotonic() + SLICE_SECONDS
    looks_at = time.monotonic() + PAUSE_SECONDS
    step, answers = _Step.SETTLED_UNTRIED, None
    for number, parcel in enumerate(parcels):
        if time.monotonic() >= stops_at:
            _release(parcels[number:], clock())
            return Slice(answers=answers, next_parcel_id=parcel.pk)
        if time.monotonic() >= looks_at:
            looks_at = time.monotonic() + PAUSE_SECONDS
            if is_paused(turn):
                _release(parcels[number:], clock())
                return Slice(answers=answers)
        step = _deliver(parcel, turn, post, clock)
        answers = _ANSWERS.get(step, answers)
        if step in _STOPS:
            _release(parcels[number + 1 :], clock())
            break
    if answers is None:
        give_turn_back(turn, clock())
    return Slice(answers=answers, next_parcel_id=None if step in _STOPS else next_id)


class _Step(Enum):
    """How far it went with one parcel."""

    SETTLED = auto()
    SETTLED_UNTRIED = auto()
    FAILED = auto()
    """Because of the destination."""
    FAILED_UNTRIED = auto()
    """Because of us."""


_STOPS: Final = frozenset({_Step.FAILED, _Step.FAILED_UNTRIED})
_ANSWERS: Final = MappingProxyType({_Step.SETTLED: True, _Step.FAILED: False})


def _lease(
    internet_address: str, now: datetime, *, limit: int, seconds: float
) -> tuple[list[OutgoingParcel], uuid.UUID | None]:
    """Take the parcels that have been due the longest, and the id of one more."""
    until = now + timedelta(seconds=seconds)
    due = OutgoingParcel.objects.filter(
        destination=internet_address, state=OutgoingParcel.State.PENDING, next_attempt_at__lte=now
    )

    def lease() -> tuple[list[OutgoingParcel], uuid.UUID | None]:
        ids = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[: limit + 1])
        if not ids:
            return [], None
        lease_id = uuid.uuid4()
        # Conditional on being due: what another worker leased meanwhile is so no longer.
        due.filter(pk__in=ids[:limit]).update(
            lease_id=lease_id, leased_until=until, next_attempt_at=until, attempts=F("attempts") + 1
        )
        rows = OutgoingParcel.objects.filter(pk__in=ids[:limit], lease_id=lease_id)
        return list(rows.order_by("received_at")), ids[limit] if len(ids) > limit else None

    with record_errors():
        return commit_together(lease)


def _deliver(parcel: OutgoingParcel, turn: Turn, post: Post, clock: Callable[[], datetime]) -> _Step:
    if parcel.expires_at < clock():
        _settle(parcel, OutgoingParcel.State.EXPIRED, clock())
        return _Step.SETTLED_UNTRIED
    try:
        octets = load_object(parcel.object_key)
    except ObjectMissingError:
        # Somebody removed it behind our back: nothing can bring it to its destination any more.
        log.exception("parcel_object_missing", parcel_row_id=str(parcel.pk), object_key=parcel.object_key)
        _settle(parcel, OutgoingParcel.State.DISCARDED, clock(), reason="its object is missing")
        return _Step.SETTLED_UNTRIED
    except StorageUnavailableError as error:
        _postpone(parcel, clock() + FIRST_INTERVAL, reason=str(error))
        return _Step.FAILED_UNTRIED
    began_at, started_at = clock(), time.perf_counter()
    attempt = post(parcel.destination, octets)
    observe_delivery(outcome=attempt.answer, seconds=time.perf_counter() - started_at)
    now = clock()
    if attempt.answer is Answer.FAILED:
        _fail(parcel, turn, attempt, began_at, now)
        return _Step.FAILED
    state = OutgoingParcel.State.DELIVERED if attempt.answer is Answer.TAKEN else OutgoingParcel.State.REJECTED
    _settle(parcel, state, now, reason=attempt.reason)
    note_success(turn, now)
    return _Step.SETTLED


def _fail(parcel: OutgoingParcel, turn: Turn, attempt: Attempt, began_at: datetime, now: datetime) -> None:
    destination_at = note_failure(
        turn, attempt.reason, now, began_at=began_at, retry_after_seconds=attempt.retry_after_seconds
    )
    # A parcel that fails alone must not hold up the others: it comes again after them, the later the older it is.
    parcel_at = began_at + retry_interval(now - parcel.received_at, 1)
    _postpone(parcel, max(destination_at, parcel_at), reason=attempt.reason)


def _settle(parcel: OutgoingParcel, state: OutgoingParcel.State, now: datetime, *, reason: str = "") -> None:
    """Write down what became of the parcel, whoever has it leased now and whether or not it was held meanwhile."""
    # Once for the row and the log alike: strangers' servers have a say in it.
    reason = reason[:EVENT_DETAIL_LENGTH]
    open_states = (OutgoingParcel.State.PENDING, OutgoingParcel.State.HELD)

    def settle() -> bool:
        rows = OutgoingParcel.objects.filter(pk=parcel.pk, state__in=open_states)
        if not rows.update(state=state, settled_at=now, lease_id=None, leased_until=None, last_error=reason):
            return False
        if state == OutgoingParcel.State.DISCARDED:
            Event.objects.create(
                at=now, kind=Event.Kind.PARCEL_DISCARDED, subject_id=parcel.pk, peer_id=parcel.peer_id, detail=reason
            )
        return True

    with record_errors():
        is_ours = commit_together(settle)
    if not is_ours:
        return
    log.info(
        "parcel_settled",
        parcel_row_id=str(parcel.pk),
        state=str(state),
        private_peer_id=parcel.peer_id,
        destination=parcel.destination,
        attempts=parcel.attempts,
        reason=reason,
    )
    try:
        delete_object(parcel.object_key)
    except StorageUnavailableError:  # An object without an open row is garbage, for a sweep to collect.
        log.warning("object_not_deleted", object_key=parcel.object_key)


def _postpone(parcel: OutgoingParcel, until: datetime, *, reason: str) -> None:
    _give_back([parcel], next_attempt_at=until, last_error=reason[:EVENT_DETAIL_LENGTH])


def _release(parcels: Sequence[OutgoingParcel], now: datetime) -> None:
    """Make parcels due again that were leased but not attempted."""
    _give_back(parcels, next_attempt_at=now, attempts=F("attempts") - 1)


def _give_back(parcels: Sequence[OutgoingParcel], **changes: Any) -> None:
    if not parcels:
        return
    # All of one batch have one lease; those that another worker has leased since are left alone.
    rows = OutgoingParcel.objects.filter(pk__in=[parcel.pk for parcel in parcels], lease_id=parcels[0].lease_id)
    with record_errors():
        commit_together(lambda: rows.update(lease_id=None, leased_until=None, **changes))
