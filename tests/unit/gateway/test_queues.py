import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import REGISTRY

from gateway import publisher, queues
from gateway.broker import broker
from gateway.queues import HintSender, hint_cargo, hint_outgoing_parcel

PDC = "tasks.pdc.deliver_parcel"
DESTINATION = "pong.example.com"


class SlowPublisher:
    """A broker that can be held up, and that can fail."""

    gate: threading.Event
    sent: list[tuple[str, str, str]]
    attempts: int
    works: bool

    @classmethod
    def reset(cls) -> None:
        cls.gate, cls.sent, cls.attempts, cls.works = threading.Event(), [], 0, True
        cls.gate.set()

    def send(self, task: str, argument: str, *, about: str) -> bool:
        type(self).attempts += 1
        self.gate.wait()
        if self.works:
            self.sent.append((task, argument, about))
        return self.works


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[SlowPublisher]]:
    SlowPublisher.reset()
    monkeypatch.setattr(publisher, "Publisher", SlowPublisher)
    monkeypatch.setattr(queues, "hint_sender", HintSender())
    yield SlowPublisher
    SlowPublisher.gate.set()


@pytest.fixture
def _empty_queues() -> Iterator[None]:
    for queue in ("crc", "pdc"):
        broker.purge(queue)
    yield
    for queue in ("crc", "pdc"):
        broker.purge(queue)


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.001)


def dropped() -> float:
    return REGISTRY.get_sample_value("gateway_hints_total", {"task": PDC, "outcome": "dropped"}) or 0.0


def hold_up(slow: type[SlowPublisher]) -> None:
    """Let the sender hang at a first hint, so that later ones wait."""
    slow.gate.clear()
    hint_outgoing_parcel(uuid.uuid4(), "first.example.com")
    wait_until(lambda: slow.attempts == 1)


@pytest.mark.usefixtures("_empty_queues")
def test_cargo_reaches_its_queue() -> None:
    cargo_id = uuid.uuid4()
    hint_cargo(cargo_id)

    wait_until(lambda: broker.size("crc"))
    message = broker.take("crc")
    assert message["headers"]["task"] == "tasks.crc.unwrap_cargo"
    assert json.loads(message["body"])[0] == [str(cargo_id)]


@pytest.mark.usefixtures("_empty_queues")
def test_parcel_reaches_its_queue() -> None:
    parcel_id = uuid.uuid4()
    hint_outgoing_parcel(parcel_id, DESTINATION)

    wait_until(lambda: broker.size("pdc"))
    message = broker.take("pdc")
    assert message["headers"]["task"] == PDC
    assert json.loads(message["body"])[0] == [str(parcel_id)]


def test_broker_that_hangs_delays_nobody(slow: type[SlowPublisher]) -> None:
    hold_up(slow)
    started_at = time.monotonic()
    for _ in range(100):
        hint_cargo(uuid.uuid4())

    assert time.monotonic() - started_at < 1
    slow.gate.set()
    wait_until(lambda: len(slow.sent) == 101)


def test_one_hint_per_destination_waits_and_names_the_last_parcel(slow: type[SlowPublisher]) -> None:
    hold_up(slow)
    parcel_ids = [uuid.uuid4() for _ in range(50)]
    for parcel_id in parcel_ids:
        hint_outgoing_parcel(parcel_id, DESTINATION)
        hint_outgoing_parcel(uuid.uuid4(), "other.example.com")
    slow.gate.set()

    wait_until(lambda: len(slow.sent) == 3)
    assert slow.sent[1] == (PDC, str(parcel_ids[-1]), f"destination {DESTINATION}")
    assert slow.attempts == 3


def test_one_hint_per_cargo_waits(slow: type[SlowPublisher]) -> None:
    hold_up(slow)
    cargo_id = uuid.uuid4()
    for _ in range(3):
        hint_cargo(cargo_id)
    slow.gate.set()

    wait_until(lambda: len(slow.sent) == 2)
    assert slow.attempts == 2


def test_parcel_stored_while_a_hint_is_sent_has_one_of_its_own(slow: type[SlowPublisher]) -> None:
    hold_up(slow)
    hint_outgoing_parcel(uuid.uuid4(), "first.example.com")
    slow.gate.set()

    wait_until(lambda: len(slow.sent) == 2)


def test_failure_drops_what_waits(slow: type[SlowPublisher]) -> None:
    """Rather than try the broker once more for each."""
    before = dropped()
    hold_up(slow)
    for number in range(5):
        hint_outgoing_parcel(uuid.uuid4(), f"{number}.example.com")
    slow.works = False
    slow.gate.set()
    wait_until(lambda: dropped() == before + 5)

    slow.works = True
    hint_cargo(uuid.uuid4())
    wait_until(lambda: slow.sent)
    assert slow.attempts == 2


def test_number_of_hints_that_wait_is_limited(slow: type[SlowPublisher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_WAITING", 3)
    before = dropped()
    hold_up(slow)
    for number in range(5):
        hint_outgoing_parcel(uuid.uuid4(), f"{number}.example.com")
    slow.gate.set()

    wait_until(lambda: len(slow.sent) == 4)
    assert dropped() == before + 2


def test_forked_process_sends_its_own_hints(slow: type[SlowPublisher]) -> None:
    hint_cargo(uuid.uuid4())
    wait_until(lambda: slow.sent)

    child = os.fork()
    if child == 0:
        hint_cargo(uuid.uuid4())
        time.sleep(1)
        os._exit(len(slow.sent))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
