"""The ASGI server of the PoWeb port."""
# mypy: allow-untyped-calls

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

# This installs Twisted's asyncio reactor, so it comes before anything else of Twisted.
from daphne.server import Server as DaphneServer  # isort: skip
from twisted.internet import reactor as twisted_reactor
from twisted.internet.error import CannotListenError
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from gateway.servers.bridge import BODY_FILE
from gateway.servers.daphne_http import HTTPFactory, Request
from gateway.servers.daphne_websocket import CLOSE_SECONDS, GOING_AWAY, WebSocketConnection, WebSocketFactory

# Its type is that of an interface, which says nothing about what is imported here.
reactor: Any = twisted_reactor

Application = Callable[..., Awaitable[None]]

_APPLICATION_SECONDS = 60
_POLL_SECONDS = 0.05
_BACKLOG = 1024


class Server(DaphneServer):
    """Daphne with limits, close codes and a drain; it runs in the main thread or in any other, once per process.

    `on_drain` is called in the server's event loop when it begins to stop. It should make the application
    close its WebSockets with 4000 as soon as it suits it, and return without waiting for that.
    """

    def __init__(
        self,
        application: Application,
        *,
        host: str,
        port: int,
        on_drain: Callable[[], None] | None = None,
        drain_seconds: float = 8,
    ) -> None:
        super().__init__(
            application,
            endpoints=[f"{host}:{port}"],
            signal_handlers=False,
            http_timeout=_APPLICATION_SECONDS,
            # Connections of our own class ping by themselves and may last for ever.
            ping_interval=math.inf,
            websocket_timeout=-1,
            websocket_connect_timeout=CLOSE_SECONDS,
            server_name="",
        )
        self.is_draining = False
        self.http_factory: HTTPFactory = HTTPFactory(self)
        self.ws_factory: WebSocketFactory = WebSocketFactory(self)
        self.connections: dict[Any, dict[str, Any]] = {}
        self._host, self._wanted_port = host, port
        self._on_drain = on_drain
        self._drain_seconds = drain_seconds
        self._drain_task: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Take the port; raises `OSError` if that fails. Connections wait until `run`."""
        try:
            self._listener = reactor.listenTCP(self._wanted_port, self.http_factory, _BACKLOG, self._host)
        except CannotListenError as exc:
            raise exc.socketError from exc

    @property
    def port(self) -> int:
        """The port in use, which the system chose where 0 was asked for."""
        return int(self._listener.getHost().port)

    def run(self) -> None:
        """Serve until `stop`; the port must have been taken."""
        # Twisted reports what clients do wrong as well; only our own errors matter.
        observer: Any = STDLibLogObserver("twisted")
        predicate: Any = LogLevelFilterPredicate(LogLevel.error)
        errors_only: Any = FilteringLogObserver(observer, [predicate])
        globalLogBeginner.beginLoggingTo([errors_only], redirectStandardIO=False, discardBuffer=True)
        asyncio.set_event_loop(reactor._asyncioEventloop)  # noqa: SLF001 (Daphne reads it where no loop runs)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(1, self.timeout_checker)
        reactor.run(installSignalHandlers=False)

    def stop(self) -> None:
        """Begin to drain, from any thread or signal handler; `run` returns when that is done."""
        reactor.callFromThread(self._begin_to_drain)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, Request):
            scope["extensions"] = {BODY_FILE: {"file": protocol.spooled_body}}
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        is_frame = message["type"] == "websocket.send" and isinstance(protocol, WebSocketConnection)
        if is_frame and protocol.state != protocol.STATE_CONNECTING:
            await protocol.send_message(message)
        else:
            await super().handle_reply(protocol, message)

    def protocol_disconnected(self, protocol: Any) -> None:
        # Daphne calls this again for connections that it has already forgotten.
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    def _begin_to_drain(self) -> None:
        if self._drain_task is None:
            self._drain_task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        self.is_draining = True
        self._listener.stopListening()
        for channel in list(self.http_factory.channels):
            channel.finish_up()
        if self._on_drain:
            self._on_drain()
        # Half the time is for the application to close its WebSockets, half for us to close those left.
        await self._wait_until_idle(self._drain_seconds / 2)
        for connection in self._websockets():
            connection.close(GOING_AWAY, "The server is stopping")
        await self._wait_until_idle(self._drain_seconds / 2)
        await self._cancel_applications()
        reactor.stop()

    async def _wait_until_idle(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline and any(map(_is_busy, self.connections.values())):  # noqa: ASYNC110 (Daphne tells nobody)
            await asyncio.sleep(_POLL_SECONDS)

    def _websockets(self) -> list[WebSocketConnection]:
        return [
            connection
            for connection in self.connections
            if isinstance(connection, WebSocketConnection) and connection.state == connection.STATE_OPEN
        ]

    async def _cancel_applications(self) -> None:
        tasks = [
            details["application_instance"]
            for details in self.connections.values()
            if "application_instance" in details
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_busy(details: dict[str, Any]) -> bool:
    task = details.get("application_instance")
    return "disconnected" not in details or (task is not None and not task.done())
