"""An Internet endpoint in a process of its own that takes parcels as fast as it can, and says when each came."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Self

from benchmarks.apart import Apart, Line

HOST = "127.0.0.1"
_ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    sha256: str
    at: float
    """By the monotonic clock, which all processes of a machine share."""


class Endpoint:
    """To be used in a `with`. One that is mute takes connections and requests, and never answers."""

    def __init__(self, *, is_mute: bool = False) -> None:
        self._apart = Apart(lambda line: asyncio.run(_serve(line, is_mute=is_mute)))
        self.port: int = self._apart.line.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._apart.kill()
        self._apart.__exit__(None, None, None)

    def take_arrivals(self) -> list[Arrival]:
        """What has come since this was asked the last time."""
        self._apart.line.say()
        arrivals: list[Arrival] = self._apart.line.hear()
        return arrivals

    @property
    def pid(self) -> int:
        return self._apart.pid


class _Connection(asyncio.Protocol):
    def __init__(self, arrivals: list[Arrival], *, is_mute: bool) -> None:
        self._arrivals = arrivals
        self._is_mute = is_mute
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if self._is_mute or not separator or len(body) < _content_length(head):
            return
        self._buffer = b""
        at = asyncio.get_running_loop().time()
        self._arrivals.append(Arrival(sha256=hashlib.sha256(body).hexdigest(), at=at))
        self._transport.write(_ANSWER)


async def _serve(line: Line, *, is_mute: bool) -> None:
    loop = asyncio.get_running_loop()
    arrivals: list[Arrival] = []
    server = await loop.create_server(lambda: _Connection(arrivals, is_mute=is_mute), HOST, 0)
    line.say(server.sockets[0].getsockname()[1])
    while True:
        await loop.run_in_executor(None, line.hear, 3_600)
        line.say(list(arrivals))
        arrivals.clear()


def _content_length(head: bytes) -> int:
    for header in head.lower().split(b"\r\n")[1:]:
        if header.startswith(_LENGTH):
            return int(header.removeprefix(_LENGTH))
    return 0
