"""The threaded WSGI server of PoHTTP and of the console.

waitress reads each request whole, into a file if it exceeds 512 KiB, before a thread sees it, so slow clients
hold no thread. What it has no option for is added here: the form of its errors, time limits on whole requests,
refusals that their sender gets to see, a loop whose turns cost what happens in them and not what is open, and
stopping without cutting anyone off.
"""

import os
import select
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any
from wsgiref.types import WSGIApplication

import structlog
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.server import create_server  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]
from waitress.utilities import Error  # type: ignore[import-untyped]

from gateway.http import RETRY_AFTER_SECONDS, TRY_AGAIN, encode_message
from gateway.servers.limits import (
    BODY_SECONDS,
    HEADERS_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    MAX_REQUEST_BODY,
    MAX_REQUEST_HEADERS,
)

logger = structlog.get_logger(__name__)

_BACKLOG = 1024
_MAX_CONNECTIONS = 1000
_DISCARD_OCTETS = 64 * 1024
# How soon the loop notices that it should stop, or that a client is overdue.
_LOOP_SECONDS = 0.5


class _UnavailableError(Error):  # type: ignore[misc]
    code = 503
    reason = TRY_AGAIN


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    body_rcv: Any
    completed: bool
    error: Any

    def received(self, data: bytes) -> int:
        try:
            consumed: int = super().received(data)
            if self.completed and self.body_rcv is not None:
                self.body_rcv.getfile().flush()
        except OSError:
            logger.exception("body_not_spooled")
            consumed = len(data)
            self._give_up_body()
        if self.error:
            # Otherwise the channel would invite the client to send the body that was just refused.
            self.expect_continue = False
        return consumed

    def _give_up_body(self) -> None:
        """Refuse for now a request for whose body the folder of temporary files has no room."""
        with suppress(OSError):
            self.body_rcv.getbuf().close()
        self.body_rcv = None
        self.error, self.completed = _UnavailableError(TRY_AGAIN), True

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        # Two lengths for one body: a proxy in front might believe the other one (RFC 9112, section 6.1).
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Transfer-Encoding does not go with Content-Length, nor with HTTP/1.0")


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        content_type, body = encode_message(self.request.headers.get("ACCEPT", ""), error.reason)
        self.response_headers.append(("Content-Type", content_type))
        if isinstance(error, _UnavailableError):
            self.response_headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    error_task_class = _ErrorTask

    _receiving_since: float | None = None
    _is_refused = False
    _linger_until: float | None = None

    def add_channel(self, map: dict[int, Any] | None = None) -> None:  # noqa: A002 - its name in wasyncore
        super().add_channel(map)
        self.server.loop.touch(self)

    def del_channel(self, map: dict[int, Any] | None = None) -> None:  # noqa: A002 - its name in wasyncore
        self.server.loop.forget(self)
        super().del_channel(map)

    def service(self) -> None:
        """Handle a request, in a thread; it ends by waking the loop, which then looks at this channel again."""
        _serving.channel = self
        super().service()

    def received(self, data: bytes) -> bool:
        result: bool = super().received(data)
        if self.request is None:
            self._receiving_since = None
        elif self._receiving_since is None:
            self._receiving_since = time.monotonic()
        self._is_refused = self._is_refused or any(request.error for request in self.requests)
        return result

    def readable(self) -> bool:
        """Called twice a second at least, so also the place to notice that time is up."""
        if self._is_overdue():
            self.will_close = True
        if self._linger_until is not None:
            return not self.will_close
        return bool(super().readable())

    def handle_read(self) -> None:
        if self._linger_until is None:
            super().handle_read()
        else:
            self.recv(_DISCARD_OCTETS)

    def handle_write(self) -> None:
        if self._is_refused and self.close_when_flushed and not self.total_outbufs_len and self.connected:
            self._linger()
        else:
            super().handle_write()

    @property
    def is_idle(self) -> bool:
        return not self.requests and self.request is None and not self.total_outbufs_len

    def _linger(self) -> None:
        """Half close, and throw away what the client goes on sending.

        Closing at once would make the system reset the connection, and the client might never see the answer.
        """
        self.close_when_flushed = False
        self._linger_until = time.monotonic() + LINGER_SECONDS
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True

    def _is_overdue(self) -> bool:
        now = time.monotonic()
        if self._linger_until is not None:
            return now > self._linger_until
        if self._receiving_since is None or self.request is None:
            return False
        limit = BODY_SECONDS if self.request.headers_finished else HEADERS_SECONDS
        return now - self._receiving_since > limit


# Which channel a thread serves.
_serving = threading.local()


