from datetime import UTC, datetime, timedelta

import pytest

from gateway.models import Destination, Event
from gateway.services.watch_destination import (
    SHORTEST_WAIT,
    Turn,
    give_turn_back,
    note_failure,
    note_success,
    take_turn,
)

pytestmark = pytest.mark.django_db(transaction=True)

State = Destination.State

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "pong.example.com"


def take(now: datetime = NOW) -> Turn:
    turn = take_turn(ADDRESS, now, probe_seconds=60)
    assert turn is not None
    return turn


def fail(times: int, now: datetime = NOW) -> datetime:
    for _ in range(times):
        now = note_failure(take(now), "no answer", now)
    return now


def test_destination_that_is_new_is_put_on_record() -> None:
    assert not take().is_probe
    assert not take().is_probe

    assert Destination.objects.get().internet_address == ADDRESS


def test_destination_that_fails_is_tried_again_after_the_interval() -> None:
    again_at = fail(1)

    assert take_turn(ADDRESS, again_at - timedelta(milliseconds=1), probe_seconds=60) is None
    assert take(again_at).is_probe


def test_several_turns_that_fail_together_count_as_one_failure() -> None:
    turns = [take(), take(), take()]

    for turn in turns:
        note_failure(turn, "no answer", NOW)

    assert Destination.objects.get().consecutive_failures == 1


def test_circuit_opens_after_five_failures_in_a_row() -> None:
    again_at = fail(4)
    assert Destination.objects.get().state == State.CLOSED

    fail(1, again_at)

    destination = Destination.objects.get()
    assert (destination.state, destination.failing_since) == (State.OPEN, NOW)
    event = Event.objects.get()
    assert (event.kind, event.subject_id) == (Event.Kind.CIRCUIT_OPENED, destination.pk)
    assert event.detail == f"{ADDRESS}: no answer"


def test_one_probe_half_opens_an_open_circuit() -> None:
    again_at = fail(5)

    assert take(again_at).is_probe
    assert Destination.objects.get().state == State.HALF_OPEN
    assert take_turn(ADDRESS, again_at, probe_seconds=60) is None


def test_probe_of_a_worker_that_died_is_made_again() -> None:
    again_at = fail(5)
    take(again_at)

    assert take(again_at + timedelta(seconds=60)).is_probe


def test_probe_that_fails_opens_the_circuit_again_without_another_event() -> None:
    fail(7)

    assert Destination.objects.get().state == State.OPEN
    assert Event.objects.count() == 1


def test_probe_that_succeeds_closes_the_circuit() -> None:
    again_at = fail(5)

    note_success(take(again_at), again_at)

    destination = Destination.objects.get()
    assert (destination.state, destination.consecutive_failures) == (State.CLOSED, 0)
    assert (destination.failing_since, destination.next_attempt_at) == (None, None)
    assert destination.last_success_at == again_at
    assert [event.kind for event in Event.objects.order_by("at")] == ["circuit_opened", "circuit_closed"]
    assert not take(again_at).is_probe


def test_success_after_few_failures_is_no_event() -> None:
    again_at = fail(2)

    note_success(take(again_at), again_at)

    assert not Event.objects.exists()
    assert not Destination.objects.get().consecutive_failures


def test_late_success_does_not_hide_a_failure_that_another_turn_noted() -> None:
    again_at = fail(1)
    early = take(again_at)
    later = take(again_at + timedelta(seconds=60))
    note_failure(later, "no answer", again_at + timedelta(seconds=61))

    note_success(early, again_at + timedelta(seconds=62))

    assert Destination.objects.get().consecutive_failures == 2


def test_successes_are_noted_now_and_then() -> None:
    note_success(take(), NOW)
    note_success(take(), NOW + timedelta(seconds=9))
    assert Destination.objects.get().last_success_at == NOW

    note_success(take(), NOW + timedelta(seconds=10))
    assert Destination.objects.get().last_success_at == NOW + timedelta(seconds=10)


def test_paused_destination_gives_no_turn() -> None:
    Destination.objects.create(internet_address=ADDRESS, is_paused=True)

    assert take_turn(ADDRESS, NOW, probe_seconds=60) is None


def test_destination_may_ask_for_a_longer_wait_but_not_for_more_than_an_hour() -> None:
    assert note_failure(take(), "busy", NOW, retry_after_seconds=100) == NOW + timedelta(seconds=100)
    again_at = NOW + timedelta(hours=2)
    assert note_failure(take(again_at), "busy", again_at, retry_after_seconds=10**6) == again_at + timedelta(hours=1)


def test_probe_that_is_given_back_may_be_made_at_once() -> None:
    again_at = fail(1)

    give_turn_back(take(again_at), again_at)

    assert take(again_at).is_probe
    assert Destination.objects.get().consecutive_failures == 1


def test_turn_that_is_no_probe_needs_no_giving_back() -> None:
    give_turn_back(take(), NOW)

    assert Destination.objects.get().next_attempt_at is None


def test_attempt_that_hung_has_waited_already() -> None:
    began_at = NOW - timedelta(seconds=3)
    again_at = note_failure(take(), "no answer", NOW, began_at=began_at)
    assert NOW + timedelta(seconds=1) <= again_at <= began_at + timedelta(seconds=5)

    later = NOW + timedelta(minutes=1)
    assert (
        note_failure(take(later), "no answer", later, began_at=later - timedelta(seconds=30)) == later + SHORTEST_WAIT
    )


def test_log_shows_no_more_of_the_reason_than_the_row(caplog: pytest.LogCaptureFixture) -> None:
    note_failure(take(), "x" * 240_000, NOW)

    assert len(Destination.objects.get().last_error) == 255
    assert len(caplog.text) < 2_000
