from collections.abc import Callable

import pytest

from gateway.models import Destination, Event
from gateway.services.steer_destination import pause_destination, resume_destination
from tests.unit.gateway.factories import make_destination

pytestmark = pytest.mark.django_db

Steer = Callable[[Destination, str], bool]
STEERING = pytest.mark.parametrize(
    ("steer", "is_paused", "kind"),
    [
        (pause_destination, True, Event.Kind.DESTINATION_PAUSED),
        (resume_destination, False, Event.Kind.DESTINATION_RESUMED),
    ],
)


@STEERING
def test_destination_is_steered(steer: Steer, is_paused: bool, kind: Event.Kind) -> None:  # noqa: FBT001
    destination = make_destination(is_paused=not is_paused)

    assert steer(destination, "alice")

    assert destination.is_paused == Destination.objects.get().is_paused == is_paused


@STEERING
def test_steering_is_on_record(steer: Steer, is_paused: bool, kind: Event.Kind) -> None:  # noqa: FBT001
    destination = make_destination(is_paused=not is_paused)

    steer(destination, "alice")

    event = Event.objects.get()
    assert (event.kind, event.subject_id) == (kind, destination.pk)
    assert event.detail == f"by alice: {destination.internet_address}"


@STEERING
def test_destination_that_is_so_already_stays_so(steer: Steer, is_paused: bool, kind: Event.Kind) -> None:  # noqa: FBT001
    destination = make_destination(is_paused=is_paused)

    assert not steer(destination, "alice")

    assert not Event.objects.exists()


def test_circuit_is_left_alone() -> None:
    destination = make_destination(state=Destination.State.OPEN, consecutive_failures=7)

    pause_destination(destination, "alice")

    destination.refresh_from_db()
    assert (destination.state, destination.consecutive_failures) == (Destination.State.OPEN, 7)


def test_longest_addresses_fit_on_record() -> None:
    pause_destination(make_destination(internet_address="a" * 1_024), "alice")

    assert Event.objects.get().detail.startswith("by alice: aaa")
