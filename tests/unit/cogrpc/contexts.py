"""A call as gRPC shows it to a servicer, with a client that the test plays."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import grpc

from cogrpc.calls import Context


class Aborted(Exception):  # noqa: N818 - as gRPC raises one to leave the servicer
    pass


class FakeContext:
    """What the client sends is put into `incoming`; what it gets is in `sent`."""

    def __init__(self, *, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        self.status: tuple[grpc.StatusCode, str] | None = None
        self.is_done = False
        self.is_stuck = False
        self._metadata = metadata
        self._is_writing = False

    async def read(self) -> Any:
        message = await self.incoming.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def write(self, message: Any) -> None:
        # gRPC takes one message at a time.
        assert not self._is_writing
        self._is_writing = True
        await (asyncio.Event().wait() if self.is_stuck else asyncio.sleep(0))
        self.sent.append(message)
        self._is_writing = False

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        self.status = code, details
        raise Aborted

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return self._metadata

    def done(self) -> bool:
        return self.is_done

    @property
    def as_context(self) -> Context:
        return cast("Context", self)
