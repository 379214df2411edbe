"""Work in a process of its own, so that generating load is neither measured with the server nor slowed by us."""

import gc
import multiprocessing
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

# A child of a fork has what it is to send, and the keys that it signs with, without any of it being copied.
_FORK = multiprocessing.get_context("fork")
_END_SECONDS = 10


class ApartError(RuntimeError):
    """The process failed; the message is its stack trace."""


class _Failed:
    def __init__(self, trace: str) -> None:
        self.trace = trace


class Line:
    """One end of the line between the two processes."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def say(self, message: Any = None) -> None:
        self._connection.send(message)

    def hear(self, timeout: float = 120) -> Any:
        """The next thing that the other process says; raises ApartError if it fails instead."""
        if not self._connection.poll(timeout):
            raise ApartError(f"Nothing was heard for {timeout} s")
        try:
            message = self._connection.recv()
        except EOFError as error:
            raise ApartError("The process ended without a word") from error
        if isinstance(message, _Failed):
            raise ApartError(message.trace)
        return message

    @property
    def is_speaking(self) -> bool:
        """Whether there is something to hear already."""
        return self._connection.poll(0)

    def close(self) -> None:
        self._connection.close()


class Apart:
    """Runs `work` in a process of its own; to be used in a `with`, whose end is also the end of the process."""

    def __init__(self, work: Callable[[Line], None]) -> None:
        ours, theirs = _FORK.Pipe()
        self.line = Line(ours)
        self._process = _FORK.Process(target=_run, args=(work, Line(theirs)), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.line.close()
        if error is None:
            self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def kill(self) -> None:
        """End work that would go on."""
        self._process.kill()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid


def _run(work: Callable[[Line], None], line: Line) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Collecting would touch, and so copy, every page that is shared with the parent.
    gc.freeze()
    try:
        work(line)
    except BaseException:  # noqa: BLE001 - raised again where the process was started
        line.say(_Failed(traceback.format_exc()))
