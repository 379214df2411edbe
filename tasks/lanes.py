"""Shares the threads of a worker out among destinations, so that none waits for another that hangs.

A thread works for one destination at a time, for a slice, and then for the one that has waited longest. A destination
that answers has a few threads at the most. One that has not answered yet, or no longer does, has a single one, and
all of those together have half of the threads.
"""

import threading
from collections.abc import Iterable

MAX_KNOWN = 10_000


class Lanes:
    """Which destinations have work, and how many threads are at each; safe to use from any thread."""

    def __init__(self, *, threads: int, per_destination: int) -> None:
        self._threads = threads
        self._per_destination = per_destination
        self._threads_for_silent = max(1, threads // 2)
        self._lock = threading.Lock()
        # In the order in which they came; a dictionary, since a destination waits once however often it is announced.
        self._waiting: dict[str, None] = {}
        self._at_work: dict[str, int] = {}
        # Those that answered last time, the one longest ago first.
        self._answering: dict[str, None] = {}

    def announce(self, destination: str) -> None:
        """Note that the destination has work."""
        with self._lock:
            self._waiting[destination] = None

    def take(self) -> str | None:
        """The next destination for the calling thread, or None where there is none or enough threads are at work."""
        with self._lock:
            if sum(self._at_work.values()) >= self._threads:
                return None
            destination = next((waiting for waiting in self._waiting if self._has_room(waiting)), None)
            if destination is not None:
                del self._waiting[destination]
                self._at_work[destination] = self._at_work.get(destination, 0) + 1
            return destination

    def give_back(self, destination: str, *, has_more: bool, answers: bool | None) -> None:
        """End the slice of a destination that `take` returned; `answers` is None where that did not show."""
        with self._lock:
            self._at_work[destination] -= 1
            if not self._at_work[destination]:
                del self._at_work[destination]
            if answers is not None:
                self._answering.pop(destination, None)
            if answers:
                self._answering[destination] = None
                if len(self._answering) > MAX_KNOWN:
                    del self._answering[next(iter(self._answering))]
            if has_more:
                self._waiting[destination] = None

    def _has_room(self, destination: str) -> bool:
        at_work = self._at_work.get(destination, 0)
        if destination in self._answering:
            return at_work < self._per_destination
        return at_work == 0 and _count(self._at_work, self._answering) < self._threads_for_silent


def _count(destinations: Iterable[str], but: dict[str, None]) -> int:
    return sum(1 for destination in destinations if destination not in but)
