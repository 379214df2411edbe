import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.models import Event, OutgoingParcel
from gateway.services import steer_parcel
from gateway.services.steer_parcel import hold_parcel, release_parcel
from tests.unit.gateway.factories import make_outgoing_parcel

pytestmark = pytest.mark.django_db

State = OutgoingParcel.State
NOW = timezone.now()
OTHERS = [State.DELIVERED, State.REJECTED, State.EXPIRED, State.DISCARDED]


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[uuid.UUID, str]]:
    hints: list[tuple[uuid.UUID, str]] = []
    monkeypatch.setattr(
        steer_parcel, "hint_outgoing_parcel", lambda parcel_id, destination: hints.append((parcel_id, destination))
    )
    return hints


def test_waiting_parcel_is_held() -> None:
    parcel = make_outgoing_parcel()

    assert hold_parcel(parcel, "alice", NOW)

    parcel.refresh_from_db()
    assert (parcel.state, parcel.settled_at) == (State.HELD, None)


def test_holding_is_on_record() -> None:
    parcel = make_outgoing_parcel()

    hold_parcel(parcel, "alice", NOW)

    event = Event.objects.get()
    assert (event.kind, event.subject_id, event.peer_id) == (Event.Kind.PARCEL_HELD, parcel.pk, parcel.peer_id)
    assert event.detail == "by alice"


@pytest.mark.parametrize("state", [State.HELD, *OTHERS])
def test_parcel_that_does_not_wait_is_not_held(state: str) -> None:
    parcel = make_outgoing_parcel(state=state)

    assert not hold_parcel(parcel, "alice", NOW)

    assert OutgoingParcel.objects.get().state == state
    assert not Event.objects.exists()


def test_parcel_that_is_being_delivered_is_not_held() -> None:
    parcel = make_outgoing_parcel(lease_id=uuid.uuid4(), leased_until=NOW + timedelta(seconds=1))

    assert not hold_parcel(parcel, "alice", NOW)

    assert OutgoingParcel.objects.get().state == State.PENDING


def test_parcel_whose_lease_has_run_out_is_held() -> None:
    parcel = make_outgoing_parcel(lease_id=uuid.uuid4(), leased_until=NOW)

    assert hold_parcel(parcel, "alice", NOW)


def test_parcel_that_was_delivered_meanwhile_is_not_held() -> None:
    parcel = make_outgoing_parcel()
    OutgoingParcel.objects.update(state=State.DELIVERED)

    assert not hold_parcel(parcel, "alice", NOW)

    assert not Event.objects.exists()


def test_held_parcel_is_due_when_released(hints: list[tuple[uuid.UUID, str]]) -> None:
    parcel = make_outgoing_parcel(
        state=State.HELD,
        next_attempt_at=NOW + timedelta(hours=1),
        lease_id=uuid.uuid4(),
        leased_until=NOW + timedelta(hours=1),
        attempts=3,
    )

    assert release_parcel(parcel, "alice", NOW)

    parcel.refresh_from_db()
    assert (parcel.state, parcel.next_attempt_at, parcel.attempts) == (State.PENDING, NOW, 3)
    assert (parcel.lease_id, parcel.leased_until) == (None, None)
    assert hints == [(parcel.pk, parcel.destination)]


def test_release_is_on_record() -> None:
    parcel = make_outgoing_parcel(state=State.HELD)

    release_parcel(parcel, "alice", NOW)

    event = Event.objects.get()
    assert (event.kind, event.subject_id, event.detail) == (Event.Kind.PARCEL_RELEASED, parcel.pk, "by alice")


@pytest.mark.parametrize("state", [State.PENDING, *OTHERS])
def test_parcel_that_is_not_held_is_not_released(state: str, hints: list[tuple[uuid.UUID, str]]) -> None:
    parcel = make_outgoing_parcel(state=state)

    assert not release_parcel(parcel, "alice", NOW)

    assert OutgoingParcel.objects.get().state == state
    assert hints == []


def test_parcel_that_expired_meanwhile_is_not_released(hints: list[tuple[uuid.UUID, str]]) -> None:
    parcel = make_outgoing_parcel(state=State.HELD)
    OutgoingParcel.objects.update(state=State.EXPIRED)

    assert not release_parcel(parcel, "alice", NOW)

    assert hints == []
    assert not Event.objects.exists()


def test_long_names_fit_on_record() -> None:
    hold_parcel(make_outgoing_parcel(), "a" * 300, NOW)

    assert len(Event.objects.get().detail) == 255
