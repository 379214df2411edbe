import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import OperationalError

from gateway.errors import RecordUnavailableError
from gateway.models import Destination, Event, OutgoingParcel
from gateway.services import deliver_parcels as module
from gateway.services.deliver_parcels import BATCH_SIZE, Answer, Attempt, Slice, deliver_slice, find_destination
from gateway.storage import store_object
from tests.unit.gateway.factories import make_outgoing_parcel

pytestmark = pytest.mark.django_db(transaction=True)

State = OutgoingParcel.State

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "pong.example.com"
FAILED = Attempt(answer=Answer.FAILED, reason="no answer")
REFUSED = Attempt(answer=Answer.REFUSED, reason="HTTP 403")
TAKEN = Attempt(answer=Answer.TAKEN)


class Endpoint:
    """Stands where the client would be, and answers as it is told."""

    def __init__(self, *answers: Attempt) -> None:
        self.answers = list(answers)
        self.posted: list[bytes] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, address: str, octets: bytes) -> Attempt:
        assert address == ADDRESS
        self.posted.append(octets)
        self.meanwhile()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_parcel(octets: bytes = b"octets", **values: object) -> OutgoingParcel:
    defaults = {"destination": ADDRESS, "received_at": NOW, "next_attempt_at": NOW}
    parcel = make_outgoing_parcel(**defaults | {"expires_at": NOW + timedelta(days=30)} | values)
    store_object(parcel.object_key, octets)
    return parcel


def deliver(post: Endpoint, clock: Callable[[], datetime] = lambda: NOW) -> Slice:
    return deliver_slice(ADDRESS, post, clock, delivery_seconds=30)


def reload(parcel: OutgoingParcel) -> OutgoingParcel:
    parcel.refresh_from_db()
    return parcel


