import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc
import pytest
from prometheus_client import REGISTRY

from awala.errors import InvalidMessageError, UntimelyMessageError
from cogrpc import calls as module
from cogrpc.calls import BROKEN, TRY_AGAIN, Calls, Context, RefusedCallError, StatusByError, Threads, find_status
from cogrpc.collection import COLLECTION_ERRORS
from cogrpc.delivery import DELIVERY_ERRORS
from gateway.errors import (
    CollectionRefusedError,
    CollectionUnderWayError,
    KeyUnavailableError,
    RegistrationRefusedError,
    StorageUnavailableError,
    UnknownKeyError,
)
from tests.unit.cogrpc.contexts import Aborted, FakeContext
from tests.unit.edges import gateway_errors, message_errors

MESSAGE_ERRORS = sorted(message_errors(), key=lambda error: error.__name__)
# Nobody registers over CogRPC.
GATEWAY_ERRORS = sorted(
    (error for error in gateway_errors() if not issubclass(error, RegistrationRefusedError)),
    key=lambda error: error.__name__,
)


# ---------------------------------------------------------------- The tables are total


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_bad_messages(error: type[InvalidMessageError]) -> None:
    assert find_status(error(), COLLECTION_ERRORS) is grpc.StatusCode.UNAUTHENTICATED
    # Of the stream itself: bad cargo is acknowledged and dropped.
    assert find_status(error(), DELIVERY_ERRORS) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("error", GATEWAY_ERRORS)
@pytest.mark.parametrize("errors", [COLLECTION_ERRORS, DELIVERY_ERRORS], ids=["collection", "delivery"])
def test_what_the_gateway_itself_raises(error: type[Exception], errors: StatusByError) -> None:
    assert find_status(error(), errors) is grpc.StatusCode.UNAVAILABLE


def test_collections_that_are_refused() -> None:
    assert find_status(CollectionRefusedError(), COLLECTION_ERRORS) is grpc.StatusCode.PERMISSION_DENIED
    assert find_status(CollectionUnderWayError(), COLLECTION_ERRORS) is grpc.StatusCode.UNAVAILABLE


def test_unforeseen_errors() -> None:
    assert find_status(ValueError(), COLLECTION_ERRORS) is None


# ---------------------------------------------------------------- Answers


def raising(error: Exception) -> Callable[[Context], Awaitable[None]]:
    async def serve(_context: Context) -> None:
        raise error

    return serve


def make_no_room() -> None:
    return


async def succeed(_context: Context) -> None:
    return


async def answer(
    serve: Callable[[Context], Awaitable[None]], errors: StatusByError = COLLECTION_ERRORS
) -> tuple[grpc.StatusCode, str] | None:
    context = FakeContext()
    with suppress(Aborted):
        await Calls(1, make_no_room).answer("Method", context.as_context, errors, serve)
    return context.status


def count(code: str) -> float:
    return REGISTRY.get_sample_value("gateway_cogrpc_calls_total", {"method": "Method", "code": code}) or 0


async def test_success() -> None:
    before = count("OK")

    assert await answer(succeed) is None
    assert count("OK") == before + 1


@pytest.mark.parametrize(
    ("error", "code", "details"),
    [
        (UntimelyMessageError("Message has expired"), grpc.StatusCode.UNAUTHENTICATED, "Message has expired"),
        (CollectionRefusedError("Used"), grpc.StatusCode.PERMISSION_DENIED, "Used"),
        (CollectionUnderWayError("In use"), grpc.StatusCode.UNAVAILABLE, "In use"),
        # What failed is for the log alone.
        (StorageUnavailableError("/var/lib is full"), grpc.StatusCode.UNAVAILABLE, TRY_AGAIN),
        (KeyUnavailableError("another KEYSTORE_KEY"), grpc.StatusCode.UNAVAILABLE, TRY_AGAIN),
        (UnknownKeyError("none"), grpc.StatusCode.UNAVAILABLE, TRY_AGAIN),
        (RefusedCallError(grpc.StatusCode.UNAUTHENTICATED, "No CCA"), grpc.StatusCode.UNAUTHENTICATED, "No CCA"),
        (ValueError("a secret"), grpc.StatusCode.INTERNAL, BROKEN),
    ],
)
async def test_failures(error: Exception, code: grpc.StatusCode, details: str) -> None:
    before = count(code.name)

    assert await answer(raising(error)) == (code, details)
    assert count(code.name) == before + 1


async def test_failure_of_a_task_in_a_group() -> None:
    async def serve(context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(succeed(context))
            raise StorageUnavailableError

    assert await answer(serve) == (grpc.StatusCode.UNAVAILABLE, TRY_AGAIN)


async def test_failure_after_the_client_has_gone() -> None:
    context = FakeContext()
    context.is_done = True
    before = count("CANCELLED")

    await Calls(1, make_no_room).answer("Method", context.as_context, COLLECTION_ERRORS, raising(ValueError()))

    assert context.status is None
    assert count("CANCELLED") == before + 1


async def test_cancelled_call_gives_its_place_back() -> None:
    calls = Calls(1, make_no_room)
    context = FakeContext()

    async def wait(_context: Context) -> None:
        await asyncio.Event().wait()

    call = asyncio.create_task(calls.answer("Method", context.as_context, COLLECTION_ERRORS, wait))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])

    assert call.cancelled()
    await calls.answer("Method", context.as_context, COLLECTION_ERRORS, succeed)


async def test_calls_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.01)
    calls, may_end = Calls(1, make_no_room), asyncio.Event()
    context = FakeContext()

    async def wait(_context: Context) -> None:
        await may_end.wait()

    first = asyncio.create_task(calls.answer("Method", FakeContext().as_context, COLLECTION_ERRORS, wait))
    await asyncio.sleep(0)
    with pytest.raises(Aborted):
        await calls.answer("Method", context.as_context, COLLECTION_ERRORS, succeed)
    finishing = asyncio.create_task(calls.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    may_end.set()
    await first
    await finishing

    assert context.status is not None
    assert context.status[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.django_db
async def test_services_run_in_threads() -> None:
    threads = Threads(2)
    try:
        name = await threads.run(lambda: threading.current_thread().name)
    finally:
        threads.close()

    assert name.startswith("cogrpc")


async def test_room_is_made_for_a_call_beyond_the_limit() -> None:
    may_end = asyncio.Event()
    calls = Calls(1, may_end.set)

    async def wait(_context: Context) -> None:
        await may_end.wait()

    first = asyncio.create_task(calls.answer("Method", FakeContext().as_context, COLLECTION_ERRORS, wait))
    await asyncio.sleep(0)
    await calls.answer("Method", FakeContext().as_context, COLLECTION_ERRORS, succeed)

    await first
