"""The server of couriers: gRPC with limits on whatever a stranger may send, and for how long.

It runs in an event loop and a thread of its own, so that any command can have it beside other servers.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from awala.limits import MAX_RAMF_MESSAGE_SIZE
from cogrpc.calls import Threads
from cogrpc.health import HealthProbe
from cogrpc.messages import MAX_ID_OCTETS
from cogrpc.relay import RELAY_NAMES, Relay

# A cargo of the largest size, with the id that the call has for it.
MAX_MESSAGE_SIZE = MAX_RAMF_MESSAGE_SIZE + MAX_ID_OCTETS
MAX_CONNECTIONS = 1_000
_HANDSHAKE_SECONDS = 15
_AGE_GRACE_SECONDS = 30
_KEEPALIVE_SECONDS = 30
_KEEPALIVE_TIMEOUT_SECONDS = 10
_MIN_PING_INTERVAL_SECONDS = 5
_LOOKAHEAD_OCTETS = 65_536

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`streams` at once on each connection, `calls` in the process; times are in seconds."""

    streams: int
    calls: int
    metadata_octets: int
    connection_age: int
    connection_idle: int


@dataclass(frozen=True, kw_only=True)
class TLSFiles:
    """A server certificate with its chain, and its key, both in PEM."""

    certificate: bytes
    key: bytes


class PortTakenError(Exception):
    """The address cannot be listened on."""


class CourierServer:
    """Made with `listen()`, which takes the port; `start()` serves, `stop()` drains, `join()` waits for the end."""

    def __init__(self, *, address: str, threads: int, limits: Limits, tls: TLSFiles | None = None) -> None:
        self._address = address
        self._limits = limits
        self._tls = tls
        self._threads = Threads(threads)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="cogrpc-loop", daemon=True)
        self._drain_seconds = 0.0
        self.port = 0

    def listen(self) -> None:
        """Take the port; raises `PortTakenError`."""
        self._thread.start()
        try:
            self.port = self._run(self._bind())
        except BaseException:
            self._end()
            self._thread.join()
            raise

    def start(self) -> None:
        self._run(self._start())

    def stop(self, seconds: float) -> None:
        """Take no more calls, and give those under way so much time; returns at once, also in a signal handler."""
        self._drain_seconds = seconds
        with suppress(RuntimeError):  # The loop is closed: it has stopped already.
            self._loop.call_soon_threadsafe(self._stopping.set)

    def join(self) -> None:
        self._thread.join()

    def _run_loop(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _bind(self) -> int:
        self._stopping = asyncio.Event()
        self._health = await HealthProbe.make()
        self._server = grpc.aio.server(options=_options(self._limits))
        self._relay = Relay(self._threads, max_calls=self._limits.calls)
        self._server.add_generic_rpc_handlers(self._relay.handlers())
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        names = (*RELAY_NAMES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        try:
            if self._tls is None:
                return self._server.add_insecure_port(self._address)
            credentials = grpc.ssl_server_credentials([(self._tls.key, self._tls.certificate)])
            return self._server.add_secure_port(self._address, credentials)
        except RuntimeError as error:
            raise PortTakenError(str(error)) from error

    async def _start(self) -> None:
        await self._server.start()
        self._task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        probing = asyncio.create_task(self._health.run())
        await self._stopping.wait()
        probing.cancel()
        await self._health.servicer.enter_graceful_shutdown()
        await self._server.stop(self._drain_seconds)
        await self._relay.finish()
        self._threads.close()
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        # Two servers on one port would take half of the calls each, and nobody would notice.
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_SECONDS * 1_000),
        ("grpc.max_receive_message_length", MAX_MESSAGE_SIZE),
        ("grpc.max_send_message_length", MAX_MESSAGE_SIZE),
        # Above the first, calls are refused more and more often; above the second, always.
        ("grpc.max_metadata_size", limits.metadata_octets),
        ("grpc.absolute_max_metadata_size", limits.metadata_octets),
        ("grpc.max_concurrent_streams", limits.streams),
        ("grpc.max_connection_age_ms", limits.connection_age * 1_000),
        ("grpc.max_connection_age_grace_ms", _AGE_GRACE_SECONDS * 1_000),
        ("grpc.max_connection_idle_ms", limits.connection_idle * 1_000),
        ("grpc.keepalive_time_ms", _KEEPALIVE_SECONDS * 1_000),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_SECONDS * 1_000),
        # Clients that ping more often than this are cut off.
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_SECONDS * 1_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Windows that grow by themselves would let whole messages in that nobody reads yet.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_OCTETS),
    ]
