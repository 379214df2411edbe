"""The WebSocket half of the PoWeb port: Daphne's protocol, with the close codes, pings and limits of PoWeb.

Daphne closes with the application's code only where Autobahn agrees with it, never sends the reason, looks for
pings to send every 2 seconds, sends none to a client that talks, and writes each message to the transport
whole, so that pings wait behind it.
"""
# ruff: noqa: FBT001 (the parameters are Autobahn's)
# mypy: allow-untyped-calls

import asyncio
import socket
from typing import Any

from daphne.ws_protocol import WebSocketFactory as DaphneWebSocketFactory
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.servers.limits import MAX_WEBSOCKET_MESSAGE

PING_INTERVAL_SECONDS = 5
"""Deployed JavaScript clients leave after 7 seconds without a ping, counted from the start."""

PONG_SECONDS = 4
"""How long a pong may take: with the interval, 9 seconds of silence."""

CLOSE_SECONDS = 5
"""How long a client may take to answer our close frame."""

GOING_AWAY = 4000
"""Closes a collection that should be resumed soon; 1000 would end it for good on Android."""

_POLICY_VIOLATION = 1008
_MAX_REASON = 123
_TEXT, _BINARY, _CONTINUATION = 1, 2, 0

# Octets; at 40 kbit/s one such fragment takes 3 seconds, so even there pings get through in time.
_FRAGMENT = 16 * 1024

# A client sends one message per parcel; one that sends this many ahead of us means to fill our memory.
_MAX_WAITING_MESSAGES = 32


@implementer(IPushProducer)
class WebSocketConnection(WebSocketProtocol):
    transport: Any

    def connectionMade(self) -> None:
        self.server = self.factory.server_class
        # This releases the HTTP channel and request that the connection began with.
        self.transport.unregisterProducer()
        super().connectionMade()
        self._loop = asyncio.get_running_loop()
        self._alive_at = self._loop.time()
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self._sending = asyncio.Lock()
        self._unanswered_ping: bytes | None = None
        # What the kernel holds cannot be overtaken by a ping, so it gets little at a time.
        self.transport.bufferSize = _FRAGMENT
        self.transport.getHandle().setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _FRAGMENT)
        self.transport.registerProducer(self, streaming=True)

    def onOpen(self) -> None:
        super().onOpen()
        self._loop.call_later(PING_INTERVAL_SECONDS, self._ping)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state != self.STATE_OPEN:
            return
        if self.application_queue.qsize() >= _MAX_WAITING_MESSAGES:
            self.close(_POLICY_VIOLATION, "Too many messages at once")
            return
        super().onMessage(payload, isBinary)

    def onPing(self, payload: bytes) -> None:
        # Only the last of several pings needs an answer: a client that pings without reading fills nothing.
        if self._is_writable.is_set():
            self.sendPong(payload)
        else:
            self._unanswered_ping = payload

    def onPong(self, _payload: bytes) -> None:
        self._alive_at = self._loop.time()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if hasattr(self, "request"):  # Otherwise the handshake failed before Daphne knew of it.
            super().onClose(wasClean, code, reason)

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close" and self.state != self.STATE_CONNECTING:
            self.close(message.get("code") or 1000, message.get("reason") or "")
        else:
            super().handle_reply(message)

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, unless it has begun."""
        # Autobahn's sendClose refuses the codes that the standard reserves for endpoints such as this one.
        self.sendCloseFrame(code=code, reasonUtf8=_truncate(reason))

    async def send_message(self, message: dict[str, Any]) -> None:
        """Return once all but the last fragment is on its way, so that a slow client slows the application."""
        octets = message.get("bytes")
        opcode = _TEXT if octets is None else _BINARY
        payload = message["text"].encode() if octets is None else octets
        async with self._sending:
            for start in range(0, len(payload) or 1, _FRAGMENT):
                await self._is_writable.wait()
                if self.state != self.STATE_OPEN:
                    return
                end = start + _FRAGMENT
                self.sendFrame(opcode=opcode, payload=payload[start:end], fin=end >= len(payload))
                opcode = _CONTINUATION

    def pauseProducing(self) -> None:
        self._is_writable.clear()

    def resumeProducing(self) -> None:
        # The client takes what we send, even if the ping is still behind it.
        self._alive_at = self._loop.time()
        self._is_writable.set()
        if self._unanswered_ping is not None:
            self.sendPong(self._unanswered_ping)
            self._unanswered_ping = None

    def stopProducing(self) -> None:
        self._is_writable.set()

    def _ping(self) -> None:
        if self.state == self.STATE_OPEN:
            self.sendPing()
            self._loop.call_later(PING_INTERVAL_SECONDS, self._ping)
            self._loop.call_later(PONG_SECONDS, self._check_alive, self._loop.time())

    def _check_alive(self, pinged_at: float) -> None:
        if self._alive_at < pinged_at and self.state == self.STATE_OPEN:
            self.wasNotCleanReason = "no pong"
            self.dropConnection(abort=True)


class WebSocketFactory(DaphneWebSocketFactory):
    protocol = WebSocketConnection

    def __init__(self, server: object) -> None:
        super().__init__(server, server="")
        self.setProtocolOptions(
            allowNullOrigin=True,  # The application answers browsers, with a close code.
            failByDrop=False,  # Violations get their close code instead of a cut.
            openHandshakeTimeout=CLOSE_SECONDS,
            closeHandshakeTimeout=CLOSE_SECONDS,
            maxFramePayloadSize=MAX_WEBSOCKET_MESSAGE,
            maxMessagePayloadSize=MAX_WEBSOCKET_MESSAGE,
        )


def _truncate(reason: str) -> bytes:
    """What a close frame has room for, in whole characters."""
    return reason.encode()[:_MAX_REASON].decode(errors="ignore").encode()