def files(object_store: Path) -> list[Path]:
    return [path for path in object_store.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- Outcomes


def test_parcel_that_is_taken_is_settled_and_its_object_deleted(object_store: Path) -> None:
    parcel = make_parcel(b"one")
    endpoint = Endpoint(TAKEN)

    assert deliver(endpoint) == Slice(answers=True)

    assert endpoint.posted == [b"one"]
    row = reload(parcel)
    assert (row.state, row.settled_at, row.attempts, row.lease_id, row.last_error) == (
        State.DELIVERED,
        NOW,
        1,
        None,
        "",
    )
    assert not files(object_store)


def test_parcel_that_is_refused_is_settled_with_the_reason(object_store: Path) -> None:
    parcel = make_parcel()

    assert deliver(Endpoint(REFUSED)).answers

    assert (reload(parcel).state, parcel.last_error) == (State.REJECTED, "HTTP 403")
    assert not files(object_store)
    assert not Destination.objects.get().consecutive_failures


def test_parcel_that_fails_is_kept_for_later(object_store: Path) -> None:
    parcel = make_parcel()

    assert deliver(Endpoint(FAILED)) == Slice(answers=False)

    row = reload(parcel)
    assert (row.state, row.attempts, row.last_error, row.lease_id) == (State.PENDING, 1, "no answer", None)
    assert NOW + timedelta(seconds=4) <= row.next_attempt_at <= NOW + timedelta(seconds=5)
    assert len(files(object_store)) == 1


def test_expired_parcel_is_not_posted(object_store: Path) -> None:
    parcel = make_parcel(expires_at=NOW - timedelta(seconds=1))
    endpoint = Endpoint(TAKEN)

    assert deliver(endpoint) == Slice()

    assert not endpoint.posted
    assert reload(parcel).state == State.EXPIRED
    assert not files(object_store)


def test_parcel_without_its_object_is_discarded_and_the_others_go_on() -> None:
    lost = make_outgoing_parcel(destination=ADDRESS, next_attempt_at=NOW, received_at=NOW - timedelta(seconds=1))
    other = make_parcel()

    deliver(Endpoint(TAKEN))

    assert (reload(lost).state, lost.last_error) == (State.DISCARDED, "its object is missing")
    assert Event.objects.get().kind == Event.Kind.PARCEL_DISCARDED
    assert reload(other).state == State.DELIVERED


def test_storage_that_fails_is_no_fault_of_the_destination(object_store: Path) -> None:
    parcel, second = make_parcel(), make_parcel(received_at=NOW + timedelta(seconds=1))
    path = object_store / parcel.object_key
    path.unlink()
    path.mkdir()

    assert deliver(Endpoint(TAKEN)) == Slice()

    assert (reload(parcel).state, parcel.next_attempt_at) == (State.PENDING, NOW + timedelta(seconds=5))
    assert (reload(second).attempts, second.next_attempt_at) == (0, NOW)
    assert not Destination.objects.get().consecutive_failures


def test_long_reasons_are_cut() -> None:
    parcel = make_parcel()

    deliver(Endpoint(Attempt(answer=Answer.FAILED, reason="x" * 1_000)))

    assert len(reload(parcel).last_error) == 255


# ---------------------------------------------------------------- Slices


def test_only_what_is_due_is_posted() -> None:
    make_parcel(next_attempt_at=NOW + timedelta(seconds=1))
    make_parcel(state=State.HELD)
    make_parcel(destination="other.example.com")
    endpoint = Endpoint(TAKEN)

    assert deliver(endpoint) == Slice()

    assert not endpoint.posted


def test_a_batch_at_the_most_and_the_next_one_is_named() -> None:
    parcels = [make_parcel(next_attempt_at=NOW - timedelta(seconds=100 - n)) for n in range(BATCH_SIZE + 2)]
    endpoint = Endpoint(TAKEN)

    assert deliver(endpoint).next_parcel_id == parcels[BATCH_SIZE].pk

    assert len(endpoint.posted) == BATCH_SIZE
    assert deliver(endpoint).next_parcel_id is None
    assert OutgoingParcel.objects.filter(state=State.DELIVERED).count() == BATCH_SIZE + 2


def test_failure_ends_the_slice_and_leaves_the_rest_as_it_was() -> None:
    parcels = [make_parcel(received_at=NOW + timedelta(seconds=n)) for n in range(3)]
    endpoint = Endpoint(TAKEN, FAILED, TAKEN)

    deliver(endpoint)

    assert len(endpoint.posted) == 2
    rows = [reload(parcel) for parcel in parcels]
    assert [row.state for row in rows] == [State.DELIVERED, State.PENDING, State.PENDING]
    assert [row.attempts for row in rows] == [1, 1, 0]
    assert rows[2].next_attempt_at == NOW


def test_slow_destination_gives_its_thread_back(monkeypatch: pytest.MonkeyPatch) -> None:
    parcels = [make_parcel(received_at=NOW + timedelta(seconds=n)) for n in range(2)]
    monkeypatch.setattr(module, "SLICE_SECONDS", 0.01)
    endpoint = Endpoint(TAKEN)
    endpoint.meanwhile = lambda: time.sleep(0.02)

    assert deliver(endpoint) == Slice(answers=True, next_parcel_id=parcels[1].pk)

    assert (reload(parcels[1]).attempts, parcels[1].next_attempt_at) == (0, NOW)


# ---------------------------------------------------------------- Leases


def test_leased_parcel_is_not_posted_by_another_worker() -> None:
    make_parcel()
    other = Endpoint(TAKEN)
    endpoint = Endpoint(TAKEN)
    endpoint.meanwhile = lambda: deliver(other)

    deliver(endpoint)

    assert (len(endpoint.posted), len(other.posted)) == (1, 0)


def test_parcel_of_a_worker_that_died_is_due_again() -> None:
    parcel = make_parcel()
    endpoint = Endpoint(TAKEN)

    def die() -> None:
        raise KeyboardInterrupt

    endpoint.meanwhile = die
    with pytest.raises(KeyboardInterrupt):
        deliver(endpoint)
    endpoint.meanwhile = lambda: None
    deliver(endpoint)
    assert len(endpoint.posted) == 1
    deliver(endpoint, lambda: NOW + timedelta(seconds=61))

    assert len(endpoint.posted) == 2
    assert (reload(parcel).state, parcel.attempts) == (State.DELIVERED, 2)


def test_late_failure_of_a_worker_does_not_disturb_the_one_that_took_over() -> None:
    parcel = make_parcel()
    lease_id = uuid.uuid4()
    endpoint = Endpoint(FAILED)
    endpoint.meanwhile = lambda: OutgoingParcel.objects.update(lease_id=lease_id)

    deliver(endpoint)

    assert (reload(parcel).lease_id, parcel.last_error) == (lease_id, "")


def test_late_success_counts_whoever_has_the_lease(object_store: Path) -> None:
    parcel = make_parcel()
    endpoint = Endpoint(TAKEN)
    endpoint.meanwhile = lambda: OutgoingParcel.objects.update(lease_id=uuid.uuid4())

    deliver(endpoint)

    assert reload(parcel).state == State.DELIVERED
    assert not files(object_store)


def test_parcel_that_was_held_while_it_was_delivered_is_settled() -> None:
    parcel = make_parcel()
    endpoint = Endpoint(TAKEN)
    endpoint.meanwhile = lambda: OutgoingParcel.objects.update(state=State.HELD)

    deliver(endpoint)

    assert reload(parcel).state == State.DELIVERED


def test_parcel_that_was_settled_meanwhile_stays_so(object_store: Path) -> None:
    parcel = make_parcel()
    endpoint = Endpoint(TAKEN)
    endpoint.meanwhile = lambda: OutgoingParcel.objects.update(state=State.DISCARDED)

    deliver(endpoint)

    assert reload(parcel).state == State.DISCARDED
    assert len(files(object_store)) == 1


# ---------------------------------------------------------------- Destinations in trouble


def test_destination_that_fails_is_left_alone_for_a_while() -> None:
    make_parcel()
    make_parcel()
    endpoint = Endpoint(FAILED)
    deliver(endpoint)

    deliver(endpoint, lambda: NOW + timedelta(seconds=3))
    assert len(endpoint.posted) == 1

    deliver(endpoint, lambda: NOW + timedelta(seconds=6))
    assert len(endpoint.posted) == 2


def test_paused_destination_gets_nothing() -> None:
    make_parcel()
    Destination.objects.create(internet_address=ADDRESS, is_paused=True)
    endpoint = Endpoint(TAKEN)

    assert deliver(endpoint) == Slice()

    assert not endpoint.posted


def test_destination_that_is_paused_meanwhile_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    parcels = [make_parcel(received_at=NOW + timedelta(seconds=n)) for n in range(3)]
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    endpoint = Endpoint(TAKEN)
    endpoint.meanwhile = lambda: Destination.objects.update(is_paused=True)

    assert deliver(endpoint) == Slice(answers=True)

    assert len(endpoint.posted) == 1
    assert (reload(parcels[1]).attempts, parcels[1].next_attempt_at) == (0, NOW)


def test_success_after_failures_lets_everything_through(clock: Clock) -> None:
    parcels = [make_parcel(received_at=NOW + timedelta(seconds=n)) for n in range(4)]
    endpoint = Endpoint(FAILED, TAKEN)
    deliver(endpoint, clock)
    clock.now += timedelta(seconds=6)
    assert deliver(endpoint, clock).answers
    assert len(endpoint.posted) == 2

    deliver(endpoint, clock)

    assert {reload(parcel).state for parcel in parcels} == {State.DELIVERED}


def test_probe_that_finds_nothing_to_send_leaves_the_destination_free(clock: Clock) -> None:
    make_parcel()
    endpoint = Endpoint(FAILED)
    deliver(endpoint, clock)
    OutgoingParcel.objects.all().delete()
    clock.now += timedelta(seconds=6)

    assert deliver(endpoint, clock) == Slice()

    assert Destination.objects.get().next_attempt_at == clock.now


def test_destination_that_was_down_for_an_hour_has_its_parcel_within_a_minute_of_its_return(clock: Clock) -> None:
    parcel = make_parcel()
    endpoint = Endpoint(FAILED)
    attempts_at = []
    endpoint.meanwhile = lambda: attempts_at.append(clock.now)
    while clock.now < NOW + timedelta(hours=1):
        deliver(endpoint, clock)
        clock.now += timedelta(seconds=10)  # As often as the sweep finds what is due.
    returned_at, endpoint.answers = clock.now, [TAKEN]

    while reload(parcel).state != State.DELIVERED:
        clock.now += timedelta(seconds=10)
        deliver(endpoint, clock)

    assert clock.now - returned_at <= timedelta(minutes=1)
    gaps = [later - earlier for earlier, later in pairwise(attempts_at)]
    assert min(gaps) >= timedelta(seconds=4)
    assert gaps[-1] >= timedelta(seconds=28)
    assert len(attempts_at) < 400


def test_destination_that_is_down_for_days_is_tried_each_hour(clock: Clock) -> None:
    make_parcel()
    endpoint = Endpoint(FAILED)
    attempts_at = []
    endpoint.meanwhile = lambda: attempts_at.append(clock.now)
    while clock.now < NOW + timedelta(days=6):
        deliver(endpoint, clock)
        clock.now = max(Destination.objects.get().next_attempt_at or NOW, OutgoingParcel.objects.get().next_attempt_at)

    assert timedelta(minutes=48) <= attempts_at[-1] - attempts_at[-2] <= timedelta(hours=1)


def test_parcel_that_alone_fails_does_not_hold_up_the_others(clock: Clock) -> None:
    bad = make_parcel(b"bad")
    good = [make_parcel(b"good", received_at=NOW + timedelta(seconds=n)) for n in range(1, 40)]

    def post(_address: str, octets: bytes) -> Attempt:
        return FAILED if octets == b"bad" else TAKEN

    for _ in range(60):
        deliver_slice(ADDRESS, post, clock, delivery_seconds=30)
        clock.now += timedelta(seconds=5)

    assert {reload(parcel).state for parcel in good} == {State.DELIVERED}
    assert reload(bad).state == State.PENDING


# ---------------------------------------------------------------- Hints


def test_destination_of_a_pending_parcel_is_found() -> None:
    assert find_destination(make_parcel().pk) == ADDRESS


def test_settled_parcel_is_no_work() -> None:
    assert find_destination(make_parcel(state=State.DELIVERED).pk) is None


def test_broken_database_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(module, "commit_together", fail)
    with pytest.raises(RecordUnavailableError):
        deliver(Endpoint(TAKEN))
