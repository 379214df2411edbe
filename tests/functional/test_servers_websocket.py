"""WebSockets on the servers of the PoWeb port, over real sockets."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from tests.functional.toys import Toy, toy_server

pytestmark = pytest.mark.functional

REASON = "because of this"


@pytest.fixture(scope="module")
def daphne() -> Iterator[Toy]:
    with toy_server("daphne") as server:
        yield server


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def toy(request: pytest.FixtureRequest) -> Iterator[Toy]:
    with toy_server(request.param) as server:
        yield server


def open_websocket(toy: Toy, path: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{toy.port}{path}", max_size=None, ping_interval=None)


def wait_for_close(websocket: ClientConnection) -> tuple[int, str]:
    while True:
        try:
            websocket.recv(timeout=20)
        except ConnectionClosed:
            assert websocket.close_code is not None
            return websocket.close_code, websocket.close_reason or ""


class FrameReader:
    """A client that sees every frame, and answers none that it is not told to."""

    def __init__(self, toy: Toy, path: str, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.connect(("127.0.0.1", toy.port))
        self._socket.settimeout(20)
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{toy.port}{path}"), max_size=None)
        self._protocol.send_request(self._protocol.connect())
        self.flush()
        while not self._protocol.handshake_exc and self._protocol.state.name == "CONNECTING":
            self._read()
        self._protocol.events_received()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def next_frames(self, octets: int = 65_536) -> list[Frame] | None:
        """The frames that came in, without their pongs being sent; none once the server has cut the connection."""
        try:
            if not self._read(octets):
                return None
        except ConnectionResetError:
            return None
        return [event for event in self._protocol.events_received() if isinstance(event, Frame)]

    def ping(self) -> None:
        self._protocol.send_ping(b"of the client")

    def talk(self) -> None:
        self._protocol.send_text(b"hello")

    def flush(self) -> None:
        """Send what was prepared, pongs for the pings read included."""
        for octets in self._protocol.data_to_send():
            self._socket.sendall(octets)

    def discard(self) -> None:
        self._protocol.data_to_send()

    def _read(self, octets: int = 65_536) -> bool:
        data = self._socket.recv(octets)
        self._protocol.receive_data(data) if data else self._protocol.receive_eof()
        return bool(data)


@pytest.mark.parametrize("code", [1000, 1003, 1008, 1011, 4000])
def test_close_after_accept_arrives_as_sent(toy: Toy, code: int) -> None:
    with open_websocket(toy, f"/close?code={code}&reason={REASON.replace(' ', '+')}") as websocket:
        assert wait_for_close(websocket) == (code, REASON)


def test_close_needs_no_reason(daphne: Toy) -> None:
    with open_websocket(daphne, "/close?code=4000") as websocket:
        assert wait_for_close(websocket) == (4000, "")


def test_long_reason_is_cut_between_characters(daphne: Toy) -> None:
    with open_websocket(daphne, "/close?code=4000&reason=" + "%C3%A9" * 100) as websocket:
        assert wait_for_close(websocket) == (4000, "é" * 61)


def test_close_before_accept_is_forbidden(toy: Toy) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_websocket(toy, "/refuse")

    assert caught.value.response.status_code == 403


def test_failed_handshake_harms_nobody(daphne: Toy) -> None:
    response, _ = daphne.request("GET", "/echo", Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Version="13")

    assert response.status == 400
    with open_websocket(daphne, "/echo") as websocket:
        websocket.send("still here")
        assert websocket.recv() == "still here"


@pytest.mark.parametrize("message", ["text", b"octets", "", b"", bytes(65_536), "é" * 32_768])
def test_messages_pass_both_ways(toy: Toy, message: str | bytes) -> None:
    with open_websocket(toy, "/echo") as websocket:
        websocket.send(message)

        assert websocket.recv(timeout=10) == message


def test_large_message_arrives_whole_and_in_order(toy: Toy) -> None:
    with open_websocket(toy, "/flood?size=9437184") as websocket:
        assert websocket.recv(timeout=10) == bytes(9_437_184)
        assert websocket.recv(timeout=10) == "done"


@pytest.mark.parametrize("size", [65_537, 10_000_000])
def test_message_too_big_is_refused(toy: Toy, size: int) -> None:
    with open_websocket(toy, "/echo") as websocket:
        with suppress(ConnectionClosed):
            websocket.send(bytes(size))

        assert wait_for_close(websocket)[0] == 1009


def test_fragments_too_big_together_are_refused(toy: Toy) -> None:
    with open_websocket(toy, "/echo") as websocket:
        with suppress(ConnectionClosed):
            websocket.send([bytes(40_000), bytes(40_000)])

        assert wait_for_close(websocket)[0] == 1009


def test_unread_messages_do_not_pile_up(daphne: Toy) -> None:
    with open_websocket(daphne, "/deaf") as websocket:
        with suppress(ConnectionClosed):
            for _ in range(100):
                websocket.send(b"x")

        assert wait_for_close(websocket)[0] == 1008


def test_failing_application_closes_with_1011(daphne: Toy) -> None:
    with open_websocket(daphne, "/crash") as websocket:
        assert wait_for_close(websocket)[0] == 1011


def test_silent_client_is_pinged_and_then_dropped(toy: Toy) -> None:
    started_at = time.monotonic()
    pings = []
    with FrameReader(toy, "/echo") as client:
        while (frames := client.next_frames()) is not None:
            client.discard()
            pings += [time.monotonic() - started_at for frame in frames if frame.opcode is Opcode.PING]
            if any(frame.opcode is Opcode.CLOSE for frame in frames):
                break

    assert pings[0] == pytest.approx(5, abs=0.5)
    assert time.monotonic() - started_at == pytest.approx(9, abs=1)


def test_client_that_talks_is_pinged_too(toy: Toy) -> None:
    started_at = time.monotonic()
    pings: list[float] = []
    with FrameReader(toy, "/echo") as client:
        while len(pings) < 2:
            client.talk()
            client.flush()
            frames = client.next_frames()
            assert frames is not None
            pings += [time.monotonic() - started_at for frame in frames if frame.opcode is Opcode.PING]
            time.sleep(0.1)

    assert pings == [pytest.approx(5, abs=0.5), pytest.approx(10, abs=0.5)]


def test_pings_and_pongs_overtake_a_parcel_on_a_slow_link(daphne: Toy) -> None:
    seen: list[Opcode] = []
    started_at = time.monotonic()
    with FrameReader(daphne, "/flood?size=1000000", receive_buffer=8192) as client:
        client.ping()
        client.flush()
        while Opcode.TEXT not in seen:
            frames = client.next_frames(8192)
            assert frames is not None
            client.flush()
            seen += [frame.opcode for frame in frames]
            time.sleep(0.09)

    assert time.monotonic() - started_at > 9, "the link was too fast to show anything"
    assert Opcode.PONG in seen[: seen.index(Opcode.TEXT) - 1]
    assert Opcode.PING in seen[: seen.index(Opcode.TEXT) - 1]


def test_client_that_stops_reading_is_dropped(daphne: Toy) -> None:
    with FrameReader(daphne, "/flood?size=9000000", receive_buffer=8192) as client:
        time.sleep(10.5)
        while client.next_frames() is not None:
            pass


def test_application_closes_its_websockets_while_draining(daphne: Toy) -> None:
    with toy_server("daphne") as toy, open_websocket(toy, "/hold") as websocket:
        toy.terminate()

        assert wait_for_close(websocket) == (4000, "drained")
        assert toy.process.wait(3) == 0


def test_websockets_left_by_application_are_closed_while_draining() -> None:
    with toy_server("daphne", "--ignore-drain") as toy, open_websocket(toy, "/hold") as websocket:
        toy.terminate()

        assert wait_for_close(websocket) == (4000, "The server is stopping")
        assert toy.process.wait(5) == 0


def test_application_that_hangs_does_not_hold_up_the_end() -> None:
    with toy_server("daphne") as toy, open_websocket(toy, "/deaf") as websocket:
        toy.terminate()

        assert wait_for_close(websocket)[0] == 4000
        assert toy.process.wait(8) == 0


def test_http_goes_on_beside_websockets(daphne: Toy) -> None:
    with open_websocket(daphne, "/hold"):
        response, _ = daphne.request("GET", "/")

        assert isinstance(response, http.client.HTTPResponse)
        assert response.status == 200
