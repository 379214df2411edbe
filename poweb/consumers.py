"""PoWeb's WebSocket (RS-016): a private gateway collects the parcels stored for it.

`CollectionServer` decides what each message means; this consumer moves octets between it, the client and the
services. It subscribes to hints before it lists the queue, and lists it again on every hint and every half a
minute, since hints may be lost.
"""

import asyncio
import random
import secrets
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar
from weakref import WeakSet

import structlog
from channels.consumer import AsyncConsumer, get_handler_name
from channels.exceptions import StopConsumer
from django.conf import settings
from django.utils import timezone

from awala.collection import (
    FORBIDDEN_ORIGIN,
    HANDSHAKE_TIMED_OUT,
    INVALID_RESPONSE,
    SERVER_FAILED,
    SERVER_STOPPING,
    Closure,
    CollectionServer,
    HandshakeAnswered,
)
from awala.errors import InvalidMessageError
from gateway.metrics import COLLECTIONS_OPEN, count_collected_parcel
from gateway.models import StoredParcel
from gateway.notifications import collection_group
from gateway.services.authenticate_peer import authenticate_collector
from gateway.services.collect_parcels import acknowledge_parcel, list_queued_parcels, load_parcel
from gateway.units_of_work import do_unit_of_work

HANDSHAKE_SECONDS = 10
RECHECK_SECONDS = 30
_NONCE_SIZE = 16
# The specification's header first: it wins when a client sends both.
_STREAMING_MODE_HEADERS = (b"x-awala-streaming-mode", b"x-relaynet-streaming-mode")
_CLOSE_UPON_COMPLETION = b"close-upon-completion"

Result = TypeVar("Result")

log = structlog.get_logger(__name__)

# Threads that live as long as the process, so that each keeps its database connection.
_threads: Final = ThreadPoolExecutor(max_workers=settings.POWEB_THREADS, thread_name_prefix="collection")
_open_consumers: "Final[WeakSet[CollectionConsumer]]" = WeakSet()
COLLECTIONS_OPEN.set_function(lambda: len(_open_consumers))


def drain() -> None:
    """Ask every collection to end, each once it is done with the message at hand; to be called in their loop."""
    for consumer in tuple(_open_consumers):
        consumer.stop()


