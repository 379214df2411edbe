"""What every call of the relay has around it: a limit on how many there are, threads, and a status at the end.

Each method has one table, from class of error to status. Courier and operator learn different things: the call ends
with a sentence for people that tells nothing of what is inside, and the log has the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, Final, ParamSpec, TypeVar

import grpc
import structlog

from awala.errors import InvalidMessageError
from gateway.errors import CollectionUnderWayError, GatewayError, KeyUnavailableError, UnavailableError
from gateway.metrics import count_cogrpc_call
from gateway.units_of_work import do_unit_of_work

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
StatusByError = Mapping[type[Exception], grpc.StatusCode]
Context = grpc.aio.ServicerContext[Any, Any]

# Ours to mend, so a courier should keep what it has and come back.
UNAVAILABLE: Final[StatusByError] = MappingProxyType(
    {UnavailableError: grpc.StatusCode.UNAVAILABLE, KeyUnavailableError: grpc.StatusCode.UNAVAILABLE}
)
TRY_AGAIN: Final = "The gateway cannot do this now; try again later"
BROKEN: Final = "The gateway met an error of its own"
# How long a call waits for others to end before it is told to come back.
_PATIENCE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class RefusedCallError(Exception):
    """The call itself is wrong, whatever the message in it."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class CourierStalledError(RefusedCallError):
    """The courier sends, takes or acknowledges no more."""

    def __init__(self, message: str) -> None:
        super().__init__(grpc.StatusCode.DEADLINE_EXCEEDED, message)


class TooManyCallsError(RefusedCallError):
    """Others were first, or need the place more."""

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, "There are too many calls; try again later")


class Threads:
    """A few threads for the services, which live as long as the server and so keep their database connections."""

    def __init__(self, number: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=number, thread_name_prefix="cogrpc")

    async def run(
        self, service: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run a service on a database connection that works."""
        work = partial(do_unit_of_work, service, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Calls:
    """The calls of the relay that this process serves at once; one more has another end, or soon gives up."""

    def __init__(self, most: int, make_room: Callable[[], None]) -> None:
        self._places = asyncio.Semaphore(most)
        self._make_room = make_room
        self._under_way: set[asyncio.Task[Any] | None] = set()

    async def answer(
        self, method: str, context: Context, errors: StatusByError, serve: Callable[[Context], Awaitable[None]]
    ) -> None:
        """See the call through, and end it with the status for whatever is raised."""
        if self._places.locked():
            self._make_room()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            error = TooManyCallsError()
            count_cogrpc_call(method, error.code.name)
            await context.abort(error.code, str(error))
        code = grpc.StatusCode.OK
        self._under_way.add(asyncio.current_task())
        try:
            await serve(context)
        except asyncio.CancelledError:
            # Couriers cancel when they have all they want, which is not for us to mind.
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:  # noqa: BLE001 - what nobody foresaw is logged, and must not reach the courier
            if context.done():
                code = grpc.StatusCode.CANCELLED
                log.debug("courier_gone", method=method)
                return
            code, details = _conclude(method, _first_of(error), errors)
            await context.abort(code, details)
        finally:
            self._places.release()
            self._under_way.discard(asyncio.current_task())
            count_cogrpc_call(method, code.name)

    async def finish(self) -> None:
        """Wait for the calls under way, which the server has told to end."""
        while tasks := [task for task in self._under_way if task is not None]:
            await asyncio.wait(tasks)


def find_status(error: Exception, errors: StatusByError) -> grpc.StatusCode | None:
    """The status for an error, by the nearest of its base classes in the table."""
    return next((errors[error_class] for error_class in type(error).__mro__ if error_class in errors), None)


def _conclude(method: str, error: Exception, errors: StatusByError) -> tuple[grpc.StatusCode, str]:
    if isinstance(error, RefusedCallError):
        log.info("call_refused", method=method, reason=str(error))
        return error.code, str(error)
    code = find_status(error, errors)
    if code is None:
        log.error("call_broke", method=method, error=type(error).__name__, exc_info=error)
        return grpc.StatusCode.INTERNAL, BROKEN
    if code is grpc.StatusCode.UNAVAILABLE and not isinstance(error, CollectionUnderWayError):
        log.error("service_unavailable", method=method, reason=str(error), exc_info=error)
        return code, TRY_AGAIN
    assert isinstance(error, (InvalidMessageError, GatewayError))  # noqa: S101 - the tables have no others
    log.info("call_refused", method=method, reason=str(error), error=type(error).__name__)
    return code, str(error)


def _first_of(error: Exception) -> Exception:
    """The error itself, or the first that was raised in a group of tasks."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
