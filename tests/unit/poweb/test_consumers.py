"""The consumer between the socket and the services, which stand in here: what happens when, and if something fails."""
# mypy: allow-untyped-calls

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer
from django.utils import timezone

from awala.collection import (
    COMPLETED,
    FORBIDDEN_ORIGIN,
    HANDSHAKE_TIMED_OUT,
    INVALID_RESPONSE,
    SERVER_FAILED,
    SERVER_STOPPING,
    UNEXPECTED_MESSAGE,
    UNKNOWN_DELIVERY,
    Closure,
)
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.parcel_delivery import ParcelDelivery
from gateway.channel_layer import InProcessChannelLayer
from gateway.errors import RecordUnavailableError, StorageUnavailableError
from gateway.models import StoredParcel
from gateway.notifications import collection_group, notify_peer
from poweb import consumers
from poweb.consumers import CollectionConsumer
from tests.unit.edges import gateway_errors, message_errors

PEER = "0peer"
RESPONSE = HandshakeResponse(nonce_signatures=(b"signature",)).serialize()
CLOSE_UPON_COMPLETION = ((b"x-relaynet-streaming-mode", b"close-upon-completion"),)
MESSAGE_ERRORS = sorted(message_errors(), key=lambda error: error.__name__)
GATEWAY_ERRORS = sorted(gateway_errors(), key=lambda error: error.__name__)

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass
class Services:
    """What the consumer calls; each may be told to fail, or to wait."""

    queue: list[StoredParcel] = field(default_factory=list)
    acknowledged: list[StoredParcel] = field(default_factory=list)
    lists: int = 0
    errors: dict[str, Exception] = field(default_factory=dict)
    on_list: Callable[[], object] = lambda: None
    may_authenticate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_authenticate.set()

    def authenticate_collector(self, _signatures: object, _nonce: bytes, _now: datetime) -> frozenset[str]:
        assert self.may_authenticate.wait(5)
        self._fail("authenticate_collector")
        return frozenset({PEER})

    def list_queued_parcels(
        self, _peer_ids: object, _now: datetime, *, excluding: Collection[StoredParcel]
    ) -> list[StoredParcel]:
        self.lists += 1
        self.on_list()
        self._fail("list_queued_parcels")
        return [parcel for parcel in self.queue if parcel not in excluding]

    def load_parcel(self, parcel: StoredParcel, _now: datetime) -> bytes | None:
        self._fail("load_parcel")
        return str(parcel.id).encode() if parcel in self.queue else None

    def acknowledge_parcel(self, parcel: StoredParcel, _now: datetime) -> None:
        self._fail("acknowledge_parcel")
        self.queue.remove(parcel)
        self.acknowledged.append(parcel)

    def store(self, number: int = 1) -> list[StoredParcel]:
        parcels = [
            StoredParcel(id=uuid.uuid4(), peer_id=PEER, expires_at=timezone.now() + timedelta(hours=1))
            for _ in range(number)
        ]
        self.queue.extend(parcels)
        return parcels

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]


