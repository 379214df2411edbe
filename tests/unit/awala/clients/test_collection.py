import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import Queue
from threading import Event, Thread

import pytest
from websockets.asyncio import server as asyncio_server
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from awala.asn1 import oids
from awala.clients.collection import Signer, StreamingMode, open_collection
from awala.clients.errors import (
    ClientError,
    CollectionClosedError,
    InvalidAnswerError,
    RejectedRequestError,
    ServerUnavailableError,
)
from awala.clients.poweb import PoWebClient
from awala.errors import InvalidArgumentError
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from awala.parcel_delivery import ParcelDelivery
from awala.signatures import verify_detached
from tests import factories

GATEWAY = factories.gateway_certificate()
SIGNERS = [
    Signer(private_key=factories.rsa_key(name), certificate=factories.gateway_certificate(name, issuer=GATEWAY))
    for name in ("private gateway", "other private gateway")
]
NONCE = b"sixteen octets.."
KEEP_ALIVE = StreamingMode.KEEP_ALIVE


@dataclass(kw_only=True)
class CollectionServer:
    """What the server under test was told by its clients."""

    url: str = ""
    responses: Queue[bytes] = field(default_factory=Queue)
    acknowledgements: Queue[str | bytes] = field(default_factory=Queue)
    requests: Queue[Request] = field(default_factory=Queue)
    closures: Queue[tuple[int, str]] = field(default_factory=Queue)


Handler = Callable[[ServerConnection], None]


@contextmanager
def serving(after_handshake: Handler = lambda _: None, *, instead: Handler | None = None) -> Iterator[CollectionServer]:
    """Serve a handshake and then `after_handshake`, or something else `instead` of both."""
    state = CollectionServer()

    def shake_hands(connection: ServerConnection) -> None:
        connection.send(HandshakeChallenge(nonce=NONCE).serialize())
        response = connection.recv()
        assert isinstance(response, bytes)
        state.responses.put(response)
        after_handshake(connection)

    def handle(connection: ServerConnection) -> None:
        assert connection.request
        state.requests.put(connection.request)
        try:
            (instead or shake_hands)(connection)
            for acknowledgement in connection:
                state.acknowledgements.put(acknowledgement)
        except ConnectionClosed:
            pass
        state.closures.put((connection.protocol.close_code or 0, connection.protocol.close_reason or ""))

    with serve(handle, "127.0.0.1", 0) as server, _running(server):
        state.url = f"ws://localhost:{server.socket.getsockname()[1]}/v1/parcel-collection"
        yield state


@contextmanager
def _running(server: Server) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def serving_tls(tls: ssl.SSLContext) -> Iterator[str]:
    """Serve two parcels over TLS, which needs a server that reads and writes in one thread."""

    async def handle(connection: asyncio_server.ServerConnection) -> None:
        await connection.send(HandshakeChallenge(nonce=NONCE).serialize())
        await connection.recv()
        for number in range(2):
            await connection.send(delivery(number))
            assert await connection.recv() == f"delivery-{number}"

    async def run() -> None:
        async with asyncio_server.serve(handle, "127.0.0.1", 0, ssl=tls) as server:
            loops.put(asyncio.get_running_loop())
            ports.put(server.sockets[0].getsockname()[1])
            await over.wait()

    loops: Queue[asyncio.AbstractEventLoop] = Queue()
    ports: Queue[int] = Queue()
    over = asyncio.Event()
    thread = Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    try:
        yield f"wss://localhost:{ports.get(timeout=5)}/"
    finally:
        loops.get(timeout=5).call_soon_threadsafe(over.set)
        thread.join()


def connect(url: str, *, timeout: float = 10) -> None:
    with open_collection(url, SIGNERS, KEEP_ALIVE, timeout=timeout):
        pass


def delivery(number: int, size: int = 1) -> bytes:
    return ParcelDelivery(delivery_id=f"delivery-{number}", parcel_serialized=bytes(size)).serialize()


def send_two_and_finish(connection: ServerConnection) -> None:
    for number in range(2):
        connection.send(delivery(number))
        assert connection.recv() == f"delivery-{number}"
    connection.close(1000)


