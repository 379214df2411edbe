"""Lets the threads of the load work while the gateway runs, and holds them back while it does not."""

import threading
from collections.abc import Callable


class Gate:
    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_over = False
        self._waiting = 0
        self.is_open = False

    def open(self) -> None:
        with self._condition:
            self.is_open = True
            self._condition.notify_all()

    def close(self) -> None:
        """Hold each thread back once it comes to its next `wait`."""
        self.is_open = False

    def finish(self) -> None:
        """Send the threads home."""
        with self._condition:
            self._is_over = True
            self._condition.notify_all()

    def wait(self, prepare: Callable[[], bool] = lambda: False) -> bool:
        """Wait until there is work; False if there will be no more. Meanwhile, `prepare` for it until that is False."""
        with self._condition:
            self._waiting += 1
            self._condition.notify_all()
        while not self.is_open and not self._is_over and prepare():
            pass
        with self._condition:
            self._condition.wait_for(lambda: self.is_open or self._is_over)
            self._waiting -= 1
            return not self._is_over

    def wait_until_idle(self, threads: int, timeout: float) -> bool:
        """Wait until this many threads are held back."""
        with self._condition:
            return self._condition.wait_for(lambda: self._waiting >= threads, timeout)
