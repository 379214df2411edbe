"""Turns at what takes memory: so much is given out at once, and whoever is slow loses its turn once others wait.

gRPC does not tell how much of a message has come or gone. So a slow line has its time as long as nobody else needs
the room, and a stalled one costs others a few seconds at most.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many units at once; who came last is served first, since those before it have less time left."""

    def __init__(self, units: int) -> None:
        self._free = units
        self._holders: set[Turn] = set()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def is_contended(self) -> bool:
        return bool(self._waiting)

    async def take(self, units: int = 1) -> "Turn":
        """Wait for a turn, which whoever gets it has to release."""
        if units > self._free:
            await self._wait(units)
        else:
            self._free -= units
        turn = Turn(self, units)
        self._holders.add(turn)
        return turn

    def give_back(self, units: int) -> None:
        self._free += units
        while self._waiting and self._waiting[-1][0] <= self._free:
            wanted, granted = self._waiting.pop()
            self._free -= wanted
            granted.set_result(None)

    def leave(self, turn: "Turn") -> None:
        self._holders.discard(turn)

    async def _wait(self, units: int) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (units, granted)
        self._waiting.append(entry)
        for turn in self._holders:
            turn.hurry()
        try:
            await granted
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self.give_back(units)
            raise


class Turn:
    """What one call has of them."""

    def __init__(self, turns: Turns, units: int) -> None:
        self._turns = turns
        self._units = units
        self._timeout: asyncio.Timeout | None = None
        self._fair_until = 0.0

    def shrink(self, units: int) -> None:
        """Give back what was too much."""
        surplus, self._units = self._units - units, units
        self._turns.give_back(surplus)

    def release(self) -> None:
        """Give back the rest; may be called twice."""
        self._turns.leave(self)
        self.shrink(0)

    def prolong(self, seconds: float) -> None:
        """Let what is limited take so many seconds from now, unless others wait."""
        if self._timeout is not None and not self._timeout.expired() and not self._turns.is_contended:
            self._timeout.reschedule(asyncio.get_running_loop().time() + seconds)

    @asynccontextmanager
    async def limit(self, seconds: float, *, fair_seconds: float) -> AsyncIterator[None]:
        """Raise `TimeoutError` in what takes more than so many seconds, or than the fair ones once others wait."""
        now = asyncio.get_running_loop().time()
        self._fair_until = now + fair_seconds
        async with asyncio.timeout_at(now + seconds) as timeout:
            self._timeout = timeout
            if self._turns.is_contended:
                self.hurry()
            try:
                yield
            finally:
                self._timeout = None

    def hurry(self) -> None:
        """Others wait, so that only the fair time is left."""
        if self._timeout is None or self._timeout.expired():
            return
        deadline = self._timeout.when()
        assert deadline is not None  # noqa: S101 - each has one from its beginning
        self._timeout.reschedule(min(deadline, self._fair_until))