class TestHandshake:
    def test_every_signer_signs_the_nonce(self) -> None:
        with serving() as server, open_collection(server.url, SIGNERS, KEEP_ALIVE):
            response = HandshakeResponse.deserialize(server.responses.get(timeout=5))
        ids = [
            verify_detached(
                signature, NONCE, oids.PARCEL_COLLECTION_HANDSHAKE, trusted=(GATEWAY,), now=factories.NOW
            ).node_id
            for signature in response.nonce_signatures
        ]
        assert ids == [signer.certificate.node_id for signer in SIGNERS]

    @pytest.mark.parametrize("mode", StreamingMode)
    def test_mode_is_said_under_both_names(self, mode: StreamingMode) -> None:
        with serving() as server, open_collection(server.url, SIGNERS, mode):
            headers = server.requests.get(timeout=5).headers
        assert headers["X-Awala-Streaming-Mode"] == mode.value
        assert headers["X-Relaynet-Streaming-Mode"] == mode.value
        assert "Origin" not in headers

    def test_over_tls(self, tls_server_context: ssl.SSLContext) -> None:
        with (
            serving_tls(tls_server_context) as url,
            open_collection(url, SIGNERS, KEEP_ALIVE) as collection,
        ):
            for parcel in collection:
                parcel.acknowledge()

    @pytest.mark.parametrize("message", [b"", b"\x30\x00", "text"])
    def test_challenge_that_is_none(self, message: bytes | str) -> None:
        with (
            serving(instead=lambda connection: connection.send(message)) as server,
            pytest.raises(InvalidAnswerError, match="no valid handshake challenge"),
        ):
            connect(server.url)
        assert server.closures.get(timeout=5) == (1003, "Invalid handshake challenge")

    def test_no_challenge_in_time(self) -> None:
        with (
            serving(instead=lambda _: None) as server,
            pytest.raises(ServerUnavailableError, match="no handshake challenge"),
        ):
            connect(server.url, timeout=0.2)
        assert server.closures.get(timeout=5) == (1003, "Handshake took too long")

    def test_closed_before_the_challenge(self) -> None:
        with (
            serving(instead=lambda connection: connection.close(1011, "No database")) as server,
            pytest.raises(CollectionClosedError) as caught,
        ):
            connect(server.url)
        assert (caught.value.code, caught.value.reason) == (1011, "No database")

    def test_refused_response(self) -> None:
        with (
            serving(lambda connection: connection.close(1003, "Invalid handshake response")) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
            pytest.raises(CollectionClosedError, match="1003: Invalid handshake response") as caught,
        ):
            collection.receive()
        assert not caught.value.retryable


class TestConnection:
    def test_nobody_listens(self, dead_port: int) -> None:
        with pytest.raises(ServerUnavailableError, match="Cannot reach"):
            connect(f"ws://127.0.0.1:{dead_port}/")

    @pytest.mark.parametrize("url", ["http://example.com/", "ws://", "ws://example.com:99999/"])
    def test_url_of_another_kind(self, url: str) -> None:
        with pytest.raises(InvalidArgumentError, match="URL"):
            connect(url)

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (HTTPStatus.SERVICE_UNAVAILABLE, ServerUnavailableError),
            (HTTPStatus.NOT_FOUND, RejectedRequestError),
            (HTTPStatus.OK, InvalidAnswerError),
            (HTTPStatus.TEMPORARY_REDIRECT, InvalidAnswerError),
        ],
    )
    def test_no_upgrade(self, status: HTTPStatus, error: type[ClientError]) -> None:
        def refuse(connection: ServerConnection, _: Request) -> Response:
            response = connection.respond(status, "No")
            response.headers["Location"] = "/"
            return response

        with serve(lambda _: None, "127.0.0.1", 0, process_request=refuse) as server, _running(server):
            port = server.socket.getsockname()[1]
            with pytest.raises(error, match=str(status.value)):
                connect(f"ws://127.0.0.1:{port}/")

    def test_upgrade_to_something_else(self) -> None:
        def spoil(_: ServerConnection, __: Request, response: Response) -> Response:
            del response.headers["Sec-WebSocket-Accept"]
            return response

        with serve(lambda _: None, "127.0.0.1", 0, process_response=spoil) as server, _running(server):
            port = server.socket.getsockname()[1]
            with pytest.raises(InvalidAnswerError, match="No WebSocket"):
                connect(f"ws://127.0.0.1:{port}/")


