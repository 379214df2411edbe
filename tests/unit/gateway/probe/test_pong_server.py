import http.client
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus

import pytest

from awala.clients.pohttp import PARCEL_CONTENT_TYPE, deliver_parcel
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from gateway.probe import pong_server
from gateway.probe.pong_server import PongPortError, PongServer
from gateway.probe.target import PongPlace

SECONDS = 5


@pytest.fixture
def server(pong_place: PongPlace) -> Iterator[PongServer]:
    with PongServer(pong_place) as running:
        yield running


def url_of(server: PongServer) -> str:
    return f"http://127.0.0.1:{server.place.port}"


def post(server: PongServer, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
    """With these headers and no others."""
    connection = http.client.HTTPConnection("127.0.0.1", server.place.port, timeout=SECONDS)
    connection.putrequest("POST", "/")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_parcels_are_kept_in_their_order(server: PongServer) -> None:
    for parcel in (b"one", b"two"):
        deliver_parcel(url_of(server), parcel)

    assert [server.receive(SECONDS), server.receive(SECONDS)] == [b"one", b"two"]


def test_nothing_comes(server: PongServer) -> None:
    with pytest.raises(TimeoutError):
        server.receive(0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": PARCEL_CONTENT_TYPE}, HTTPStatus.LENGTH_REQUIRED),
        ({"Content-Type": PARCEL_CONTENT_TYPE, "Content-Length": "-1"}, HTTPStatus.LENGTH_REQUIRED),
        (
            {"Content-Type": PARCEL_CONTENT_TYPE, "Content-Length": str(MAX_RAMF_MESSAGE_SIZE + 1)},
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
        ({"Content-Type": PARCEL_CONTENT_TYPE, "Content-Length": "9" * 5_000}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ({"Content-Type": "text/plain", "Content-Length": "5"}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ({"Content-Length": "5"}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    ],
)
def test_what_is_no_parcel_is_refused_before_it_is_read(
    server: PongServer, headers: dict[str, str], status: HTTPStatus
) -> None:
    response = post(server, headers)

    assert response.status == status
    assert response.getheader("Connection") == "close"
    with pytest.raises(TimeoutError):
        server.receive(0)


def test_parcel_that_ends_early_is_dropped(server: PongServer) -> None:
    with connect(server) as client:
        client.sendall(
            f"POST / HTTP/1.1\r\nContent-Type: {PARCEL_CONTENT_TYPE}\r\nContent-Length: 10\r\n\r\nfive5".encode()
        )
        client.shutdown(socket.SHUT_WR)
        assert not client.recv(1)
    with pytest.raises(TimeoutError):
        server.receive(0)


def test_only_so_many_parcels_are_kept(server: PongServer) -> None:
    headers = {"Content-Type": PARCEL_CONTENT_TYPE, "Content-Length": "5"}
    statuses = [post(server, headers, b"Hello").status for _ in range(17)]

    assert statuses == [HTTPStatus.ACCEPTED] * 16 + [HTTPStatus.SERVICE_UNAVAILABLE]


def test_only_so_many_are_served_at_once(pong_place: PongPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pong_server, "_MAX_CONNECTIONS", 1)
    with PongServer(pong_place) as server:
        with connect(server), connect(server) as another:
            assert not another.recv(1)
        deadline = time.monotonic() + SECONDS
        while not is_served(server):
            assert time.monotonic() < deadline, "There is never room again"


def connect(server: PongServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.place.port), timeout=SECONDS)


def is_served(server: PongServer) -> bool:
    try:
        return post(server, {}).status == HTTPStatus.LENGTH_REQUIRED
    except OSError:
        return False


def test_port_that_is_taken(pong_place: PongPlace) -> None:
    with PongServer(pong_place), pytest.raises(PongPortError, match="cannot listen for the pong endpoint, pong"):
        PongServer(pong_place)


def test_port_is_free_again(pong_place: PongPlace) -> None:
    for _ in range(2):
        with PongServer(pong_place) as server:
            deliver_parcel(url_of(server), b"Hello")


def test_host_that_is_none(pong_place: PongPlace) -> None:
    with pytest.raises(PongPortError):
        PongServer(replace(pong_place, host="192.0.2.1"))
