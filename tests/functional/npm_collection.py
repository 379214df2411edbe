"""A parcel collection by the published client, watched while it runs."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from tests.functional.npm_process import NpmProcess
from tests.functional.npm_values import Closure, CollectedParcel, CollectionSummary

PATIENCE_SECONDS = 20.0


class NpmCollection:
    """Leaving the `with` block stops the collection.

    Every wait raises TimeoutError, or the error that ended the collection.
    """

    def __init__(self, process: NpmProcess, params: dict[str, Any]) -> None:
        self._process = process
        self._changed = threading.Condition()
        self._next = 0
        self.parcels: list[CollectedParcel] = []
        self.acknowledged: list[CollectedParcel] = []
        self.closures: list[Closure] = []
        self.connections = 0
        """How many handshakes were answered; the library does not wait to hear whether they were accepted."""
        self._id, self._end = process.send("collect", params, self._on_event)
        self._end.add_done_callback(self._on_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(abrupt=True)

    @property
    def is_running(self) -> bool:
        return not self._end.done()

    def wait_until_connected(self, *, times: int = 1, timeout: float = PATIENCE_SECONDS) -> None:
        self._wait(lambda: self.connections >= times, timeout)

    def wait_until_acknowledged(self, number: int, *, timeout: float = PATIENCE_SECONDS) -> None:
        self._wait(lambda: len(self.acknowledged) >= number, timeout)

    def wait_until_disconnected(self, *, times: int = 1, timeout: float = PATIENCE_SECONDS) -> None:
        self._wait(lambda: len(self.closures) >= times, timeout)

    def take(self, number: int, *, timeout: float = PATIENCE_SECONDS) -> list[CollectedParcel]:
        """The next parcels, in the order they came."""
        until = self._next + number
        self._wait(lambda: len(self.parcels) >= until, timeout)
        taken, self._next = self.parcels[self._next : until], until
        return taken

    def next_parcel(self, *, timeout: float = PATIENCE_SECONDS) -> CollectedParcel:
        return self.take(1, timeout=timeout)[0]

    def wait(self, *, timeout: float = PATIENCE_SECONDS) -> CollectionSummary:
        """Until the collection ends by itself: after its last parcel, or on an error, which is raised."""
        return CollectionSummary(**self._end.result(timeout))

    def stop(self, *, abrupt: bool = False, timeout: float = PATIENCE_SECONDS) -> None:
        """Closes with 1000, or cuts the connection as a device does that loses its network."""
        if self.is_running:
            self._process.call("stop_collection", {"collection": self._id, "abrupt": abrupt}, timeout=timeout)
            self._end.exception(timeout)

    def _wait(self, is_met: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: is_met() or self._end.done(), timeout):
                raise TimeoutError(f"After {timeout} s: {self._state()}")
        if not is_met():
            self._end.result()
            raise TimeoutError(f"The collection ended before that: {self._state()}")

    def _state(self) -> str:
        return f"{self.connections} connections, {len(self.parcels)} parcels, closures {self.closures}"

    def _on_event(self, event: str, data: dict[str, Any]) -> None:
        with self._changed:
            match event:
                case "connected":
                    self.connections += 1
                case "disconnected":
                    self.closures.append(Closure(**data))
                case "parcel":
                    self.parcels.append(self._read_parcel(data))
                case "acknowledged":
                    self.acknowledged.append(self.parcels[data["index"]])
            self._changed.notify_all()

    def _on_end(self, _end: Future[dict[str, Any]]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _read_parcel(self, data: dict[str, Any]) -> CollectedParcel:
        octets = data.get("octets")
        return CollectedParcel(
            index=data["index"],
            sha256=data["sha256"],
            size=data["size"],
            received_at=data["receivedAt"],
            id=data["id"],
            invalid=data["invalid"],
            serialized=None if octets is None else self._process.decode(octets),
        )
