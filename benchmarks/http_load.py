"""A light HTTP client that posts parcels over keep-alive connections, one request at a time on each."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.apart import Apart, Line

HOST = "127.0.0.1"


class LoadError(RuntimeError):
    """The server cut a connection, or answered what it should not."""


@dataclass(kw_only=True)
class LoadResult:
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the process that generates the load."""
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.wall_seconds

    @property
    def cores_used(self) -> float:
        """By the generator; near 1 it is the generator that was measured."""
        return self.cpu_seconds / self.wall_seconds

    def check(self) -> None:
        if set(self.statuses) != {202}:
            raise LoadError(f"Not every parcel was accepted: {dict(self.statuses)}")


class HTTPConnection(asyncio.Protocol):
    """Sends whole requests as they are, and understands answers with a Content-Length."""

    def __init__(self) -> None:
        self.answered_at = 0.0
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    @classmethod
    async def open(cls, port: int) -> "HTTPConnection":
        _, connection = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, octets: bytes) -> "asyncio.Future[int]":
        """Send it, and return what will be the status."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(octets)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or self._answer is None:
            return
        if len(body) >= _content_length(head):
            self.answered_at = time.perf_counter()
            self._buffer = b""
            status = int(head[9:12])
            answer, self._answer = self._answer, None
            answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LoadError(f"The server ended the connection: {exc}"))


def run_load(port: int, requests: Sequence[bytes], *, connections: int, per_second: float | None = None) -> Apart:
    """A process that says when it has connected, posts everything once told to, and then says its LoadResult.

    Without a rate, each connection sends the next request as soon as it has the answer to the last.
    """

    def work(line: Line) -> None:
        asyncio.run(_run(line, port, requests, connections, per_second))

    return Apart(work)


async def _run(line: Line, port: int, requests: Sequence[bytes], number: int, per_second: float | None) -> None:
    connections = [await HTTPConnection.open(port) for _ in range(number)]
    line.say()
    line.hear()
    result = LoadResult()
    queue = iter(requests)
    interval = number / per_second if per_second else 0.0
    cpu_before, began_at = time.process_time(), time.perf_counter()
    await asyncio.gather(
        *(
            _post_all(connection, queue, result, interval, offset=interval * place / number)
            for place, connection in enumerate(connections)
        )
    )
    result.wall_seconds = time.perf_counter() - began_at
    result.cpu_seconds = time.process_time() - cpu_before
    line.say(result)
    for connection in connections:
        connection.transport.close()


async def _post_all(
    connection: HTTPConnection, queue: Iterator[bytes], result: LoadResult, interval: float, *, offset: float
) -> None:
    await asyncio.sleep(offset)
    for request in queue:
        began_at = time.perf_counter()
        status = await connection.request(request)
        seconds = time.perf_counter() - began_at
        result.latencies_ms.append(seconds * 1000)
        result.statuses[status] += 1
        if interval:
            await asyncio.sleep(max(0.0, interval - seconds))


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