class _Loop:
    """Waits for what clients do.

    wasyncore asks every channel in every turn what it waits for, and tells the kernel anew. Here the kernel keeps
    its list, and a channel is asked when something happened to it; all are twice a second, for their time limits.
    """

    def __init__(self, channels: dict[int, Any]) -> None:
        self._channels = channels
        self._selector = selectors.DefaultSelector()
        self._touched: deque[Any] = deque()
        self._next_review = 0.0

    def touch(self, channel: Any) -> None:
        """Ask this channel before the next turn what it waits for; from any thread."""
        self._touched.append(channel)

    def turn(self, timeout: float) -> None:
        """Wait until something happens, for so many seconds at most, and deal with it."""
        now = time.monotonic()
        if now >= self._next_review:
            self._next_review = now + timeout
            self._touched.extend(list(self._channels.values()))
        while self._touched:
            self._register(self._touched.popleft())
        for key, events in self._selector.select(timeout):
            channel = key.data
            # Another event of this turn may have closed it.
            if self._channels.get(key.fd) is channel:
                flags = select.POLLIN if events & selectors.EVENT_READ else 0
                wasyncore.readwrite(channel, flags | (select.POLLOUT if events & selectors.EVENT_WRITE else 0))
            self._touched.append(channel)

    def forget(self, channel: Any) -> None:
        """Wait for this channel no more; called just before its socket is closed."""
        if channel._fileno in self._selector.get_map():  # noqa: SLF001 - wasyncore has no other name for it
            self._selector.unregister(channel._fileno)  # noqa: SLF001

    def _register(self, channel: Any) -> None:
        number = channel._fileno  # noqa: SLF001
        if number is None:
            return  # Closed since it was touched.
        events = selectors.EVENT_READ if channel.readable() else 0
        if channel.writable() and not channel.accepting:
            events |= selectors.EVENT_WRITE
        key = self._selector.get_map().get(number)
        if key is None:
            if events:
                self._selector.register(number, events, channel)
        elif not events:
            self._selector.unregister(number)
        elif key.events != events:
            self._selector.modify(number, events, channel)


class WaitressServer:
    """A waitress server in a thread of its own, beside the threads that run the application."""

    def __init__(self, application: WSGIApplication, *, host: str, port: int, threads: int, name: str) -> None:
        """Take the port; raises `OSError` if that fails. Connections wait until `start`."""
        self._socket = _listen(host, port)
        self._server = create_server(
            application,
            sockets=[self._socket],
            threads=threads,
            ident=None,
            max_request_header_size=MAX_REQUEST_HEADERS,
            max_request_body_size=MAX_REQUEST_BODY + 1,  # The first size that waitress refuses.
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=5,
            connection_limit=_MAX_CONNECTIONS,
            expose_tracebacks=False,
            log_socket_errors=False,
            clear_untrusted_proxy_headers=True,
            send_bytes=1,  # Threads send what they answer; by default, that waits for the loop.
        )
        self._server.channel_class = _Channel
        self._map: dict[int, Any] = self._server._map  # noqa: SLF001 (create_server gives no way to pass one)
        self._loop = self._server.loop = _Loop(self._map)
        self._server.pull_trigger = self._wake
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"{name}-server", daemon=True)

    @property
    def port(self) -> int:
        """The port in use, which the system chose where 0 was asked for."""
        return int(self._server.effective_port)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Take no more connections and answer the requests that came in, for as long at most.

        Returns at once, and may be called in a signal handler; `join` waits until it is done.
        """
        self._deadline = time.monotonic() + seconds
        self._server.pull_trigger()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            # Half a gateway looks alive and takes requests that nobody answers. All of it may die at any instant.
            logger.exception("server_failed", server=self._thread.name)
            os._exit(os.EX_SOFTWARE)

    def _serve(self) -> None:
        while self._deadline is None:
            self._loop.turn(_LOOP_SECONDS)
        # Closes the listening socket alone: those that answer still wake this loop by the trigger.
        self._loop.forget(self._server)
        wasyncore.dispatcher.close(self._server)
        while self._has_work(self._deadline):
            self._loop.turn(_LOOP_SECONDS / 10)
        self._server.task_dispatcher.shutdown(timeout=max(0.0, self._deadline - time.monotonic()))
        wasyncore.close_all(self._map)

    def _wake(self) -> None:
        channel = getattr(_serving, "channel", None)
        if channel is not None:
            self._loop.touch(channel)
        self._server.trigger.pull_trigger()

    def _has_work(self, deadline: float) -> bool:
        for channel in list(self._server.active_channels.values()):
            if channel.is_idle:
                channel.will_close = True
        return bool(self._server.active_channels) and time.monotonic() < deadline


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
