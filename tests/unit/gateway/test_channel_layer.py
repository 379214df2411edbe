import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channels.exceptions import ChannelFull

from gateway.channel_layer import InProcessChannelLayer

HINT = {"type": "parcel.stored"}


@pytest.fixture
def layer() -> InProcessChannelLayer:
    return InProcessChannelLayer(capacity=5)


@pytest.fixture
def other_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def is_empty(layer: InProcessChannelLayer) -> bool:
    return not (layer._mailboxes or layer._groups)  # noqa: SLF001  # What leaks cannot be seen from outside.


async def receive(layer: InProcessChannelLayer, channel: str) -> dict[str, Any]:
    async with asyncio.timeout(2):
        return await layer.receive(channel)


async def test_message_waits_for_its_receiver(layer: InProcessChannelLayer) -> None:
    await layer.send("channel", HINT)

    assert await receive(layer, "channel") == HINT


async def test_receiver_waits_for_its_message(layer: InProcessChannelLayer) -> None:
    receiving = asyncio.create_task(receive(layer, "channel"))
    await asyncio.sleep(0)

    await layer.send("channel", HINT)

    assert await receiving == HINT


async def test_messages_keep_their_order(layer: InProcessChannelLayer) -> None:
    for number in range(5):
        await layer.send("channel", {"number": number})

    assert [(await receive(layer, "channel"))["number"] for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_sender_in_another_thread_wakes_the_loop_at_once(
    layer: InProcessChannelLayer, other_thread: ThreadPoolExecutor
) -> None:
    await layer.group_add("group", "channel")
    delays = []
    for _ in range(20):
        receiving = asyncio.create_task(receive(layer, "channel"))
        await asyncio.sleep(0.001)

        def send() -> float:
            started = time.perf_counter()
            layer.group_send_threadsafe("group", HINT)
            return started

        sending = other_thread.submit(send)
        await receiving
        delays.append(time.perf_counter() - sending.result())

    assert sorted(delays)[10] < 0.02


async def test_no_message_is_lost_among_many_threads() -> None:
    layer = InProcessChannelLayer(capacity=100_000)
    await layer.group_add("group", "channel")

    def send(sender: int) -> None:
        for number in range(500):
            layer.group_send_threadsafe("group", {"sender": sender, "number": number})

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    received = [await receive(layer, "channel") for _ in range(2000)]
    for thread in threads:
        thread.join()

    for sender in range(4):
        assert [hint["number"] for hint in received if hint["sender"] == sender] == list(range(500))


async def test_group_message_reaches_every_member(layer: InProcessChannelLayer) -> None:
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("group", channel)

    await layer.group_send("group", HINT)

    assert [await receive(layer, channel) for channel in channels] == [HINT] * 3


async def test_members_get_copies_of_their_own(layer: InProcessChannelLayer) -> None:
    await layer.group_add("group", "a")
    await layer.group_add("group", "b")
    await layer.group_send("group", HINT)

    (await receive(layer, "a"))["type"] = "changed"

    assert await receive(layer, "b") == HINT


async def test_member_that_left_gets_nothing(layer: InProcessChannelLayer) -> None:
    await layer.group_add("group", "channel")
    await layer.group_discard("group", "channel")

    await layer.group_send("group", HINT)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await layer.receive("channel")


async def test_leaving_a_group_never_joined_is_fine(layer: InProcessChannelLayer) -> None:
    await layer.group_discard("group", "channel")


async def test_full_channel_refuses_messages(layer: InProcessChannelLayer) -> None:
    for _ in range(5):
        await layer.send("channel", HINT)

    with pytest.raises(ChannelFull):
        await layer.send("channel", HINT)


async def test_full_member_does_not_hold_up_its_group(layer: InProcessChannelLayer) -> None:
    await layer.group_add("group", "full")
    await layer.group_add("group", "open")
    for _ in range(5):
        await layer.send("full", HINT)

    await layer.group_send("group", HINT)

    assert await receive(layer, "open") == HINT


async def test_member_that_ended_without_leaving_is_forgotten() -> None:
    layer = InProcessChannelLayer(capacity=1, expiry=0)
    await layer.group_add("group", "dead")

    await layer.group_send("group", HINT)
    await asyncio.sleep(0.01)
    await layer.group_send("group", HINT)

    assert is_empty(layer)


async def test_receiving_can_be_cancelled(layer: InProcessChannelLayer) -> None:
    await layer.group_add("group", "channel")
    receiving = asyncio.create_task(layer.receive("channel"))
    await asyncio.sleep(0)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving

    await layer.group_send("group", HINT)

    assert await receive(layer, "channel") == HINT


async def test_message_survives_a_receiver_cancelled_as_it_comes(layer: InProcessChannelLayer) -> None:
    receiving = asyncio.create_task(layer.receive("channel"))
    await asyncio.sleep(0)
    await layer.send("channel", HINT)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving

    assert await receive(layer, "channel") == HINT


async def test_each_message_goes_to_one_of_many_receivers(layer: InProcessChannelLayer) -> None:
    receiving = [asyncio.create_task(receive(layer, "channel")) for _ in range(3)]
    await asyncio.sleep(0)

    for number in range(3):
        await layer.send("channel", {"number": number})

    assert {(await task)["number"] for task in receiving} == {0, 1, 2}


def test_receivers_may_be_on_different_loops(layer: InProcessChannelLayer, other_thread: ThreadPoolExecutor) -> None:
    async def join_and_receive() -> dict[str, Any]:
        await layer.group_add("group", "elsewhere")
        return await receive(layer, "elsewhere")

    receiving = other_thread.submit(lambda: asyncio.run(join_and_receive()))
    while not receiving.done():
        layer.group_send_threadsafe("group", HINT)

    assert receiving.result() == HINT


def test_ended_loop_does_not_hold_up_senders(layer: InProcessChannelLayer) -> None:
    asyncio.run(layer.group_add("group", "channel"))
    loop = asyncio.new_event_loop()
    receiving = layer.receive("channel")
    asyncio.set_event_loop(loop)
    loop.call_soon(receiving.send, None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

    layer.group_send_threadsafe("group", HINT)

    assert asyncio.run(layer.receive("channel")) == HINT
    receiving.close()


async def test_idle_channels_leave_nothing_behind(layer: InProcessChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    await layer.group_send("group", HINT)
    await receive(layer, channel)
    await layer.group_discard("group", channel)

    assert is_empty(layer)


async def test_idle_channel_is_small(layer: InProcessChannelLayer) -> None:
    gc.collect()
    tracemalloc.start()
    for number in range(1000):
        await layer.group_add(f"group.{number}", await layer.new_channel())
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size / 1000 < 2_000


async def test_new_channels_differ(layer: InProcessChannelLayer) -> None:
    names = {await layer.new_channel() for _ in range(100)}

    assert len(names) == 100
    assert all(layer.require_valid_channel_name(name) for name in names)


async def test_flush_empties_the_layer(layer: InProcessChannelLayer) -> None:
    await layer.group_add("group", "channel")
    await layer.send("channel", HINT)

    await layer.flush()

    assert is_empty(layer)


@pytest.mark.parametrize("name", ["", "sp ace", "a" * 100, "slash/"])
async def test_invalid_names_are_refused(name: str, layer: InProcessChannelLayer) -> None:
    with pytest.raises(TypeError):
        await layer.send(name, HINT)
    with pytest.raises(TypeError):
        await layer.receive(name)
    with pytest.raises(TypeError):
        await layer.group_add(name, "channel")
    with pytest.raises(TypeError):
        await layer.group_discard(name, "channel")
    with pytest.raises(TypeError):
        await layer.group_send(name, HINT)
