"""What a courier has acknowledged of the cargo sent to it, and how long to wait for the rest.

The specification has couriers acknowledge each cargo, and lets five be under way. Deployed couriers give the whole
call a few seconds and need not acknowledge anything, so the window is for those alone that show that they do.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import grpc
import structlog

from awala.errors import MalformedMessageError
from cogrpc.calls import Context, CourierStalledError

WINDOW: Final = 5
# A courier that has acknowledged nothing by then, with the window full, is taken for one that never will.
SILENCE_SECONDS: Final = 0.3
# A courier that has acknowledged, and then for so long no more, is gone.
STALL_SECONDS: Final = 30.0
# The end of the call waits so long for what is missing; the rest of the clients' seconds is theirs.
LAST_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class Acknowledgements:
    """Those of one call."""

    def __init__(self) -> None:
        self.received = 0
        self._missing: set[str] = set()
        self._has_ended = False
        self._news = asyncio.Event()

    async def read(self, context: Context) -> None:
        """Take acknowledgements in until the courier sends no more; others than those expected mean nothing."""
        try:
            while (delivery_id := await context.read()) is not grpc.aio.EOF:
                self.note(delivery_id)
        except MalformedMessageError as error:
            log.info("acknowledgement_malformed", reason=str(error))
        finally:
            self._has_ended = True
            self._news.set()

    def note(self, delivery_id: str) -> None:
        if delivery_id in self._missing:
            self._missing.remove(delivery_id)
            self.received += 1
            self._news.set()

    def expect(self, delivery_id: str) -> None:
        self._missing.add(delivery_id)

    async def wait_for_place(self) -> None:
        """Wait until another cargo may be sent; raises `CourierStalledError`."""
        if self._has_place():
            return
        if not self.received:
            await self._wait_until(lambda: self.received > 0 or self._has_ended, SILENCE_SECONDS)
        if self.received and not await self._wait_until(self._has_place, STALL_SECONDS):
            raise CourierStalledError("Cargo is not acknowledged any more")

    async def wait_for_last(self) -> None:
        """Wait a little for what is missing, if the courier is one that acknowledges."""
        if self.received:
            await self._wait_until(lambda: not self._missing or self._has_ended, LAST_SECONDS)

    def _has_place(self) -> bool:
        return len(self._missing) < WINDOW or self._has_ended

    async def _wait_until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Whether it came to be so within the time."""
        deadline = time.monotonic() + seconds
        while not is_so():
            self._news.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                return False
        return True
