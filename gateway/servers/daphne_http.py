"""The HTTP half of the PoWeb port: Daphne's requests, with limits on size and time."""
# mypy: allow-untyped-calls

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import IO, Any, Protocol
from weakref import WeakSet

import structlog
from daphne.http_protocol import HTTPFactory as DaphneHTTPFactory
from daphne.http_protocol import WebRequest
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http

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


class DrainableServer(Protocol):
    """What the requests below need to know of their server."""

    is_draining: bool


class Request(WebRequest):
    """A request whose body waits in a file of Twisted's, instead of in a queue in memory.

    Applications find that file in the ASGI scope (see `Server.create_application`) and must close it;
    `receive()` gives them an empty body.
    """

    channel: Any
    content: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Twisted would parse forms into memory, and no client sends any.
        super().__init__(*args, parsePOSTFormSubmission=False, **kwargs)
        self.spooled_body: IO[bytes] = BytesIO()
        self._octets_received = 0

    def gotLength(self, length: int | None) -> None:
        is_too_large = length is not None and length > MAX_REQUEST_BODY
        self.content = BytesIO()
        with self._refusing_if_no_room():
            super().gotLength(0 if is_too_large else length)
        if is_too_large:
            # Twisted would invite the client to go on.
            self.requestHeaders.removeHeader(b"Expect")
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        self._octets_received += len(data)
        if self._octets_received <= MAX_REQUEST_BODY:
            with self._refusing_if_no_room():
                super().handleContentChunk(data)
        else:
            self._refuse_body()

    def flush_body(self) -> None:
        """Write to the body's file what is still in memory."""
        with self._refusing_if_no_room():
            self.content.flush()

    def process(self) -> Any:
        self.spooled_body, self.content = self.content, BytesIO()
        self.spooled_body.seek(0)
        return super().process()

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message.get("type") == "http.response.start" and self.server.is_draining and self.channel is not None:
            self.channel.persistent = 0
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        super().handle_reply(message)

    def basic_error(self, status: int, _status_text: bytes, body: str) -> None:
        """Daphne's answer when the application gave none."""
        content_type, content = encode_message(self.accept, body)
        headers = [(b"Content-Type", content_type.encode()), (b"Content-Length", b"%d" % len(content))]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": content})

    @property
    def accept(self) -> str:
        return b",".join(self.requestHeaders.getRawHeaders(b"Accept") or ()).decode("latin-1")

    def _refuse_body(self) -> None:
        self.channel.refuse(413, f"The body must not exceed {MAX_REQUEST_BODY} octets")

    @contextmanager
    def _refusing_if_no_room(self) -> Iterator[None]:
        """Refuse the request for now where the folder of temporary files has no room for its body."""
        try:
            yield
        except OSError:
            logger.exception("body_not_spooled")
            with suppress(OSError):
                self.content.close()
            self.content = BytesIO()
            self.channel.refuse(503, TRY_AGAIN, f"Retry-After: {RETRY_AFTER_SECONDS}\r\n")


class Channel(http.HTTPChannel):
    """A connection that must send each request within a time limit, and that can be refused midway."""

    transport: Any
    totalHeadersSize = MAX_REQUEST_HEADERS
    maxHeaders = 100

    _is_refused = False
    _deadline: Any = None  # An IDelayedCall, if there is one.

    def connectionMade(self) -> None:
        self.factory.channels.add(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._deadline is None and not self._handlingRequest:
            self._deadline = self.callLater(HEADERS_SECONDS, self._abort)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if not self._is_refused:
            super().lineReceived(line)

    def allHeadersReceived(self) -> None:
        if self._deadline is not None:
            self._deadline.reset(BODY_SECONDS)
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if not self._is_refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        self._cancel_deadline()
        if not self._is_refused:
            self.requests[-1].flush_body()
        if not self._is_refused:
            super().allContentReceived()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_deadline()
        super().connectionLost(reason)

    def refuse(self, status: int, message: str, more_headers: str = "") -> None:
        """Answer a request before all of it was read, and close.

        Closing at once would make the system reset the connection, and the client, still busy sending, might
        never see why. So what it goes on sending is thrown away for a while.
        """
        if self._is_refused:
            return
        self._is_refused = True
        content_type, body = encode_message(self.requests[-1].accept if self.requests else "", message)
        head = (
            f"HTTP/1.1 {status} {http.RESPONSES[status].decode()}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more_headers}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + (b"" if getattr(self, "_command", None) == b"HEAD" else body))
        self.setTimeout(None)
        self._cancel_deadline()
        self._deadline = self.callLater(LINGER_SECONDS, self._abort)
        self._networkProducer.unregisterProducer()
        self.transport.loseWriteConnection()

    def finish_up(self) -> None:
        """Close once the request in progress, if any, is answered."""
        if self.requests:
            self.persistent = 0
        else:
            self.loseConnection()

    def lineLengthExceeded(self, _line: bytes) -> None:
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(400, "Bad request")

    def _abort(self) -> None:
        self._deadline = None
        self.transport.abortConnection()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None


class HTTPFactory(DaphneHTTPFactory):
    def __init__(self, server: DrainableServer) -> None:
        super().__init__(server)
        self.timeOut = IDLE_SECONDS
        self.channels: WeakSet[Channel] = WeakSet()

    def protocol(self) -> Any:
        # Twisted's own wraps the channel, so that it can be exchanged for one of HTTP/2.
        return Channel()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        channel = super().buildProtocol(addr)
        channel.requestFactory = Request
        return channel

    def log(self, request: http.Request) -> None:
        """Twisted's access log holds the addresses of peers; ours are the metrics."""
