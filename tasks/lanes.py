"""Shares the threads of a worker out among destinations, so that none waits for another that hangs.

A thread works for one destination at a time, for a slice, and then for the one that has waited longest. A destination
that answers has a few threads at the most. One that has not answered yet, or no longer does, has a single one, and
all of those together have half of the threads.
"""

import threading
from typing import Final

MAX_KNOWN: Final = 10_000
MAX_WAITING: Final = 10_000
"""Of each kind. What is left out stays due on record, and the sweep announces it again."""


class Lanes:
    """Which destinations have work, and how many threads are at each; safe to use from any thread."""

    def __init__(self, *, threads: int, per_destination: int) -> None:
        self._threads = threads
        self._per_destination = per_destination
        self._threads_for_silent = max(1, threads // 2)
        self._lock = threading.Lock()
        # In the order in which they came; dictionaries, since a destination waits once however often it is announced.
        self._waiting: dict[str, None] = {}
        self._waiting_silent: dict[str, None] = {}
        self._at_work: dict[str, int] = {}
        # Those that answered last time, the one longest ago first.
        self._answering: dict[str, None] = {}
        self._was_silent = False

    def announce(self, destination: str) -> None:
        """Note that the destination has work."""
        with self._lock:
            self._put(destination)

    def take(self) -> str | None:
        """The next destination for the calling thread, or None where there is none or enough threads are at work."""
        with self._lock:
            if sum(self._at_work.values()) >= self._threads:
                return None
            silent_at_work = sum(1 for destination in self._at_work if destination not in self._answering)
            may_be_silent = silent_at_work < self._threads_for_silent
            # Those that have not answered come to their turn too, however much the others have to do.
            is_their_turn = may_be_silent and silent_at_work == 0 and not self._was_silent
            destination = self._next_silent() if is_their_turn else None
            destination = destination or self._next_answering()
            if destination is None and may_be_silent:
                destination = self._next_silent()
            if destination is not None:
                self._was_silent = destination in self._waiting_silent
                self._waiting.pop(destination, None)
                self._waiting_silent.pop(destination, None)
                self._at_work[destination] = self._at_work.get(destination, 0) + 1
            return destination

    def give_back(self, destination: str, *, has_more: bool, answers: bool | None) -> None:
        """End the slice of a destination that `take` returned; `answers` is None where that did not show."""
        with self._lock:
            self._at_work[destination] -= 1
            if not self._at_work[destination]:
                del self._at_work[destination]
            if answers is not None:
                self._note(destination, answers=answers)
            if has_more:
                self._put(destination)

    def _note(self, destination: str, *, answers: bool) -> None:
        is_waiting = destination in self._waiting or destination in self._waiting_silent
        self._answering.pop(destination, None)
        if answers:
            self._answering[destination] = None
            if len(self._answering) > MAX_KNOWN:
                del self._answering[next(iter(self._answering))]
        if is_waiting:
            self._put(destination)

    def _put(self, destination: str) -> None:
        """Let it wait with its kind, which may have changed since it was announced."""
        here, there = self._waiting, self._waiting_silent
        if destination not in self._answering:
            here, there = there, here
        there.pop(destination, None)
        if len(here) < MAX_WAITING:
            here[destination] = None

    def _next_answering(self) -> str | None:
        # Those without room are at work, so they are fewer than there are threads.
        waiting = (one for one in self._waiting if self._at_work.get(one, 0) < self._limit(one))
        return next(waiting, None)

    def _next_silent(self) -> str | None:
        return next((one for one in self._waiting_silent if one not in self._at_work), None)

    def _limit(self, destination: str) -> int:
        return self._per_destination if destination in self._answering else 1
