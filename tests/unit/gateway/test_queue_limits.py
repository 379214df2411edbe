from types import SimpleNamespace

import pytest

from gateway.queue_limits import LimitedQoS, QueueLimits


def test_queue_has_room_up_to_its_limit() -> None:
    limits = QueueLimits({"crc": 2})
    limits.enter("a", "crc")
    assert limits.has_room("crc")
    limits.enter("b", "crc")
    assert not limits.has_room("crc")


def test_settling_makes_room_once() -> None:
    limits = QueueLimits({"crc": 1})
    limits.enter("a", "crc")
    limits.leave("a")
    limits.leave("a")
    assert limits.has_room("crc")
    limits.enter("b", "crc")
    assert not limits.has_room("crc")


def test_queue_without_a_limit_always_has_room() -> None:
    limits = QueueLimits({"crc": 1})
    for tag in "abc":
        limits.enter(tag, "pdc")
    assert limits.has_room("pdc")
    assert limits.has_room("crc")


def test_message_that_is_brought_again_takes_one_place() -> None:
    limits = QueueLimits({"crc": 2})
    limits.enter("a", "crc")
    limits.enter("a", "crc")
    assert limits.has_room("crc")
    limits.leave("a")
    limits.enter("b", "crc")
    assert limits.has_room("crc")


class FailingQoS:
    def ack(self, delivery_tag: str) -> None:
        raise ConnectionError

    def reject(self, delivery_tag: str, *, requeue: bool = False) -> None:
        raise ConnectionError


class QoS(LimitedQoS, FailingQoS):
    def __init__(self, limits: QueueLimits) -> None:
        self.channel = SimpleNamespace(limits=limits)


@pytest.mark.parametrize("method", ["ack", "reject"])
def test_broker_that_fails_leaves_no_place_taken(method: str) -> None:
    limits = QueueLimits({"crc": 1})
    limits.enter("a", "crc")

    with pytest.raises(ConnectionError):
        getattr(QoS(limits), method)("a")

    assert limits.has_room("crc")
