import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from gateway.broker import broker
from gateway.celery import EXPIRY_SECONDS, SWEEP_SECONDS, app
from gateway.scheduler import Scheduler


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    broker.purge("maintenance")
    yield
    broker.purge("maintenance")


def tick_until_it_waits(scheduler: Scheduler) -> float:
    while (delay := scheduler.tick()) == 0:
        pass
    return delay


def test_all_is_due_at_the_start_and_then_by_the_clock() -> None:
    delay = tick_until_it_waits(Scheduler(app))

    assert 0 < delay <= SWEEP_SECONDS
    sent = [broker.take("maintenance")["headers"]["task"] for _ in range(broker.size("maintenance"))]
    assert sorted(sent) == ["tasks.maintenance.maintain", "tasks.maintenance.sweep"]


def test_what_nobody_takes_in_time_is_worth_nothing() -> None:
    tick_until_it_waits(Scheduler(app))
    now = datetime.now(UTC)

    while broker.size("maintenance"):
        headers = broker.take("maintenance")["headers"]
        expires_at = datetime.fromisoformat(headers["expires"])
        assert now < expires_at <= now + timedelta(seconds=EXPIRY_SECONDS)


def test_two_schedules_leave_one_message_of_each_kind() -> None:
    for _ in range(2):
        tick_until_it_waits(Scheduler(app))

    assert broker.size("maintenance") == 2


def test_tasks_take_no_arguments() -> None:
    tick_until_it_waits(Scheduler(app))

    assert json.loads(broker.take("maintenance")["body"])[:2] == [[], {}]


def test_clock_that_was_set_back_holds_nothing_up() -> None:
    scheduler = Scheduler(app)
    tick_until_it_waits(scheduler)
    while broker.size("maintenance"):
        broker.take("maintenance")
    for entry in scheduler.schedule.values():
        entry.last_run_at = datetime.now(UTC) + timedelta(hours=1)

    assert all(scheduler.is_due(entry).is_due for entry in scheduler.schedule.values())
