import asyncio
from contextlib import suppress

import grpc
import pytest

from awala.errors import MalformedMessageError
from cogrpc import acknowledgements as module
from cogrpc.acknowledgements import WINDOW, Acknowledgements
from cogrpc.calls import CourierStalledError
from tests.unit.cogrpc.contexts import FakeContext


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILENCE_SECONDS", "STALL_SECONDS", "LAST_SECONDS"):
        monkeypatch.setattr(module, name, 0.05)


def fill(acknowledgements: Acknowledgements, number: int = WINDOW) -> None:
    for index in range(number):
        acknowledgements.expect(f"{acknowledgements.received}-{index}")


async def has_place(acknowledgements: Acknowledgements) -> bool:
    """Whether there is one without waiting."""
    task = asyncio.create_task(acknowledgements.wait_for_place())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if task.done():
        await task
        return True
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return False


async def test_window_of_five() -> None:
    acknowledgements = Acknowledgements()
    fill(acknowledgements, WINDOW - 1)
    assert await has_place(acknowledgements)
    acknowledgements.expect("fifth")
    assert not await has_place(acknowledgements)

    acknowledgements.note("fifth")

    assert await has_place(acknowledgements)


async def test_silent_courier_is_waited_for_no_longer() -> None:
    acknowledgements = Acknowledgements()
    fill(acknowledgements)

    await acknowledgements.wait_for_place()


async def test_courier_that_acknowledged_is_waited_for() -> None:
    acknowledgements = Acknowledgements()
    acknowledgements.expect("one")
    acknowledgements.note("one")
    fill(acknowledgements)
    task = asyncio.create_task(acknowledgements.wait_for_place())
    await asyncio.sleep(0.02)
    assert not task.done()

    acknowledgements.note("1-0")

    await task
    assert acknowledgements.received == 2


async def test_first_acknowledgement_that_comes_late() -> None:
    acknowledgements = Acknowledgements()
    fill(acknowledgements, WINDOW + 1)
    task = asyncio.create_task(acknowledgements.wait_for_place())
    await asyncio.sleep(0.02)
    # Six are missing, so that one is not enough.
    acknowledgements.note("0-0")
    await asyncio.sleep(0.02)
    assert not task.done()

    acknowledgements.note("0-1")

    await task


async def test_courier_that_acknowledges_no_more_has_stalled() -> None:
    acknowledgements = Acknowledgements()
    acknowledgements.expect("one")
    acknowledgements.note("one")
    fill(acknowledgements)

    with pytest.raises(CourierStalledError) as caught:
        await acknowledgements.wait_for_place()

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_end_waits_for_a_courier_that_acknowledges() -> None:
    acknowledgements = Acknowledgements()
    fill(acknowledgements, 2)
    acknowledgements.note("0-0")
    task = asyncio.create_task(acknowledgements.wait_for_last())
    await asyncio.sleep(0.02)
    assert not task.done()

    acknowledgements.note("0-1")

    await task


@pytest.mark.parametrize("acknowledged", [0, 1])
async def test_end_does_not_wait_long(acknowledged: int) -> None:
    acknowledgements = Acknowledgements()
    fill(acknowledgements, 2)
    for index in range(acknowledged):
        acknowledgements.note(f"0-{index}")

    await acknowledgements.wait_for_last()


async def test_what_was_not_sent_is_not_counted() -> None:
    acknowledgements = Acknowledgements()
    acknowledgements.expect("one")

    for _ in range(3):
        acknowledgements.note("one")
    acknowledgements.note("two")

    assert acknowledgements.received == 1


@pytest.mark.parametrize("last", [grpc.aio.EOF, MalformedMessageError("why")])
async def test_courier_that_will_send_no_more(last: object) -> None:
    context, acknowledgements = FakeContext(), Acknowledgements()
    acknowledgements.expect("one")
    for message in ("one", last):
        context.incoming.put_nowait(message)

    await acknowledgements.read(context.as_context)

    assert acknowledgements.received == 1
    fill(acknowledgements)
    assert await has_place(acknowledgements)
    await acknowledgements.wait_for_last()
