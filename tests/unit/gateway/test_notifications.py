import asyncio
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from channels.layers import channel_layers, get_channel_layer
from structlog.typing import EventDict

from gateway import notifications
from gateway.channel_layer import InProcessChannelLayer
from gateway.notifications import PARCEL_STORED, HintSender, collection_group, notify_peer
from tests.unit.gateway.factories import make_node_id


class SlowLayer:
    """A layer that, like the one over Redis, can only be used from an event loop."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.attempted = threading.Semaphore(0)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.loops.add(asyncio.get_running_loop())
        await asyncio.to_thread(self.gate.wait)
        self.attempted.release()
        if self.failure:
            raise self.failure
        self.sent.append((group, message["type"]))


@pytest.fixture
def slow_layer(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowLayer]:
    monkeypatch.setattr(notifications, "hint_sender", HintSender())
    layer = SlowLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    yield layer
    layer.gate.set()


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def wait_until(condition: Any) -> None:
    limit = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_process_has_one_layer_from_the_start() -> None:
    assert isinstance(channel_layers.backends["default"], InProcessChannelLayer)


async def test_collectors_of_the_peer_are_woken() -> None:
    layer, peer_id = get_channel_layer(), make_node_id()
    assert layer is not None
    channel = await layer.new_channel()
    await layer.group_add(collection_group(peer_id), channel)

    await asyncio.to_thread(notify_peer, peer_id)

    async with asyncio.timeout(2):
        assert await layer.receive(channel) == PARCEL_STORED
    await layer.group_discard(collection_group(peer_id), channel)


def test_peer_without_collectors_is_fine() -> None:
    notify_peer(make_node_id())


def test_bad_peer_id_is_logged_only(log: list[EventDict]) -> None:
    notify_peer("not a node id")

    assert [line["event"] for line in log] == ["hint_not_sent"]


def test_other_layers_are_used_from_one_loop(slow_layer: SlowLayer) -> None:
    peer_ids = [make_node_id() for _ in range(10)]

    for peer_id in peer_ids:
        notify_peer(peer_id)

    wait_until(lambda: len(slow_layer.sent) == 10)
    assert slow_layer.sent == [(f"collection.{peer_id}", "parcel.stored") for peer_id in peer_ids]
    assert len(slow_layer.loops) == 1


def test_hints_that_wait_are_merged(slow_layer: SlowLayer) -> None:
    first, second = make_node_id(), make_node_id()
    slow_layer.gate.clear()
    notify_peer(first)
    wait_until(lambda: slow_layer.loops)

    for _ in range(50):
        notify_peer(second)
        notify_peer(first)
    slow_layer.gate.set()

    # The hint for the first peer was on its way, so another had to follow it.
    wait_until(lambda: len(slow_layer.sent) == 3)
    assert [group for group, _ in slow_layer.sent] == [collection_group(peer) for peer in (first, second, first)]


def test_outage_is_logged_once_and_survived(slow_layer: SlowLayer, log: list[EventDict]) -> None:
    slow_layer.failure = ConnectionError("refused")
    for _ in range(3):
        notify_peer(make_node_id())
        slow_layer.attempted.acquire(timeout=5)

    slow_layer.failure = None
    notify_peer(make_node_id())

    wait_until(lambda: slow_layer.sent)
    wait_until(lambda: len(log) == 2)
    assert [line["event"] for line in log] == ["hints_failing", "hints_recovered"]


def test_broker_that_hangs_does_not_stop_later_hints(
    slow_layer: SlowLayer, log: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_SEND_SECONDS", 0.01)
    slow_layer.gate.clear()
    notify_peer(make_node_id())
    wait_until(lambda: log)
    slow_layer.gate.set()

    notify_peer(make_node_id())

    wait_until(lambda: slow_layer.sent)


def test_forked_process_sends_its_own_hints(slow_layer: SlowLayer) -> None:
    notify_peer(make_node_id())
    wait_until(lambda: slow_layer.sent)

    child = os.fork()
    if child == 0:
        notify_peer(make_node_id())
        time.sleep(1)
        os._exit(len(slow_layer.sent))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
