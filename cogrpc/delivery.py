"""DeliverCargo (RS-008): a courier brings cargo, and each is acknowledged as soon as it is safe.

Cargo that can never be accepted is acknowledged too, so that the courier throws it away. The end of the stream is
never waited for: the deployed JavaScript client sends none before it has every acknowledgement.
"""

import asyncio
import time
from types import MappingProxyType
from typing import Any, Final

import grpc
from django.utils import timezone

from awala.errors import InvalidMessageError
from cogrpc.calls import (
    UNAVAILABLE,
    Context,
    CourierStalledError,
    StatusByError,
    Threads,
    TooManyCallsError,
)
from cogrpc.messages import Delivery
from cogrpc.turns import Turn, Turns
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
# A message that is being read may take memory up to its full size: so many at once of couriers that have brought
# nothing of worth yet, and as many of others.
READS_AT_ONCE = 8
# Deployed couriers give a whole call three to five seconds. These limits are for when others wait...
FIRST_SECONDS = 3.0
NEXT_SECONDS = 5.0
# ... and this one is for slow lines: from the beginning, and from each cargo that was accepted.
CALL_SECONDS = 60.0
# A courier that takes not even an acknowledgement is gone.
ACK_SECONDS = 10.0
# The deployed JavaScript client stops as soon as all that it has sent so far is acknowledged, even if it has more
# to send (protocol section 0, trap 11): the last acknowledgement waits this long for company.
HOLD_SECONDS = 0.3
_HASTY_CLIENT = "grpc-node-js/"


class Deliveries:
    """Runs the calls, which take turns at reading and at large cargoes, so that memory stays bounded."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.large = asyncio.Semaphore(LARGE_BODIES_AT_ONCE)
        self.strangers = Turns(READS_AT_ONCE)
        self.proven = Turns(READS_AT_ONCE)
        self._streams: set[_Stream] = set()

    async def serve(self, context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            stream = _Stream(self, context, group)
            self._streams.add(stream)
            try:
                await stream.read()
            finally:
                self._streams.discard(stream)

    def end_idlest(self) -> None:
        """End the call that has brought nothing for longest: one of a stranger, or one whose time is over."""
        idle = [stream for stream in self._streams if stream.may_be_ended]
        if idle:
            min(idle, key=lambda stream: (stream.has_brought, stream.idle_since)).end()


class _Stream:
    """One call."""

    def __init__(self, deliveries: Deliveries, context: Context, group: asyncio.TaskGroup) -> None:
        self._deliveries = deliveries
        self._threads = deliveries.threads
        self._context = context
        self._group = group
        self._in_work = asyncio.Semaphore(MAX_IN_WORK)
        self._unfinished = 0
        self._writing = asyncio.Lock()
        self._holds_last = _is_hasty(context)
        self._ends_at = time.monotonic() + CALL_SECONDS
        self._waiting: asyncio.Timeout | None = None
        self._turn: Turn | None = None
        self.has_brought = False
        self.idle_since = time.monotonic()

    @property
    def may_be_ended(self) -> bool:
        if self._waiting is None or self._unfinished:
            return False
        return not self.has_brought or time.monotonic() - self.idle_since > NEXT_SECONDS

    def end(self) -> None:
        """Make room for another call."""
        assert self._waiting is not None  # noqa: S101 - it may be ended
        self._waiting.reschedule(0)
        self._waiting = None

    async def read(self) -> None:
        """Take each cargo in, until the client has no more; a large one before the next is read."""
        last_one = asyncio.Event()
        while (delivery := await self._read_one()) is not None:
            last_one.set()
            last_one = asyncio.Event()
            # The place is kept until the acknowledgement is written, and the last of them is held for a moment only.
            await self._in_work.acquire()
            self._unfinished += 1
            if delivery.octets > LARGE_BODY:
                async with self._deliveries.large:
                    await self._take_in(delivery.cargo)
                self._group.create_task(self._acknowledge(delivery.id, last_one))
            else:
                self._group.create_task(self._take_in_and_acknowledge(delivery, last_one))
            del delivery
        last_one.set()

    async def _read_one(self) -> Delivery | None:
        try:
            async with asyncio.timeout(None) as self._waiting:
                self._turn = await self._wait_for_turn()
                try:
                    message = await self._read_in(self._turn)
                finally:
                    self._turn.release()
        except TimeoutError as error:
            raise TooManyCallsError from error
        finally:
            self._waiting = None
        self.idle_since = time.monotonic()
        return None if message is grpc.aio.EOF else message

    async def _wait_for_turn(self) -> Turn:
        turns = self._deliveries.proven if self.has_brought else self._deliveries.strangers
        async with asyncio.timeout(FIRST_SECONDS):
            return await turns.take()

    async def _read_in(self, turn: Turn) -> Any:
        """What comes within the time, of which there is more with each cargo that is accepted meanwhile."""
        fair_seconds = NEXT_SECONDS if self.has_brought else FIRST_SECONDS
        try:
            async with turn.limit(self._ends_at - time.monotonic(), fair_seconds=fair_seconds):
                return await self._context.read()
        except TimeoutError as error:
            raise CourierStalledError("There came no more cargo") from error

    async def _take_in_and_acknowledge(self, delivery: Delivery, is_superseded: asyncio.Event) -> None:
        await self._take_in(delivery.cargo)
        await self._acknowledge(delivery.id, is_superseded)

    async def _take_in(self, cargo_serialized: bytes) -> None:
        if await self._threads.run(_take_in, cargo_serialized):
            self.has_brought = True
            self._ends_at = time.monotonic() + CALL_SECONDS
            if self._turn is not None:
                self._turn.prolong(CALL_SECONDS)

    async def _acknowledge(self, delivery_id: str, is_superseded: asyncio.Event) -> None:
        if self._holds_last:
            try:
                async with asyncio.timeout(HOLD_SECONDS):
                    await is_superseded.wait()
            except TimeoutError:
                pass
        # Calls have room for one message under way.
        async with self._writing:
            try:
                async with asyncio.timeout(ACK_SECONDS):
                    await self._context.write(delivery_id)
            except TimeoutError as error:
                raise CourierStalledError("Acknowledgements are not taken any more") from error
        self._unfinished -= 1
        self._in_work.release()


def _is_hasty(context: Context) -> bool:
    return any(
        name == "user-agent" and str(value).startswith(_HASTY_CLIENT)
        for name, value in context.invocation_metadata() or ()
    )


def _take_in(cargo_serialized: bytes) -> bool:
    """Store a cargo, or note why it is dropped, and say which; raises only what a later try may mend."""
    try:
        receive_cargo(cargo_serialized, timezone.now())
    except InvalidMessageError as error:
        count_cargo("refused")
        note_refusal(Event.Kind.CARGO_REFUSED, str(error))
        return False
    except GatewayError:
        count_cargo("failed")
        raise
    else:
        count_cargo("accepted")
        return True
