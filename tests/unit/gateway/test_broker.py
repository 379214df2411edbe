import threading
import time
from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.message import Message

from gateway import broker as broker_module
from gateway.broker import MERGE_HEADER, InProcessBroker, broker
from gateway.celery import app

QUEUES = ("first", "second")
LIMIT = 2

assert app.conf.broker_url.startswith("inprocess://")  # And the import has made this transport known.


def make_message(tag: str, about: str | None = None) -> dict[str, Any]:
    return {"headers": {MERGE_HEADER: about} if about else {}, "properties": {"delivery_tag": tag}}


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection("inprocess://here", transport_options={"queue_limits": {"first": LIMIT}}) as made:
        yield made
    for queue in QUEUES:
        broker.purge(queue)


@pytest.fixture
def received(connection: Connection) -> Iterator[list[Message]]:
    """What a consumer of both queues was given, none of it acknowledged."""
    messages: list[Message] = []
    queues = [Queue(name, Exchange(name), routing_key=name) for name in QUEUES]
    with Consumer(connection, queues, on_message=messages.append, accept=["json"]):
        yield messages


def publish(connection: Connection, queue: str, body: Any = None, **headers: str) -> None:
    Producer(connection).publish(body, exchange="", routing_key=queue, headers=headers)


def drain(connection: Connection) -> None:
    while True:
        try:
            connection.drain_events(timeout=0.01)
        except TimeoutError:
            return


def test_message_that_waited_longest_comes_first() -> None:
    queues = InProcessBroker()
    for tag in "abc":
        queues.put("crc", make_message(tag))

    assert [queues.take("crc")["properties"]["delivery_tag"] for _ in "abc"] == ["a", "b", "c"]


def test_empty_queue_is_told() -> None:
    with pytest.raises(Empty):
        InProcessBroker().take("crc")


def test_later_message_about_the_same_takes_the_place_of_one_that_waits() -> None:
    queues = InProcessBroker()
    for tag, about in (("a", "x"), ("b", "y"), ("c", "x")):
        queues.put("pdc", make_message(tag, about))

    assert [queues.take("pdc")["properties"]["delivery_tag"] for _ in "xy"] == ["c", "b"]
    assert queues.size("pdc") == 0


def test_full_queue_drops_what_comes_and_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "MAX_WAITING", 2)
    queues = InProcessBroker()
    for tag in "abc":
        queues.put("crc", make_message(tag))
    queues.put("pdc", make_message("d"))

    assert (queues.size("crc"), queues.size("pdc")) == (2, 1)
    assert queues.purge("crc") == 2
    assert queues.size("crc") == 0


def test_wait_ends_when_its_time_is_up() -> None:
    queues = InProcessBroker()

    assert not queues.wait(queues.changes, 0.01)


def test_change_since_the_last_look_is_not_waited_for() -> None:
    queues = InProcessBroker()
    changes = queues.changes
    queues.put("crc", make_message("a"))

    assert queues.wait(changes, 0)


def test_message_published_is_received(connection: Connection, received: list[Message]) -> None:
    publish(connection, "first", {"number": 7})
    drain(connection)

    assert [message.payload for message in received] == [{"number": 7}]
    assert received[0].delivery_info["routing_key"] == "first"


def test_another_thread_that_publishes_wakes_the_consumer(connection: Connection, received: list[Message]) -> None:
    published_at = 0.0

    def publish_later() -> None:
        nonlocal published_at
        time.sleep(0.1)
        with Connection("inprocess://here") as other:
            published_at = time.monotonic()
            publish(other, "second")

    thread = threading.Thread(target=publish_later)
    thread.start()
    connection.drain_events(timeout=10)
    received_at = time.monotonic()
    thread.join()

    assert len(received) == 1
    # Polling would take a second.
    assert received_at - published_at < 0.25


def test_consumer_can_be_woken_for_nothing(connection: Connection, received: list[Message]) -> None:
    timer = threading.Timer(0.1, broker.wake)
    timer.start()
    started_at = time.monotonic()

    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=10)

    assert time.monotonic() - started_at < 5
    assert received == []
    timer.join()


def test_queue_at_its_limit_waits_and_the_others_go_on(connection: Connection, received: list[Message]) -> None:
    for _ in range(3):
        publish(connection, "first")
        publish(connection, "second")
    drain(connection)

    taken = [message.delivery_info["routing_key"] for message in received]
    assert (taken.count("first"), taken.count("second")) == (LIMIT, 3)


@pytest.mark.parametrize("settle", ["ack", "reject"])
def test_settling_in_another_thread_makes_room_at_once(
    connection: Connection, received: list[Message], settle: str
) -> None:
    for _ in range(3):
        publish(connection, "first")
    drain(connection)
    timer = threading.Timer(0.1, getattr(received[0], settle))
    timer.start()
    started_at = time.monotonic()

    connection.drain_events(timeout=10)

    assert time.monotonic() - started_at < 5
    assert len(received) == 3
    timer.join()


def test_message_put_back_comes_again(connection: Connection, received: list[Message]) -> None:
    publish(connection, "first", {"number": 7})
    drain(connection)
    received[0].requeue()
    drain(connection)

    assert [message.payload for message in received] == [{"number": 7}] * 2


def test_what_was_not_acknowledged_returns_when_the_consumer_goes(
    connection: Connection, received: list[Message]
) -> None:
    publish(connection, "first")
    drain(connection)
    assert broker.size("first") == 0

    connection.close()

    assert broker.size("first") == 1