@dataclass
class Client:
    """One connection to the consumer."""

    communicator: ApplicationCommunicator

    async def send(self, message: bytes | str) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self.communicator.send_input({"type": "websocket.receive", kind: message})

    async def receive(self) -> dict[str, Any]:
        return cast("dict[str, Any]", await self.communicator.receive_output(timeout=5))

    async def shake_hands(self) -> None:
        await self.send(RESPONSE)

    async def take(self) -> ParcelDelivery:
        return ParcelDelivery.deserialize((await self.receive())["bytes"])

    async def expect_close(self, closure: Closure) -> None:
        expected = {"type": "websocket.close", "code": closure.code, "reason": closure.reason}
        assert await self.receive() == expected

    async def expect_nothing(self) -> None:
        assert await self.communicator.receive_nothing(timeout=0.1)

    async def disconnect(self) -> None:
        await self.communicator.send_input({"type": "websocket.disconnect", "code": 1006})
        await self.communicator.wait(timeout=5)


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    stand_in = Services()
    for name in ("authenticate_collector", "list_queued_parcels", "load_parcel", "acknowledge_parcel"):
        monkeypatch.setattr(consumers, name, getattr(stand_in, name))
    return stand_in


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes connections that are past the challenge, and ends them after the test."""
    clients: list[Client] = []

    async def open_connection(headers: Headers = ()) -> Client:
        scope = {"type": "websocket", "path": "/v1/parcel-collection", "headers": list(headers)}
        client = Client(ApplicationCommunicator(CollectionConsumer.as_asgi(), scope))
        clients.append(client)
        await client.communicator.send_input({"type": "websocket.connect"})
        assert await client.receive() == {"type": "websocket.accept"}
        if not any(name == b"origin" for name, _ in headers):
            challenge = await client.receive()
            assert len(HandshakeChallenge.deserialize(challenge["bytes"]).nonce) == 16
        return client

    yield open_connection
    for client in clients:
        if not client.communicator.future.done():
            await client.disconnect()


# ---------------------------------------------------------------- Collecting


async def test_parcels_one_by_one(services: Services, connect: Connect) -> None:
    parcels = services.store(3)
    client = await connect(CLOSE_UPON_COMPLETION)
    await client.shake_hands()

    for parcel in parcels:
        delivery = await client.take()
        assert delivery.parcel_serialized == str(parcel.id).encode()
        await client.expect_nothing()
        await client.send(delivery.delivery_id)

    await client.expect_close(COMPLETED)
    assert services.acknowledged == parcels


async def test_hint_brings_what_was_stored(services: Services, connect: Connect) -> None:
    client = await connect()
    await client.shake_hands()
    await client.expect_nothing()

    services.store()
    notify_peer(PEER)

    await client.take()


async def test_subscription_comes_before_the_list(services: Services, connect: Connect) -> None:
    """Listing first, a parcel stored between the two would wait for the next connection."""
    layer = get_channel_layer()
    assert isinstance(layer, InProcessChannelLayer)
    subscribed: list[bool] = []
    services.on_list = lambda: subscribed.append(collection_group(PEER) in layer._groups)  # noqa: SLF001
    client = await connect()

    await client.shake_hands()
    await client.expect_nothing()

    assert subscribed == [True]


async def test_hint_while_the_queue_is_listed(services: Services, connect: Connect) -> None:
    """The list may have been read before the parcel was there, so it is read again."""

    def store_behind_the_list() -> None:
        if services.lists == 1:
            notify_peer(PEER)
        else:
            services.store()
            services.on_list = lambda: None

    services.on_list = store_behind_the_list
    client = await connect()
    await client.shake_hands()

    await client.take()

    assert services.lists >= 2


async def test_parcels_are_looked_for_without_a_hint(
    services: Services, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every hint can be lost."""
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.2)
    client = await connect()
    await client.shake_hands()
    await client.expect_nothing()

    services.store()

    await client.take()


async def test_parcel_settled_since_it_was_listed_is_passed_by(services: Services, connect: Connect) -> None:
    first, gone, last = services.store(3)
    client = await connect(CLOSE_UPON_COMPLETION)
    await client.shake_hands()
    delivery = await client.take()
    services.queue.remove(gone)

    await client.send(delivery.delivery_id)

    assert (await client.take()).parcel_serialized == str(last.id).encode()
    assert services.acknowledged == [first]


async def test_nothing_is_lost_of_what_a_connection_did_not_acknowledge(services: Services, connect: Connect) -> None:
    services.store()
    client = await connect()
    await client.shake_hands()
    await client.take()

    await client.disconnect()

    assert services.acknowledged == []


# ---------------------------------------------------------------- The handshake


async def test_browser(services: Services, connect: Connect) -> None:
    client = await connect(((b"origin", b"https://example.com"),))

    await client.expect_close(FORBIDDEN_ORIGIN)


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
async def test_every_invalid_signature_closes_with_1003(
    services: Services, connect: Connect, error: type[Exception]
) -> None:
    services.errors["authenticate_collector"] = error("why")
    client = await connect()

    await client.shake_hands()

    await client.expect_close(INVALID_RESPONSE)


@pytest.mark.parametrize("error", [*GATEWAY_ERRORS, ValueError])
async def test_every_failure_of_ours_closes_with_4000(
    services: Services, connect: Connect, error: type[Exception]
) -> None:
    services.errors["authenticate_collector"] = error("why")
    client = await connect()

    await client.shake_hands()

    await client.expect_close(SERVER_FAILED)


async def test_handshake_that_takes_too_long(
    services: Services, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "HANDSHAKE_SECONDS", 0.05)
    client = await connect()

    await client.expect_close(HANDSHAKE_TIMED_OUT)
    await client.shake_hands()
    await client.expect_nothing()


