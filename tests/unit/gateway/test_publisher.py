from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.typing import EventDict

from gateway.broker import broker
from gateway.celery import app
from gateway.publisher import Publisher, count_waiting

TASK = "tasks.crc.unwrap_cargo"


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    broker.purge("crc")
    yield
    broker.purge("crc")


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("gateway_hints_total", {"task": TASK, "outcome": outcome}) or 0.0


def test_hint_is_a_small_message_with_its_task() -> None:
    before = count("sent")
    assert Publisher().send(TASK, "an id", about="cargo an id", expires=10)

    message = broker.take("crc")
    assert message["headers"]["task"] == TASK
    assert message["headers"]["expires"]
    assert '["an id"]' in message["body"]
    assert count("sent") == before + 1


def test_hints_about_the_same_wait_as_one() -> None:
    publisher = Publisher()
    for _ in range(3):
        publisher.send(TASK, "an id", about="cargo an id")
    publisher.send(TASK, "another", about="cargo another")

    assert broker.size("crc") == 2


def test_outage_is_logged_once_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch, log: list[EventDict]) -> None:
    publisher, before = Publisher(), count("dropped")
    connect = app.connection_for_write

    def refuse(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(app, "connection_for_write", refuse)
    assert [publisher.send(TASK, "an id", about="x") for _ in range(3)] == [False] * 3
    monkeypatch.setattr(app, "connection_for_write", connect)
    assert publisher.send(TASK, "an id", about="x")

    assert [line["event"] for line in log] == ["hints_failing", "hints_recovered"]
    assert count("dropped") == before + 3


def test_connection_that_broke_is_replaced(monkeypatch: pytest.MonkeyPatch, log: list[EventDict]) -> None:
    publisher = Publisher()
    publisher.send(TASK, "an id", about="x")
    send = app.send_task

    def break_off(*_: Any, **__: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(app, "send_task", break_off)
    assert not publisher.send(TASK, "an id", about="x")
    monkeypatch.setattr(app, "send_task", send)

    assert publisher.send(TASK, "an id", about="x")


def test_setting_that_nobody_foresaw_raises_nothing(monkeypatch: pytest.MonkeyPatch, log: list[EventDict]) -> None:
    assert not Publisher().send("tasks.unknown", object(), about="x")  # type: ignore[arg-type]


def test_waiting_messages_are_counted() -> None:
    assert count_waiting("crc") == 0

    Publisher().send(TASK, "1", about="one")
    Publisher().send(TASK, "2", about="another")

    assert count_waiting("crc") == 2


def test_broker_that_is_down_counts_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(app, "connection_for_write", fail)

    assert count_waiting("crc") == 0
