"""HTTP on the servers of the edges, over real sockets."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gateway.servers.limits import MAX_REQUEST_BODY
from tests.functional.toys import Toy, receive_all, seconds_until_closed, toy_server

pytestmark = pytest.mark.functional

OURS = ("daphne", "waitress")


@pytest.fixture(scope="module", params=OURS)
def toy(request: pytest.FixtureRequest) -> Iterator[Toy]:
    with toy_server(request.param) as server:
        yield server


@pytest.fixture(scope="module", params=(*OURS, "uvicorn"))
def any_toy(request: pytest.FixtureRequest) -> Iterator[Toy]:
    with toy_server(request.param) as server:
        yield server


@pytest.fixture(scope="module", params=OURS)
def hurried_toy(request: pytest.FixtureRequest) -> Iterator[Toy]:
    with toy_server(request.param, "--hurry") as server:
        yield server


def exchange(toy: Toy, request: bytes) -> bytes:
    with toy.connect() as connection:
        connection.sendall(request)
        return receive_all(connection)


def seconds_until_cut(connection: socket.socket) -> float:
    """How long the server bears a client that sends an octet now and then."""
    started_at = time.monotonic()
    with suppress(ConnectionResetError, BrokenPipeError):
        while time.monotonic() - started_at < 10:
            connection.sendall(b"x")
            time.sleep(0.2)
    return time.monotonic() - started_at


def test_media_type_has_no_parameters(any_toy: Toy) -> None:
    response, _ = any_toy.request("GET", "/")

    assert response.headers["Content-Type"] == "text/plain"


def test_servers_do_not_name_themselves(toy: Toy) -> None:
    response, _ = toy.request("GET", "/")

    assert "Server" not in response.headers


def test_largest_body_is_read(any_toy: Toy) -> None:
    body = bytes(MAX_REQUEST_BODY)

    response, answer = any_toy.request("POST", "/", body)

    assert response.status == 200
    assert answer.split()[1:3] == [b"%d" % len(body), hashlib.sha256(body).hexdigest().encode()]


def test_chunked_body_is_read(any_toy: Toy) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )

    assert b" 11 " + hashlib.sha256(b"hello world").hexdigest().encode() in exchange(any_toy, request)


def test_head_has_length_but_no_body(any_toy: Toy) -> None:
    answer = exchange(any_toy, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: " in head.lower()
    assert body == b""


def test_connection_is_kept_after_head(toy: Toy) -> None:
    requests = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    assert exchange(toy, requests).count(b"HTTP/1.1 200 OK") == 2


def test_options_reaches_application(any_toy: Toy) -> None:
    response, _ = any_toy.request("OPTIONS", "/")

    assert response.status == 200


def test_large_length_is_refused_before_body(any_toy: Toy) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_REQUEST_BODY + 1}\r\n\r\n"

    answer = exchange(any_toy, head.encode())

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_client_is_not_told_to_continue_with_too_much(toy: Toy) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {MAX_REQUEST_BODY + 1}\r\n\r\n"

    answer = exchange(toy, head.encode())

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_client_is_told_to_continue(any_toy: Toy) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with any_toy.connect() as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"hello")
        assert b"200 OK" in receive_all(connection)


@pytest.mark.parametrize("chunked", [False, True])
def test_sender_of_too_much_sees_why(toy: Toy, chunked: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    body = bytes(MAX_REQUEST_BODY + 70_000)
    if chunked:
        head = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
        body += b"\r\n0\r\n\r\n"
    else:
        head = b"Content-Length: %d\r\n\r\n" % len(body)

    answer = exchange(toy, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + body)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_refusal_is_json_for_those_who_ask(toy: Toy) -> None:
    response, answer = toy.request("POST", "/", bytes(MAX_REQUEST_BODY + 1), Accept="application/json")

    assert (response.status, response.headers["Content-Type"]) == (413, "application/json")
    assert isinstance(json.loads(answer)["message"], str)


def test_refusal_is_plain_text_otherwise(toy: Toy) -> None:
    response, _ = toy.request("POST", "/", bytes(MAX_REQUEST_BODY + 1))

    assert (response.status, response.headers["Content-Type"]) == (413, "text/plain")


def test_refusal_of_head_has_no_body(toy: Toy) -> None:
    head = f"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_REQUEST_BODY + 1}\r\n\r\n"

    assert exchange(toy, head.encode()).partition(b"\r\n\r\n")[2] == b""


def test_two_lengths_are_refused(toy: Toy) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )

    assert exchange(toy, request).startswith(b"HTTP/1.1 400 ")


def test_long_headers_are_refused(toy: Toy) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"

    assert exchange(toy, request).split()[1] in (b"400", b"431")


def test_failure_of_application_is_opaque(toy: Toy) -> None:
    response, answer = toy.request("GET", "/crash")

    assert response.status == 500
    assert b"on purpose" not in answer


def test_threads_live_on(any_toy: Toy) -> None:
    threads = {any_toy.request("GET", "/")[1].split()[3] for _ in range(20)}

    assert len(threads) <= 4


def test_pipelined_requests_are_answered_in_order(toy: Toy) -> None:
    requests = b"".join(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (length, b"x" * length)
        for length in range(1, 9)
    )

    answer = exchange(toy, requests + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    lengths = [int(line.split()[1]) for line in answer.split(b"\r\n") if b"poweb " in line or b"pohttp " in line]
    assert lengths == [1, 2, 3, 4, 5, 6, 7, 8, 0]


def test_slow_clients_hold_no_thread(toy: Toy) -> None:
    uploads = [toy.connect() for _ in range(12)]
    for upload in uploads:
        upload.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc")

    started_at = time.monotonic()
    response, _ = toy.request("GET", "/")

    assert response.status == 200
    assert time.monotonic() - started_at < 2
    for upload in uploads:
        upload.close()


def test_many_large_bodies_at_once_stay_bounded() -> None:
    for kind in OURS:
        with toy_server(kind) as toy:
            body = bytes(8 * 1024 * 1024)
            statuses: list[int] = []

            def send(toy: Toy = toy, body: bytes = body, statuses: list[int] = statuses) -> None:
                statuses.append(toy.request("POST", "/", body)[0].status)

            senders = [threading.Thread(target=send) for _ in range(50)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            peak_mib = int(toy.request("GET", "/memory")[1]) // 1024
            assert statuses == [200] * 50
            assert peak_mib < 200, f"{kind}: {peak_mib} MiB"


def test_idle_connection_is_closed(hurried_toy: Toy) -> None:
    with hurried_toy.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert seconds_until_closed(connection) < 10


def test_silent_connection_is_closed(hurried_toy: Toy) -> None:
    with hurried_toy.connect() as connection:
        assert seconds_until_closed(connection) < 10


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nX-", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n"]
)
def test_trickling_client_is_cut(hurried_toy: Toy, head: bytes) -> None:
    with hurried_toy.connect() as connection:
        connection.sendall(head)

        assert seconds_until_cut(connection) < 5


@pytest.mark.parametrize("kind", OURS)
def test_request_in_progress_is_answered_while_draining(kind: str) -> None:
    with toy_server(kind) as toy, toy.connect() as busy, toy.connect() as idle:
        idle.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(65_536)
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        toy.terminate()
        time.sleep(0.5)

        with pytest.raises(ConnectionRefusedError):
            toy.connect()
        assert receive_all(idle) == b""
        assert receive_all(busy).startswith(b"HTTP/1.1 200 OK")
        assert toy.process.wait(5) == 0


@pytest.mark.parametrize("kind", OURS)
def test_client_that_never_finishes_does_not_hold_up_the_end(kind: str) -> None:
    with toy_server(kind) as toy, toy.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
        time.sleep(0.5)
        toy.terminate()

        assert toy.process.wait(8) == 0
