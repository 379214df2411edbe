import asyncio
import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from awala.errors import UntimelyMessageError
from cogrpc import delivery as module
from cogrpc.calls import CourierStalledError, RefusedCallError, Threads, TooManyCallsError
from cogrpc.delivery import HOLD_SECONDS, MAX_IN_WORK, READS_AT_ONCE, Deliveries
from cogrpc.messages import Delivery
from gateway.errors import StorageUnavailableError
from gateway.models import Event
from gateway.servers.limits import LARGE_BODIES_AT_ONCE, LARGE_BODY
from tests.unit.cogrpc.contexts import FakeContext

pytestmark = pytest.mark.django_db(transaction=True)

LARGE = bytes(LARGE_BODY + 1)


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(32)
    yield threads
    threads.close()


class Intake:
    """Stands for the service: cargo waits in it until the test lets it out."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.failure: Exception | None = None
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def __call__(self, _cargo: bytes, _now: object) -> None:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.may_go_on.wait(5)
        with self._lock:
            self._at_once -= 1
        if self.failure:
            raise self.failure


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> Intake:
    intake = Intake()
    monkeypatch.setattr(module, "receive_cargo", intake)
    return intake


def context_of(*cargoes: bytes, client: str = "grpc-java-okhttp/1.50.2") -> FakeContext:
    context = FakeContext(metadata=[("user-agent", client)])
    for number, cargo in enumerate(cargoes):
        context.incoming.put_nowait(Delivery(str(number), cargo, len(cargo)))
    return context


async def test_cargo_is_acknowledged_once_it_is_safe(threads: Threads, intake: Intake) -> None:
    context = context_of(b"cargo")
    call = asyncio.create_task(Deliveries(threads).serve(context.as_context))
    await asyncio.sleep(0.05)
    assert context.sent == []

    intake.may_go_on.set()
    await asyncio.sleep(0.05)

    # Without the end of the stream.
    assert context.sent == ["0"]
    context.incoming.put_nowait(grpc.aio.EOF)
    await call


async def test_refused_cargo_is_acknowledged_and_noted(threads: Threads, intake: Intake) -> None:
    intake.failure = UntimelyMessageError("Message has expired")
    intake.may_go_on.set()
    context = context_of(b"cargo")
    context.incoming.put_nowait(grpc.aio.EOF)

    await Deliveries(threads).serve(context.as_context)

    assert context.sent == ["0"]
    event = await Event.objects.aget()
    assert (event.kind, event.detail) == (Event.Kind.CARGO_REFUSED, "Message has expired")


@pytest.mark.parametrize("cargo", [b"cargo", LARGE])
async def test_failure_of_ours_ends_the_call(threads: Threads, intake: Intake, cargo: bytes) -> None:
    intake.failure = StorageUnavailableError()
    intake.may_go_on.set()
    context = context_of(cargo)

    with pytest.raises(ExceptionGroup) as caught:
        await Deliveries(threads).serve(context.as_context)

    assert isinstance(caught.value.exceptions[0], StorageUnavailableError)
    assert context.sent == []


async def test_few_cargoes_of_a_stream_are_in_work_at_once(threads: Threads, intake: Intake) -> None:
    context = context_of(*[b"cargo"] * (2 * MAX_IN_WORK))
    context.incoming.put_nowait(grpc.aio.EOF)
    call = asyncio.create_task(Deliveries(threads).serve(context.as_context))
    await asyncio.sleep(0.1)
    intake.may_go_on.set()
    await call

    assert intake.most_at_once == MAX_IN_WORK
    assert len(context.sent) == 2 * MAX_IN_WORK


async def test_large_cargoes_of_all_streams_take_turns(threads: Threads, intake: Intake) -> None:
    deliveries = Deliveries(threads)
    contexts = [context_of(LARGE, LARGE) for _ in range(5)]
    for context in contexts:
        context.incoming.put_nowait(grpc.aio.EOF)
    calls = [asyncio.create_task(deliveries.serve(context.as_context)) for context in contexts]
    await asyncio.sleep(0.1)
    # The next one is not read before there is room for it.
    assert all(context.incoming.qsize() == 2 for context in contexts)
    intake.may_go_on.set()
    await asyncio.gather(*calls)

    assert intake.most_at_once == LARGE_BODIES_AT_ONCE
    assert all(context.sent == ["0", "1"] for context in contexts)


async def test_stream_that_stays_open_for_nothing(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.05)

    with pytest.raises(ExceptionGroup) as caught:
        await Deliveries(threads).serve(context_of().as_context)

    error = caught.value.exceptions[0]
    assert isinstance(error, RefusedCallError)
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_accepted_cargo_gives_a_call_more_time(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.3)
    context = context_of(b"one", b"two")
    call = asyncio.create_task(Deliveries(threads).serve(context.as_context))
    await asyncio.sleep(0.2)
    # While the next is being waited for.
    intake.may_go_on.set()
    await asyncio.sleep(0.2)
    assert not call.done()
    context.incoming.put_nowait(grpc.aio.EOF)

    await call


async def test_refused_cargo_gives_a_call_no_more_time(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.2)
    intake.failure = UntimelyMessageError()
    intake.may_go_on.set()
    context = context_of()

    async def send() -> None:
        for number in range(10):
            context.incoming.put_nowait(Delivery(str(number), b"cargo", 5))
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(send())
    with pytest.raises(ExceptionGroup) as caught:
        await Deliveries(threads).serve(context.as_context)
    await sending

    assert isinstance(caught.value.exceptions[0], CourierStalledError)


async def open_silent(deliveries: Deliveries, number: int) -> list[asyncio.Task[None]]:
    """Calls of strangers that send nothing."""
    calls = [asyncio.create_task(deliveries.serve(context_of().as_context)) for _ in range(number)]
    await asyncio.sleep(0.01)
    return calls


async def cancel(calls: list[asyncio.Task[None]]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)


async def test_stalled_readers_make_way_for_others(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.2)
    intake.may_go_on.set()
    deliveries = Deliveries(threads)
    stalled = await open_silent(deliveries, READS_AT_ONCE)
    await asyncio.sleep(0.3)
    # Nobody needs their turns.
    assert not any(call.done() for call in stalled)
    context = context_of(b"cargo")
    context.incoming.put_nowait(grpc.aio.EOF)

    await deliveries.serve(context.as_context)

    assert context.sent == ["0"]
    await cancel(stalled)


async def test_few_strangers_are_read_from_at_once(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.1)
    deliveries = Deliveries(threads)
    turns = [await deliveries.strangers.take() for _ in range(READS_AT_ONCE)]
    context = context_of(b"cargo")

    with pytest.raises(ExceptionGroup) as caught:
        await deliveries.serve(context.as_context)

    assert isinstance(caught.value.exceptions[0], TooManyCallsError)
    assert context.incoming.qsize() == 1
    for turn in turns:
        turn.release()


async def test_idlest_stranger_is_ended_first(threads: Threads, intake: Intake) -> None:
    intake.may_go_on.set()
    deliveries = Deliveries(threads)
    proven = asyncio.create_task(deliveries.serve(context_of(b"cargo").as_context))
    await asyncio.sleep(0.05)
    first, second = [(await open_silent(deliveries, 1))[0] for _ in range(2)]

    # Those that are ending already do not count.
    deliveries.end_idlest()
    deliveries.end_idlest()
    deliveries.end_idlest()
    await asyncio.wait([first, second])

    for call in (first, second):
        error = call.exception()
        assert isinstance(error, ExceptionGroup)
        assert isinstance(error.exceptions[0], TooManyCallsError)
    assert not proven.done()
    await cancel([proven])


async def test_call_whose_cargo_is_in_work_is_not_ended(threads: Threads, intake: Intake) -> None:
    deliveries = Deliveries(threads)
    context = context_of(b"cargo")
    call = asyncio.create_task(deliveries.serve(context.as_context))
    await asyncio.sleep(0.05)

    deliveries.end_idlest()
    await asyncio.sleep(0.05)
    intake.may_go_on.set()
    context.incoming.put_nowait(grpc.aio.EOF)
    await call

    assert context.sent == ["0"]


async def test_proven_call_that_stays_idle_is_ended_too(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEXT_SECONDS", 0.05)
    intake.may_go_on.set()
    deliveries = Deliveries(threads)
    call = asyncio.create_task(deliveries.serve(context_of(b"cargo").as_context))
    await asyncio.sleep(0.1)

    deliveries.end_idlest()
    await asyncio.wait([call])

    assert isinstance(call.exception(), ExceptionGroup)


# ---------------------------------------------------------------- Acknowledgements


async def test_courier_that_takes_no_acknowledgement(
    threads: Threads, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACK_SECONDS", 0.3)
    intake.may_go_on.set()
    context = context_of(*[b"cargo"] * (3 * MAX_IN_WORK))
    context.is_stuck = True
    call = asyncio.create_task(Deliveries(threads).serve(context.as_context))
    await asyncio.sleep(0.15)
    # Of those that are acknowledged to nobody there are few: as many as are in work, and one that waits for a place.
    assert context.incoming.qsize() == 2 * MAX_IN_WORK - 1

    with pytest.raises(ExceptionGroup) as caught:
        await call

    assert isinstance(caught.value.exceptions[0], CourierStalledError)


async def test_many_cargoes_of_a_hasty_client_are_not_held_up(threads: Threads, intake: Intake) -> None:
    intake.may_go_on.set()
    context = context_of(*[b"cargo"] * (3 * MAX_IN_WORK), client="grpc-node-js/1.12.2")
    context.incoming.put_nowait(grpc.aio.EOF)

    async with asyncio.timeout(HOLD_SECONDS):
        await Deliveries(threads).serve(context.as_context)

    assert len(context.sent) == 3 * MAX_IN_WORK


async def test_hasty_client_gets_the_last_acknowledgement_later(threads: Threads, intake: Intake) -> None:
    """Trap 11."""
    intake.may_go_on.set()
    context = context_of(b"first", b"second", client="grpc-node-js/1.12.2")
    started_at = time.monotonic()
    call = asyncio.create_task(Deliveries(threads).serve(context.as_context))
    await asyncio.sleep(0.1)
    assert context.sent == ["0"]

    while len(context.sent) < 2:  # noqa: ASYNC110 - as a client would, the test only sees what was sent
        await asyncio.sleep(0.01)

    assert time.monotonic() - started_at >= 0.3
    context.incoming.put_nowait(grpc.aio.EOF)
    await call


async def test_end_of_the_stream_releases_what_is_held(threads: Threads, intake: Intake) -> None:
    intake.may_go_on.set()
    context = context_of(b"first", client="grpc-node-js/1.12.2")
    context.incoming.put_nowait(grpc.aio.EOF)
    started_at = time.monotonic()

    await Deliveries(threads).serve(context.as_context)

    assert context.sent == ["0"]
    assert time.monotonic() - started_at < 0.25
