"""A WebSocket for plain, synchronous callers.

An event loop in a thread of its own does all reading and writing, so that the server's pings are answered whatever
the caller is busy with. (The synchronous side of ``websockets`` reads in one thread and writes in another, which
OpenSSL does not allow on one TLS connection: now and then it lost what the server sent.)
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from awala.clients.errors import (
    ClientError,
    CollectionClosedError,
    InvalidAnswerError,
    RejectedRequestError,
    ServerUnavailableError,
)
from awala.clients.http import tls_context
from awala.errors import InvalidArgumentError

NORMAL_CLOSURE: Final = 1000
# What stands for a connection that ended without a closing message (RFC 6455, 7.4.1).
_ABNORMAL_CLOSURE: Final = 1006

_T = TypeVar("_T")


class WebSocket:
    """An open connection; made by :func:`open_websocket`."""

    def __init__(self, connection: ClientConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message; ``timeout`` is in seconds.

        :raises TimeoutError: if none came in time; one may be waited for again
        :raises CollectionClosedError: if the connection is closed
        """
        return _wait_for(self._receive(timeout), self._loop)

    def send(self, message: str | bytes) -> None:
        """Send a message.

        :raises CollectionClosedError: if the connection is closed
        """
        try:
            _wait_for(self._connection.send(message), self._loop)
        except ConnectionClosed as error:
            raise _closed_error(error) from error

    def close(self, code: int, reason: str) -> None:
        """Close the connection, if it is not closed yet."""
        _wait_for(self._connection.close(code, reason), self._loop)

    async def _receive(self, seconds: float | None) -> str | bytes:
        try:
            async with asyncio.timeout(seconds):
                return await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed_error(error) from error


@contextmanager
def open_websocket(url: str, *, headers: Mapping[str, str], timeout: float, max_size: int) -> Iterator[WebSocket]:
    """Connect to ``url``, and close the connection (1000) when the ``with`` is left.

    ``timeout`` is in seconds, for the connection and for its closing; ``max_size`` in octets, for each message.

    :raises ServerUnavailableError: if the server cannot be reached, or does not serve now
    :raises RejectedRequestError: if it refuses the request
    :raises InvalidAnswerError: if its answer makes no sense
    :raises InvalidArgumentError: if ``url`` is no WebSocket URL
    """
    with _running_loop() as loop:
        connection = _wait_for(_connect(url, headers, timeout, max_size), loop)
        try:
            yield WebSocket(connection, loop)
        finally:
            _wait_for(connection.close(), loop)


class _ConnectOnce(connect):
    """Follows no redirects, as no deployed client does."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def _connect(url: str, headers: Mapping[str, str], seconds: float, max_size: int) -> ClientConnection:
    try:
        return await _ConnectOnce(
            url,
            additional_headers=headers,
            ssl=tls_context() if urlsplit(url).scheme == "wss" else None,
            compression=None,
            proxy=None,
            open_timeout=seconds,
            close_timeout=seconds,
            max_size=max_size,
        )
    except (InvalidURI, ValueError) as error:
        raise InvalidArgumentError(f"Not a WebSocket URL: {url!r}") from error
    except InvalidStatus as error:
        raise _status_error(error.response.status_code) from error
    except InvalidHandshake as error:
        raise InvalidAnswerError(f"No WebSocket at {url}: {error}") from error
    except OSError as error:
        # Timeouts and TLS failures are among these.
        raise ServerUnavailableError(f"Cannot reach {url}: {error}") from error


def _status_error(status: int) -> ClientError:
    match status // 100:
        case 5:
            return ServerUnavailableError(f"Server cannot serve now: HTTP {status}")
        case 4:
            return RejectedRequestError(f"Server rejected the request: HTTP {status}", status=status)
        case _:
            return InvalidAnswerError(f"Unexpected answer: HTTP {status}")


def _closed_error(error: ConnectionClosed) -> CollectionClosedError:
    # The closing message that says why: what we sent of our own accord, or else what the server sent.
    closing = error.sent if error.sent and not error.rcvd_then_sent else error.rcvd
    if closing is None:
        return CollectionClosedError(code=_ABNORMAL_CLOSURE, reason="the connection broke")
    return CollectionClosedError(code=closing.code, reason=closing.reason)


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="websocket", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        # Names are looked up in the executor's threads.
        _wait_for(loop.shutdown_default_executor(), loop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _wait_for(coroutine: Coroutine[Any, Any, _T], loop: asyncio.AbstractEventLoop) -> _T:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