class CollectionConsumer(AsyncConsumer):
    """One collector's connection. Thousands of them idle in one process, so each is small."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Prepare for one connection and see it through."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        mode = next((headers[name] for name in _STREAMING_MODE_HEADERS if name in headers), b"")
        self._is_from_browser = b"origin" in headers
        self._collection: CollectionServer[StoredParcel] = CollectionServer(
            nonce=secrets.token_bytes(_NONCE_SIZE),
            is_keep_alive=mode != _CLOSE_UPON_COMPLETION,
            max_in_flight=settings.MAX_PARCELS_IN_FLIGHT,
        )
        self._peer_ids: frozenset[str] = frozenset()
        self._backlog: deque[StoredParcel] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_pumping = False
        self._may_have_more = False
        self._is_open = False
        await super().__call__(scope, receive, send)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the handler of a message. Channels would ask a shared thread to mind the database; ours do."""
        await self._guard(getattr(self, get_handler_name(message))(message))

    async def websocket_connect(self, _message: dict[str, Any]) -> None:
        """Challenge the client; browsers are turned away, since a page could use the device's own network."""
        # Refusals come after the acceptance: before it, no close code would reach the client.
        await self.send({"type": "websocket.accept"})
        self._is_open = True
        if self._is_from_browser:
            await self._close(FORBIDDEN_ORIGIN)
            return
        _open_consumers.add(self)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._spawn_close, HANDSHAKE_TIMED_OUT)
        await self.send({"type": "websocket.send", "bytes": self._collection.challenge})

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Act on a message from the client."""
        octets = message.get("bytes")
        event = self._collection.receive(message["text"] if octets is None else octets)
        if isinstance(event, Closure):
            await self._close(event)
        elif isinstance(event, HandshakeAnswered):
            await self._authenticate(event.nonce_signatures)
        else:
            await _in_thread(acknowledge_parcel, event.token, timezone.now())
            count_collected_parcel()
            await self._pump()

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """Forget the collection; what was not acknowledged will be sent to the next one."""
        self._is_open = False
        self._collection.close(SERVER_STOPPING)
        _open_consumers.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        # Even if that fails, this consumer has come to its end.
        await self._guard(self._unsubscribe())
        log.info("collection_ended", code=message.get("code"), private_peer_ids=sorted(self._peer_ids))
        raise StopConsumer

    async def parcel_stored(self, _message: dict[str, Any]) -> None:
        """Look for new parcels: a hint came from where they are stored."""
        await self._pump()

    def stop(self) -> None:
        """Begin to close the connection from outside its own task."""
        self._spawn_close(SERVER_STOPPING)

    async def _authenticate(self, nonce_signatures: tuple[bytes, ...]) -> None:
        try:
            peer_ids = await _in_thread(
                authenticate_collector, nonce_signatures, self._collection.nonce, timezone.now()
            )
        except InvalidMessageError as error:
            log.info("handshake_refused", reason=str(error))
            await self._close(INVALID_RESPONSE)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._peer_ids = peer_ids
        await self._subscribe()
        self._collection.accept()
        log.info("collection_started", private_peer_ids=sorted(peer_ids))
        await self._recheck()

    async def _subscribe(self) -> None:
        try:
            for peer_id in self._peer_ids:
                await self.channel_layer.group_add(collection_group(peer_id), self.channel_name)
        except Exception:
            # Without hints, new parcels are found when the queue is looked at again.
            log.warning("hints_unavailable", exc_info=True)

    async def _unsubscribe(self) -> None:
        for peer_id in self._peer_ids:
            await self.channel_layer.group_discard(collection_group(peer_id), self.channel_name)

    async def _recheck(self) -> None:
        # Spread, so that all who connected at once do not ask the database at once for ever after.
        seconds = random.uniform(RECHECK_SECONDS * 2 / 3, RECHECK_SECONDS)  # noqa: S311 - no secret
        self._timer = asyncio.get_running_loop().call_later(seconds, self._spawn_recheck)
        await self._pump()

    async def _pump(self) -> None:
        """Send parcels as long as the client may be sent more; a call that finds another at it leaves it a note."""
        self._may_have_more = True
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._collection.can_deliver and (parcel := await self._next_parcel()):
                await self._deliver(parcel)
        finally:
            self._is_pumping = False
        if not self._may_have_more and (closure := self._collection.complete()):
            await self._close(closure)

    async def _next_parcel(self) -> StoredParcel | None:
        while not self._backlog and self._may_have_more:
            self._may_have_more = False
            in_flight = self._collection.in_flight
            page = await _in_thread(list_queued_parcels, self._peer_ids, timezone.now(), excluding=in_flight)
            self._backlog.extend(page)
        return self._backlog.popleft() if self._backlog else None

    async def _deliver(self, parcel: StoredParcel) -> None:
        octets = await _in_thread(load_parcel, parcel, timezone.now())
        if octets is not None and self._collection.can_deliver:
            message = self._collection.deliver(str(uuid.uuid4()), octets, parcel)
            await self.send({"type": "websocket.send", "bytes": message})

    async def _guard(self, work: Awaitable[None]) -> None:
        """See work through; whatever fails ends the collection with a code, and the client keeps its place."""
        try:
            await work
        except StopConsumer:
            raise
        except OSError:
            # The client went away while we were sending; the server is about to tell us so.
            log.debug("collector_gone")
        except Exception:  # A server cuts the connection of an application that raises, without any code.
            log.exception("collection_failed", private_peer_ids=sorted(self._peer_ids))
            await self._close(SERVER_FAILED)

    async def _close(self, closure: Closure) -> None:
        self._collection.close(closure)
        if self._is_open:
            self._is_open = False
            await self.send({"type": "websocket.close", "code": closure.code, "reason": closure.reason})

    def _spawn_recheck(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._guard(self._recheck()))

    def _spawn_close(self, closure: Closure) -> None:
        self._task = asyncio.get_running_loop().create_task(self._guard(self._close(closure)))


async def _in_thread(service: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Run a service in one of the threads, on a database connection that works."""
    work = partial(do_unit_of_work, service, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
