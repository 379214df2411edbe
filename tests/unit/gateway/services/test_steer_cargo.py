import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.models import Event, IncomingCargo
from gateway.services import steer_cargo
from gateway.services.steer_cargo import unwrap_again
from tests.unit.gateway.factories import make_incoming_cargo

pytestmark = pytest.mark.django_db

State = IncomingCargo.State
NOW = timezone.now()


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    hints: list[uuid.UUID] = []
    monkeypatch.setattr(steer_cargo, "hint_cargo", hints.append)
    return hints


def test_invalid_cargo_is_due_again(hints: list[uuid.UUID]) -> None:
    cargo = make_incoming_cargo(
        state=State.INVALID,
        attempts=5,
        next_attempt_at=NOW + timedelta(hours=1),
        lease_id=uuid.uuid4(),
        leased_until=NOW + timedelta(hours=1),
        settled_at=NOW,
    )

    assert unwrap_again(cargo, "alice", NOW)

    cargo.refresh_from_db()
    assert (cargo.state, cargo.next_attempt_at, cargo.attempts) == (State.PENDING, NOW, 0)
    assert (cargo.lease_id, cargo.leased_until, cargo.settled_at) == (None, None, None)
    assert hints == [cargo.pk]
    event = Event.objects.get()
    assert (event.kind, event.subject_id, event.peer_id) == ("cargo_released", cargo.pk, cargo.peer_id)
    assert event.detail == "by alice"


def test_what_was_done_and_what_was_wrong_stay_on_record() -> None:
    cargo = make_incoming_cargo(state=State.INVALID, last_error="no such key", items_done=3, parcels=2)

    unwrap_again(cargo, "alice", NOW)

    cargo.refresh_from_db()
    assert (cargo.last_error, cargo.items_done, cargo.parcels) == ("no such key", 3, 2)


@pytest.mark.parametrize("state", [State.PENDING, State.UNWRAPPED, State.EXPIRED])
def test_other_cargo_is_left_alone(state: str, hints: list[uuid.UUID]) -> None:
    cargo = make_incoming_cargo(state=state, attempts=1)

    assert not unwrap_again(cargo, "alice", NOW)

    cargo.refresh_from_db()
    assert (cargo.state, cargo.attempts) == (state, 1)
    assert hints == []
    assert not Event.objects.exists()


def test_cargo_that_expired_meanwhile_is_left_alone(hints: list[uuid.UUID]) -> None:
    cargo = make_incoming_cargo(state=State.INVALID)
    IncomingCargo.objects.update(state=State.EXPIRED)

    assert not unwrap_again(cargo, "alice", NOW)

    assert hints == []
    assert not Event.objects.exists()


def test_cargo_can_be_followed_in_the_log_by_its_row(caplog: pytest.LogCaptureFixture) -> None:
    cargo = make_incoming_cargo(state=State.INVALID)

    unwrap_again(cargo, "alice", NOW)

    assert f"'cargo_row_id': '{cargo.pk}'" in caplog.text
