import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from gateway.errors import RecordUnavailableError
from gateway.models import Destination, IncomingCargo, OutgoingParcel
from gateway.services import due_destinations
from gateway.services import sweep as module
from gateway.services.sweep import release_leases, sweep
from tests.unit.gateway.factories import make_incoming_cargo, make_outgoing_parcel

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db


class Hints:
    """What was hinted since it was last asked for."""

    def __init__(self) -> None:
        self._cargoes: list[uuid.UUID] = []
        self._parcels: list[tuple[uuid.UUID, str]] = []
        self.waiting: dict[str, int] = {}

    def add_cargo(self, cargo_id: uuid.UUID) -> None:
        self._cargoes.append(cargo_id)

    def add_parcel(self, parcel_id: uuid.UUID, destination: str) -> None:
        self._parcels.append((parcel_id, destination))

    def take_cargoes(self) -> list[uuid.UUID]:
        taken, self._cargoes = self._cargoes, []
        return taken

    def take_parcels(self) -> list[tuple[uuid.UUID, str]]:
        taken, self._parcels = self._parcels, []
        return taken

    def take_destinations(self) -> list[str]:
        return [destination for _, destination in self.take_parcels()]


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> Hints:
    hints = Hints()
    monkeypatch.setattr(module, "hint_cargo", hints.add_cargo)
    monkeypatch.setattr(module, "hint_outgoing_parcel", hints.add_parcel)
    monkeypatch.setattr(module, "_last_address", "")
    monkeypatch.setattr(module, "count_waiting", lambda queue: hints.waiting.get(queue, 0))
    return hints


def make_cargo(**values: Any) -> IncomingCargo:
    return make_incoming_cargo(**{"next_attempt_at": NOW} | values)


def make_parcel(destination: str = "pong.example.com", **values: Any) -> OutgoingParcel:
    return make_outgoing_parcel(destination=destination, **{"next_attempt_at": NOW} | values)


def test_due_cargo_is_hinted_oldest_first(hints: Hints) -> None:
    last = make_cargo()
    first = make_cargo(next_attempt_at=NOW - SECOND)

    sweep(NOW)

    assert hints.take_cargoes() == [first.pk, last.pk]


@pytest.mark.parametrize(
    "values", [{"next_attempt_at": NOW + SECOND}, {"state": "unwrapped"}, {"state": "invalid"}, {"state": "expired"}]
)
def test_cargo_that_is_not_due_is_left_alone(hints: Hints, values: dict[str, Any]) -> None:
    make_cargo(**values)

    sweep(NOW)

    assert hints.take_cargoes() == []