class TestParcels:
    @pytest.mark.parametrize("mode", StreamingMode)
    def test_come_until_the_server_has_no_more(self, mode: StreamingMode) -> None:
        with serving(send_two_and_finish) as server, open_collection(server.url, SIGNERS, mode) as collection:
            ids = []
            for parcel in collection:
                assert parcel.parcel_serialized == b"\x00"
                parcel.acknowledge()
                ids.append(parcel.delivery_id)
        assert ids == ["delivery-0", "delivery-1"]

    def test_are_not_acknowledged_by_themselves(self) -> None:
        with (
            serving(lambda connection: connection.send(delivery(0))) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
        ):
            assert collection.receive() is not None
        server.closures.get(timeout=5)
        assert server.acknowledgements.empty()

    def test_can_be_waited_for_again(self) -> None:
        due = Event()

        def send_when_due(connection: ServerConnection) -> None:
            due.wait(10)
            connection.send(delivery(0))

        with serving(send_when_due) as server, open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection:
            with pytest.raises(TimeoutError):
                collection.receive(timeout=0.05)
            due.set()
            assert collection.receive(timeout=5) is not None

    def test_as_large_as_allowed(self) -> None:
        size = MAX_RAMF_MESSAGE_SIZE - len(delivery(0, MAX_RAMF_MESSAGE_SIZE)) + MAX_RAMF_MESSAGE_SIZE
        with (
            serving(lambda connection: connection.send(delivery(0, size))) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
        ):
            parcel = collection.receive(timeout=10)
        assert parcel is not None
        assert len(parcel.parcel_serialized) == size

    def test_too_large(self) -> None:
        with (
            serving(lambda connection: connection.send(delivery(0, MAX_RAMF_MESSAGE_SIZE))) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
            pytest.raises(CollectionClosedError) as caught,
        ):
            collection.receive(timeout=10)
        assert caught.value.code == 1009

    @pytest.mark.parametrize("message", [b"", b"\x30\x00", "text"])
    def test_that_are_none(self, message: bytes | str) -> None:
        with (
            serving(lambda connection: connection.send(message)) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
            pytest.raises(InvalidAnswerError, match="no valid parcel delivery"),
        ):
            collection.receive()
        assert server.closures.get(timeout=5) == (1003, "Malformed parcel delivery")


class TestClosure:
    @pytest.mark.parametrize(("code", "reason"), [(1001, ""), (4000, "Server is stopping")])
    def test_before_the_end(self, code: int, reason: str) -> None:
        with (
            serving(lambda connection: connection.close(code, reason)) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
            pytest.raises(CollectionClosedError) as caught,
        ):
            collection.receive()
        assert (caught.value.code, caught.value.reason) == (code, reason)
        assert caught.value.retryable

    def test_connection_that_breaks(self) -> None:
        with (
            serving(lambda connection: connection.socket.shutdown(2)) as server,
            open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection,
            pytest.raises(CollectionClosedError, match="the connection broke") as caught,
        ):
            collection.receive()
        assert caught.value.code == 1006

    def test_before_the_acknowledgement(self) -> None:
        def send_and_close(connection: ServerConnection) -> None:
            connection.send(delivery(0))
            connection.close(4000)

        with serving(send_and_close) as server, open_collection(server.url, SIGNERS, KEEP_ALIVE) as collection:
            parcel = collection.receive()
            server.closures.get(timeout=5)
            assert parcel is not None
            with pytest.raises(CollectionClosedError):
                parcel.acknowledge()

    def test_by_the_client(self) -> None:
        with serving() as server:
            connect(server.url)
            assert server.closures.get(timeout=5)[0] == 1000

    def test_pings_are_answered(self) -> None:
        answered = Event()

        def ping(connection: ServerConnection) -> None:
            if connection.ping().wait(5):
                answered.set()

        with serving(ping) as server, open_collection(server.url, SIGNERS, KEEP_ALIVE):
            assert answered.wait(5)


def test_poweb_client_knows_the_place() -> None:
    with serving(send_two_and_finish) as server:
        url = server.url.replace("ws://", "http://").removesuffix("/v1/parcel-collection")
        with PoWebClient(url) as client, client.collect(SIGNERS, StreamingMode.CLOSE_UPON_COMPLETION) as collection:
            for parcel in collection:
                parcel.acknowledge()
        assert server.requests.get(timeout=5).path == "/v1/parcel-collection"
