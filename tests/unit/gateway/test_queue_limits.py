from gateway.queue_limits import QueueLimits


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