def test_no_more_cargo_is_hinted_than_workers_can_unwrap(hints: Hints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CARGOES", 2)
    for seconds in range(3):
        make_cargo(next_attempt_at=NOW - seconds * SECOND)

    sweep(NOW)

    assert len(hints.take_cargoes()) == 2


def test_each_address_is_hinted_once(hints: Hints) -> None:
    make_parcel("a.example")
    first = make_parcel("a.example", next_attempt_at=NOW - SECOND)
    other = make_parcel("b.example")

    sweep(NOW)

    assert hints.take_parcels() == [(first.pk, "a.example"), (other.pk, "b.example")]


@pytest.mark.parametrize(
    "values",
    [{"next_attempt_at": NOW + SECOND}, *({"state": state} for state in OutgoingParcel.State.values[1:])],
)
def test_parcel_that_is_not_due_is_left_alone(hints: Hints, values: dict[str, Any]) -> None:
    make_parcel(**values)

    sweep(NOW)

    assert hints.take_parcels() == []


@pytest.mark.parametrize("gate", [{"is_paused": True}, {"next_attempt_at": NOW + SECOND, "state": "open"}])
def test_address_that_is_held_back_is_left_alone(hints: Hints, gate: dict[str, Any]) -> None:
    Destination.objects.create(internet_address="dead.example", **gate)
    make_parcel("dead.example")
    make_parcel("alive.example")

    sweep(NOW)

    assert hints.take_destinations() == ["alive.example"]


@pytest.mark.parametrize("gate", [{}, {"next_attempt_at": NOW, "state": "open"}])
def test_address_that_may_be_attempted_is_hinted(hints: Hints, gate: dict[str, Any]) -> None:
    Destination.objects.create(internet_address="back.example", **gate)
    make_parcel("back.example")

    sweep(NOW)

    assert hints.take_destinations() == ["back.example"]


def test_lost_hints_come_again(hints: Hints) -> None:
    make_cargo()
    make_parcel()

    for _ in range(2):
        sweep(NOW)

        assert len(hints.take_cargoes()) == 1
        assert len(hints.take_parcels()) == 1


def test_long_queue_of_one_address_hides_no_other(hints: Hints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_destinations, "_PAGE_SIZE", 2)
    for address in ("a.example", "b.example", "b.example", "b.example", "b.example", "c.example", "d.example"):
        make_parcel(address)

    sweep(NOW)

    assert hints.take_destinations() == ["a.example", "b.example", "c.example", "d.example"]


def test_sweeps_take_turns_at_many_addresses(hints: Hints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_destinations, "_PAGE_SIZE", 2)
    monkeypatch.setattr(module, "MAX_DESTINATIONS", 4)
    for number in range(10):
        make_parcel(f"{number}.example")

    swept = []
    for _ in range(4):
        sweep(NOW)
        swept.append("".join(address[0] for address in hints.take_destinations()))

    assert swept == ["0123", "4567", "89", "0123"]


def test_waiting_parcels_of_a_dead_address_cost_few_queries(hints: Hints, django_assert_num_queries: Any) -> None:
    Destination.objects.create(internet_address="dead.example", is_paused=True)
    for _ in range(250):
        make_parcel("dead.example")
    make_parcel("later.example")

    with django_assert_num_queries(5):  # The cargo; a page for each address, and what holds it back.
        sweep(NOW)

    assert hints.take_destinations() == ["later.example"]


def test_database_that_fails_is_told(hints: Hints, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(module, "find_due_destinations", fail)

    with pytest.raises(RecordUnavailableError):
        sweep(NOW)


@pytest.mark.parametrize("make", [make_cargo, make_parcel])
def test_leases_of_the_dead_are_released(make: Any) -> None:
    end = NOW + timedelta(minutes=5)
    leased = make(next_attempt_at=end, leased_until=end, lease_id=uuid.uuid4())

    release_leases(NOW)

    leased.refresh_from_db()
    assert (leased.next_attempt_at, leased.leased_until, leased.lease_id) == (NOW, None, None)


@pytest.mark.parametrize("make", [make_cargo, make_parcel])
def test_backoff_outlives_a_restart(make: Any) -> None:
    later = NOW + timedelta(minutes=5)
    waiting = make(next_attempt_at=later)
    failed = make(next_attempt_at=later, leased_until=NOW - SECOND, lease_id=uuid.uuid4())

    release_leases(NOW)

    for row in (waiting, failed):
        row.refresh_from_db()
        assert row.next_attempt_at == later


def test_cargo_that_many_workers_died_of_keeps_its_delay() -> None:
    end = NOW + timedelta(minutes=5)
    leased = {"next_attempt_at": end, "leased_until": end, "lease_id": uuid.uuid4()}
    suspect = make_cargo(attempts=module.MAX_EAGER_ATTEMPTS + 1, **leased)
    innocent = make_cargo(attempts=module.MAX_EAGER_ATTEMPTS, **leased)

    release_leases(NOW)

    suspect.refresh_from_db()
    innocent.refresh_from_db()
    assert (suspect.next_attempt_at, innocent.next_attempt_at) == (end, NOW)


def test_queue_that_is_long_is_not_made_longer(hints: Hints) -> None:
    cargo, parcel = make_cargo(), make_parcel()

    hints.waiting = {"crc": module.MAX_HINTS_WAITING}
    sweep(NOW)
    assert (hints.take_cargoes(), hints.take_parcels()) == ([], [(parcel.pk, parcel.destination)])

    hints.waiting = {"pdc": module.MAX_HINTS_WAITING}
    sweep(NOW)
    assert (hints.take_cargoes(), hints.take_parcels()) == ([cargo.pk], [])
