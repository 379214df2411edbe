"""DeliverCargo (RS-008): a courier brings cargo, and each is acknowledged as soon as it is safe.

Cargo that can never be accepted is acknowledged too, so that the courier throws it away. The end of the stream is
never waited for: the deployed JavaScript client sends none before it has every acknowledgement.
"""

import asyncio
from types import MappingProxyType
from typing import Final

import grpc
from django.utils import timezone

from awala.errors import InvalidMessageError
from cogrpc.calls import UNAVAILABLE, Context, RefusedCallError, StatusByError, Threads
from cogrpc.messages import Delivery
from gateway.errors import GatewayError
from gateway.metrics import count_cargo
from gateway.models import Event
from gateway.refusals import note_refusal
from gateway.servers.limits import LARGE_BODIES_AT_ONCE, LARGE_BODY
from gateway.services.receive_cargo import receive_cargo

# A stream that could not be read; what is wrong with a cargo is no error of the call.
DELIVERY_ERRORS: Final[StatusByError] = MappingProxyType(
    {InvalidMessageError: grpc.StatusCode.INVALID_ARGUMENT, **UNAVAILABLE}
)
MAX_IN_WORK = 8
IDLE_SECONDS = 30.0
# The deployed JavaScript client stops as soon as all that it has sent so far is acknowledged, even if it has more
# to send (protocol section 0, trap 11): the last acknowledgement waits this long for company.
HOLD_SECONDS = 0.3
_HASTY_CLIENT = "grpc-node-js/"


class Deliveries:
    """Runs the calls; large cargoes of all of them take turns, so that memory stays bounded."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._large = asyncio.Semaphore(LARGE_BODIES_AT_ONCE)

    async def serve(self, context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            await _Stream(self._threads, self._large, context, group).read()


class _Stream:
    """One call."""

    def __init__(self, threads: Threads, large: asyncio.Semaphore, context: Context, group: asyncio.TaskGroup) -> None:
        self._threads = threads
        self._large = large
        self._context = context
        self._group = group
        self._in_work = asyncio.Semaphore(MAX_IN_WORK)
        self._writing = asyncio.Lock()
        self._holds_last = _is_hasty(context)

    async def read(self) -> None:
        """Take each cargo in, until the client has no more; a large one before the next is read."""
        last_one = asyncio.Event()
        while (delivery := await self._read_one()) is not None:
            last_one.set()
            last_one = asyncio.Event()
            if len(delivery.cargo) > LARGE_BODY:
                async with self._large:
                    await self._threads.run(_take_in, delivery.cargo)
                self._group.create_task(self._acknowledge(delivery.id, last_one))
            else:
                await self._in_work.acquire()
                self._group.create_task(self._take_in(delivery, last_one))
            del delivery
        last_one.set()

    async def _read_one(self) -> Delivery | None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await self._context.read()
        except TimeoutError as error:
            raise RefusedCallError(grpc.StatusCode.DEADLINE_EXCEEDED, "There came no more cargo") from error
        return None if message is grpc.aio.EOF else message

    async def _take_in(self, delivery: Delivery, is_superseded: asyncio.Event) -> None:
        try:
            await self._threads.run(_take_in, delivery.cargo)
        finally:
            self._in_work.release()
        await self._acknowledge(delivery.id, is_superseded)

    async def _acknowledge(self, delivery_id: str, is_superseded: asyncio.Event) -> None:
        if self._holds_last:
            try:
                async with asyncio.timeout(HOLD_SECONDS):
                    await is_superseded.wait()
            except TimeoutError:
                pass
        # Calls have room for one message under way.
        async with self._writing:
            await self._context.write(delivery_id)


def _is_hasty(context: Context) -> bool:
    return any(
        name == "user-agent" and str(value).startswith(_HASTY_CLIENT)
        for name, value in context.invocation_metadata() or ()
    )


def _take_in(cargo_serialized: bytes) -> None:
    """Store a cargo, or note why it is dropped; raises only what a later try may mend."""
    try:
        receive_cargo(cargo_serialized, timezone.now())
    except InvalidMessageError as error:
        count_cargo("refused")
        note_refusal(Event.Kind.CARGO_REFUSED, str(error))
    except GatewayError:
        count_cargo("failed")
        raise
    else:
        count_cargo("accepted")