async def test_message_during_the_handshake(services: Services, connect: Connect) -> None:
    """It waits its turn, and then it acknowledges nothing."""
    services.may_authenticate.clear()
    client = await connect()
    await client.shake_hands()
    await client.send("early")
    services.may_authenticate.set()

    await client.expect_close(UNKNOWN_DELIVERY)


async def test_stop_during_the_handshake(services: Services, connect: Connect) -> None:
    services.store()
    services.may_authenticate.clear()
    client = await connect()
    await client.shake_hands()
    await client.expect_nothing()

    consumers.drain()
    await client.expect_close(SERVER_STOPPING)
    services.may_authenticate.set()

    await client.expect_nothing()


# ---------------------------------------------------------------- The end


async def test_drain(services: Services, connect: Connect) -> None:
    idle, unfinished = await connect(), await connect()
    await idle.shake_hands()
    await idle.expect_nothing()

    consumers.drain()

    await idle.expect_close(SERVER_STOPPING)
    await unfinished.expect_close(SERVER_STOPPING)


async def test_acknowledgement_that_crosses_the_closing(services: Services, connect: Connect) -> None:
    (parcel,) = services.store()
    client = await connect()
    await client.shake_hands()
    delivery = await client.take()
    consumers.drain()
    await client.expect_close(SERVER_STOPPING)

    await client.send(delivery.delivery_id)
    await client.disconnect()

    assert services.acknowledged == [parcel]


@pytest.mark.parametrize("headers", [(), CLOSE_UPON_COMPLETION], ids=["keep-alive", "close-upon-completion"])
@pytest.mark.parametrize(
    ("service", "error"),
    [
        ("list_queued_parcels", RecordUnavailableError("locked")),
        ("load_parcel", StorageUnavailableError("read-only")),
        ("load_parcel", MemoryError()),
    ],
)
async def test_failure_before_a_delivery(
    services: Services, connect: Connect, service: str, error: Exception, headers: Headers
) -> None:
    """Never 1000: neither client would come back for what it has not been sent."""
    services.store()
    services.errors[service] = error
    client = await connect(headers)

    await client.shake_hands()

    await client.expect_close(SERVER_FAILED)


async def test_failure_to_acknowledge(services: Services, connect: Connect) -> None:
    services.store(2)
    client = await connect(CLOSE_UPON_COMPLETION)
    await client.shake_hands()
    delivery = await client.take()
    services.errors["acknowledge_parcel"] = RecordUnavailableError("locked")

    await client.send(delivery.delivery_id)

    await client.expect_close(SERVER_FAILED)
    assert len(services.queue) == 2


async def test_unknown_acknowledgement(services: Services, connect: Connect) -> None:
    client = await connect()
    await client.shake_hands()

    await client.send("unknown")

    await client.expect_close(UNKNOWN_DELIVERY)
    assert UNKNOWN_DELIVERY.code == UNEXPECTED_MESSAGE.code == 1003


async def test_groups_are_left_at_the_end(services: Services, connect: Connect) -> None:
    layer = get_channel_layer()
    assert isinstance(layer, InProcessChannelLayer)
    client = await connect()
    await client.shake_hands()
    await client.expect_nothing()

    await client.disconnect()

    assert layer._groups == {}  # noqa: SLF001 - nobody else can tell


async def test_end_comes_though_the_channel_layer_fails(
    services: Services, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object, _group: str, _channel: str) -> None:
        raise ConnectionError("Redis is away")

    client = await connect()
    await client.shake_hands()
    await client.expect_nothing()
    with monkeypatch.context() as patched:
        patched.setattr(InProcessChannelLayer, "group_discard", fail)
        await client.disconnect()

    assert client.communicator.future.done()
    layer = get_channel_layer()
    assert layer is not None
    await layer.flush()


async def test_client_that_went_away_while_it_was_sent_a_parcel(services: Services) -> None:
    """Its server raises then; that is no failure of ours, and the disconnection is about to be told."""
    services.store()
    sent: list[str] = []
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])
        if len(sent) > 2:
            raise ConnectionResetError

    scope = {"type": "websocket", "path": "/v1/parcel-collection", "headers": []}
    for message in (
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "bytes": RESPONSE},
        {"type": "websocket.disconnect", "code": 1006},
    ):
        messages.put_nowait(message)

    application: Any = CollectionConsumer.as_asgi()
    await asyncio.wait_for(application(scope, messages.get, send), 5)

    assert sent == ["websocket.accept", "websocket.send", "websocket.send"]
    assert services.acknowledged == []
