import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Thread

import pytest

from awala.clients.connections import MAX_RECEIVED, Connections, Deadline, FindAddresses, trust_system_resolver
from awala.clients.errors import (
    ClientError,
    ConnectionFailedError,
    ForbiddenTargetError,
    InvalidAnswerError,
    ServerUnavailableError,
)
from awala.clients.http import Answer
from tests.unit.awala.clients.http_server import Reply, Request, replies, serve
from tests.unit.awala.clients.raw_server import RawServer, hang, read_request, send_repeatedly, serve_raw

OK_HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000000000\r\n\r\n"

Open = Callable[..., Connections]


@pytest.fixture
def open_connections() -> Iterator[Open]:
    opened: list[Connections] = []

    def open_one(
        find_addresses: FindAddresses = trust_system_resolver, *, timeout: float = 5, limit: int = 4
    ) -> Connections:
        connections = Connections(find_addresses=find_addresses, timeout_seconds=timeout, max_connections=limit)
        opened.append(connections)
        return connections

    yield open_one
    for connections in opened:
        connections.close()


def post(connections: Connections, url: str, body: bytes = b"body", *, seconds: float = 15) -> Answer:
    return connections.post(url, body, {"Content-Type": "text/plain"}, Deadline(seconds))


def fail(connections: Connections, url: str, body: bytes = b"body", *, seconds: float = 15) -> ClientError:
    with pytest.raises(ClientError) as caught:
        post(connections, url, body, seconds=seconds)
    assert caught.value.retryable
    return caught.value


class TestExchange:
    def test_request_is_as_told(self, open_connections: Open) -> None:
        with serve(replies(Reply(status=202))) as server:
            post(open_connections(), server.url + "a?b=c#d")
        [request] = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/a?b=c", b"body")
        assert request.headers["Host"] == server.url.split("/")[2]
        assert request.headers["Content-Type"] == "text/plain"
        assert request.headers["Accept-Encoding"] == "identity"

    def test_answer_is_as_received(self, open_connections: Open) -> None:
        headers = {"Content-Type": "text/html", "Location": "/there", "Retry-After": "7"}
        with serve(replies(Reply(status=503, headers=headers, body=b"later"))) as server:
            answer = post(open_connections(), server.url)
        assert answer == Answer(status=503, content_type="text/html", location="/there", retry_after="7", body=b"later")

    def test_answer_without_headers(self, open_connections: Open) -> None:
        with serve(replies(Reply(raw=b"HTTP/1.1 202 Accepted\r\n\r\n"))) as server:
            answer = post(open_connections(), server.url)
        assert answer == Answer(status=202, content_type="", location=None, body=b"")

    def test_first_of_equal_headers_counts(self, open_connections: Open) -> None:
        raw = b"HTTP/1.1 307 Moved\r\nLocation: /one\r\nLocation: /two\r\nContent-Length: 0\r\n\r\n"
        with serve(replies(Reply(raw=raw))) as server:
            assert post(open_connections(), server.url).location == "/one"

    def test_host_of_a_literal_ipv6_address(self, open_connections: Open) -> None:
        with serve(replies(Reply())) as server:
            port = server.url.split(":")[2]
            post(open_connections(lambda _host, _deadline: ["127.0.0.1"]), f"http://[2606:4700::1]:{port}")
        assert server.requests[0].headers["Host"] == f"[2606:4700::1]:{port[:-1]}"

    def test_connection_is_used_again(self, open_connections: Open) -> None:
        found: list[str] = []

        def find(host: str, _: Deadline) -> Iterable[str]:
            found.append(host)
            return [host]

        connections = open_connections(find)
        with serve(lambda _: Reply(status=202, body=b"{}")) as server:
            for _ in range(3):
                post(connections, server.url)
        assert found == ["localhost"]
        assert len(server.requests) == 3

    def test_several_threads(self, open_connections: Open) -> None:
        connections = open_connections(limit=2)
        with serve(lambda _: Reply(status=202)) as server:
            threads = [Thread(target=post, args=(connections, server.url)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(server.requests) == 8


class TestConnecting:
    def test_goes_to_the_address_found_whatever_the_name(self, open_connections: Open) -> None:
        connections = open_connections(lambda _host, _deadline: ["127.0.0.1"])
        with serve(replies(Reply(status=202))) as server:
            port = server.url.split(":")[2]
            assert post(connections, f"http://nowhere.example.com:{port}").status == 202

    def test_next_address_when_one_is_dead(self, open_connections: Open) -> None:
        connections = open_connections(lambda _host, _deadline: ["127.0.0.2", "127.0.0.1"])
        with serve(replies(Reply(status=202))) as server:
            assert post(connections, server.url).status == 202

    def test_nobody_listens(self, open_connections: Open, dead_port: int) -> None:
        error = fail(open_connections(), f"http://127.0.0.1:{dead_port}/")
        assert isinstance(error, ConnectionFailedError)
        assert "refused" in str(error)

    def test_no_address(self, open_connections: Open) -> None:
        error = fail(open_connections(lambda _host, _deadline: []), "http://nowhere.example.com/")
        assert isinstance(error, ConnectionFailedError)

    def test_no_permission(self, open_connections: Open) -> None:
        def refuse(host: str, _: Deadline) -> Iterable[str]:
            raise ForbiddenTargetError(host)

        assert isinstance(fail(open_connections(refuse), "http://nowhere.example.com/"), ForbiddenTargetError)

    def test_deadline_has_passed(self, open_connections: Open) -> None:
        with serve(replies()) as server:
            error = fail(open_connections(), server.url, seconds=0)
        assert "in time" in str(error)
        assert not server.requests

    def test_deadline_passes_meanwhile(self, open_connections: Open) -> None:
        def take_long(host: str, _: Deadline) -> Iterable[str]:
            time.sleep(0.1)
            return [host]

        with serve(replies()) as server:
            error = fail(open_connections(take_long), server.url, seconds=0.05)
        assert isinstance(error, ConnectionFailedError)

    def test_all_connections_are_busy(self, open_connections: Open) -> None:
        connections = open_connections(timeout=0.5, limit=1)
        with serve_raw(hang) as server:
            thread = Thread(target=fail, args=(connections, server.url))
            thread.start()
            while not server.connections:
                time.sleep(0.01)
            assert "in time" in str(fail(connections, server.url, seconds=0.1))
            assert len(server.connections) == 1
            thread.join()


class TestTLS:
    def test_server_is_known_by_its_name(self, open_connections: Open, tls_server_context: ssl.SSLContext) -> None:
        connections = open_connections(lambda _host, _deadline: ["127.0.0.1"])
        with serve(replies(Reply(status=202)), tls_server_context) as server:
            assert post(connections, server.url).status == 202

    def test_wrong_name(self, open_connections: Open, tls_server_context: ssl.SSLContext) -> None:
        connections = open_connections(lambda _host, _deadline: ["127.0.0.1"])
        with serve(replies(), tls_server_context) as server:
            error = fail(connections, server.url.replace("localhost", "other.example.com"))
        assert isinstance(error, ConnectionFailedError)
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        assert not server.requests

    def test_name_for_which_there_are_no_certificates(self, open_connections: Open) -> None:
        connections = open_connections(lambda _host, _deadline: ["127.0.0.1"])
        with serve(replies()) as server:
            url = server.url.replace("http:", "https:").replace("localhost", ".example.com")
            assert isinstance(fail(connections, url), ConnectionFailedError)

    def test_old_version(self, open_connections: Open, tls_server_context: ssl.SSLContext) -> None:
        tls_server_context.set_ciphers("DEFAULT:@SECLEVEL=0")
        tls_server_context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            tls_server_context.maximum_version = ssl.TLSVersion.TLSv1_1
        with serve(replies(), tls_server_context) as server:
            assert isinstance(fail(open_connections(), server.url), ConnectionFailedError)

    def test_handshake_hangs(self, open_connections: Open) -> None:
        with serve_raw(hang) as server:
            error = fail(open_connections(timeout=0.2), server.url.replace("http:", "https:"))
        assert isinstance(error, ConnectionFailedError)
        assert "timed out" in str(error)

    def test_time_limit_is_for_each_write_and_not_for_the_body(
        self, open_connections: Open, tls_server_context: ssl.SSLContext
    ) -> None:
        def read_slowly(connection: socket.socket, server: RawServer) -> None:
            left = size
            with tls_server_context.wrap_socket(connection, server_side=True) as secured:
                read_request(secured)
                while left > 0:
                    left -= len(secured.recv(65_536))
                    time.sleep(0.0005)
                secured.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                # Closing at once, with octets unread, could undo the answer.
                server.over.wait(10)

        size = 32_000_000
        started_at = time.monotonic()
        with serve_raw(read_slowly) as server:
            url = f"https://localhost:{server.port}/"
            assert post(open_connections(timeout=0.4), url, bytes(size + 65_536)).status == 202
        assert time.monotonic() - started_at > 0.8


class TestStaleConnection:
    def test_request_is_repeated(self, open_connections: Open) -> None:
        def answer_once(connection: socket.socket, server: RawServer) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            if len(server.connections) == 1:
                # Closed only once the next request is under way.
                read_request(connection)

        connections = open_connections()
        with serve_raw(answer_once) as server:
            assert post(connections, server.url).status == 202
            assert post(connections, server.url).status == 202
            assert len(server.connections) == 2

    def test_connection_closed_by_the_server_is_not_used(self, open_connections: Open) -> None:
        def answer_and_close(connection: socket.socket, server: RawServer) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            server.over.wait(0.1)

        connections = open_connections()
        with serve_raw(answer_and_close) as server:
            for _ in range(2):
                assert post(connections, server.url).status == 202
                time.sleep(0.3)
            assert len(server.connections) == 2

    def test_new_connection_that_breaks_is_not_tried_again(self, open_connections: Open) -> None:
        with serve_raw(lambda connection, _: read_request(connection)) as server:
            assert isinstance(fail(open_connections(), server.url), InvalidAnswerError)
            assert len(server.connections) == 1

    def test_what_a_server_says_is_shown_in_part(self, open_connections: Open) -> None:
        def answer(connection: socket.socket, _: RawServer) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 \x1b\x07" + 50_000 * b"x" + b"\r\n\r\n")

        with serve_raw(answer) as server:
            error = fail(open_connections(), server.url)
        assert isinstance(error, InvalidAnswerError)
        assert len(str(error)) < 500
        assert str(error).isprintable()

    def test_closed_pool_is_forgotten(self, open_connections: Open) -> None:
        connections = open_connections()
        with serve(lambda _: Reply(status=202)) as server:
            post(connections, server.url)
            connections.close()
            assert post(connections, server.url).status == 202


class TestIdleConnection:
    """As seen by a server that waits for its end."""

    @pytest.fixture
    def has_ended(self) -> Event:
        return Event()

    @pytest.fixture
    def server(self, has_ended: Event) -> Iterator[RawServer]:
        def wait_for_the_end(connection: socket.socket, _: RawServer) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            while connection.recv(100):
                pass
            has_ended.set()

        with serve_raw(wait_for_the_end) as server:
            yield server

    def test_is_kept(self, open_connections: Open, server: RawServer, has_ended: Event) -> None:
        connections = open_connections()
        post(connections, server.url)
        with serve(lambda _: Reply(status=202)) as other:
            post(connections, other.url)
        assert not has_ended.wait(0.1)

    def test_gives_way_when_there_are_too_many(
        self, open_connections: Open, server: RawServer, has_ended: Event
    ) -> None:
        connections = open_connections(limit=1)
        post(connections, server.url)
        with serve(lambda _: Reply(status=202)) as other:
            post(connections, other.url)
        assert has_ended.wait(5)

    def test_is_given_up_when_it_expires(
        self, open_connections: Open, server: RawServer, has_ended: Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("awala.clients.connections._KEEP_ALIVE_SECONDS", 0)
        connections = open_connections()
        post(connections, server.url)
        with serve(lambda _: Reply(status=202)) as other:
            post(connections, other.url)
        assert has_ended.wait(5)

    def test_ends_with_the_pool(self, open_connections: Open, server: RawServer, has_ended: Event) -> None:
        connections = open_connections()
        post(connections, server.url)
        connections.close()
        assert has_ended.wait(5)


class TestMisbehaviour:
    @pytest.mark.parametrize("size", [4, 8_000_000], ids=["answers never", "reads never"])
    def test_server_hangs(self, open_connections: Open, size: int) -> None:
        with serve_raw(hang) as server:
            error = fail(open_connections(timeout=0.2), server.url, bytes(size))
        assert isinstance(error, ServerUnavailableError)
        assert "in time" in str(error)

    def test_header_drips(self, open_connections: Open) -> None:
        drip = send_repeatedly(b"HTTP/1.1 202 Accepted\r\nX-Drip: ", b"x", pause=0.02)
        started_at = time.monotonic()
        with serve_raw(drip) as server:
            error = fail(open_connections(timeout=0.3), server.url, seconds=0.5)
        assert "in time" in str(error)
        assert time.monotonic() - started_at < 3

    @pytest.mark.parametrize(
        "head", [b"HTTP/1.1 202 Accepted\r\nX-Long: ", b"HTTP/1.1 ", b""], ids=["header", "status", "interim answers"]
    )
    def test_answer_before_the_body_is_endless(self, open_connections: Open, head: bytes) -> None:
        octets = b"x" * 10_000 if head else b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500
        with serve_raw(send_repeatedly(head, octets)) as server:
            assert isinstance(fail(open_connections(), server.url), InvalidAnswerError)

    def test_body_is_endless(self, open_connections: Open) -> None:
        with serve_raw(send_repeatedly(OK_HEAD, b"x" * 10_000)) as server:
            answer = post(open_connections(), server.url)
        assert answer.status == 202
        assert 0 < len(answer.body) <= MAX_RECEIVED

    def test_body_has_many_chunks(self, open_connections: Open) -> None:
        head = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n"
        with serve_raw(send_repeatedly(head, b"1\r\nx\r\n" * 500)) as server:
            answer = post(open_connections(), server.url)
        assert answer == Answer(status=202, content_type="", location=None, body=b"x" * 1_000)

    def test_body_drips(self, open_connections: Open) -> None:
        started_at = time.monotonic()
        with serve_raw(send_repeatedly(OK_HEAD, b"x", pause=0.02)) as server:
            answer = post(open_connections(timeout=0.3), server.url)
        assert answer.status == 202
        assert set(answer.body) == set(b"x")
        assert time.monotonic() - started_at < 3

    def test_body_breaks_off(self, open_connections: Open) -> None:
        raw = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nbecause"
        with serve(replies(Reply(raw=raw))) as server:
            answer = post(open_connections(), server.url)
        assert (answer.status, answer.body) == (403, b"because")

    def test_connection_of_an_unfinished_body_is_not_used_again(self, open_connections: Open) -> None:
        connections = open_connections()
        with serve_raw(send_repeatedly(OK_HEAD, b"x" * 10_000)) as server:
            assert post(connections, server.url).status == 202
            assert post(connections, server.url).status == 202
            assert len(server.connections) == 2

    def test_server_answers_before_it_has_read_all(self, open_connections: Open) -> None:
        def refuse(connection: socket.socket, _: RawServer) -> None:
            connection.recv(10)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.shutdown(socket.SHUT_RDWR)

        with serve_raw(refuse) as server:
            try:
                assert post(open_connections(), server.url, bytes(20_000_000)).status == 413
            except ServerUnavailableError:
                # The reset of the connection may overtake the answer.
                assert len(server.connections) == 1

    def test_connection_breaks(self, open_connections: Open) -> None:
        def reset(connection: socket.socket, _: RawServer) -> None:
            read_request(connection)
            # Closing without lingering resets.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        with serve_raw(reset) as server:
            error = fail(open_connections(), server.url, b"")
        assert isinstance(error, ServerUnavailableError)
        assert "broke" in str(error)

    @pytest.mark.parametrize("raw", [b"220 mail.example.com\r\n", b"HTTP/1.1 999999 What\r\n\r\n", b""])
    def test_no_http(self, open_connections: Open, raw: bytes) -> None:
        with serve(replies(Reply(raw=raw))) as server:
            assert isinstance(fail(open_connections(), server.url), InvalidAnswerError)

    def test_long_url_is_shown_in_part(self, open_connections: Open) -> None:
        with serve(replies(Reply(raw=b""))) as server:
            error = fail(open_connections(), server.url + "x" * 10_000)
        assert len(str(error)) < 400

    def test_hanging_server_holds_up_nobody_else(self, open_connections: Open) -> None:
        connections = open_connections(timeout=2)
        with serve_raw(hang) as hanging, serve(lambda _: Reply(status=202)) as server:
            thread = Thread(target=fail, args=(connections, hanging.url))
            thread.start()
            while not hanging.connections:
                time.sleep(0.01)
            started_at = time.monotonic()
            for _ in range(20):
                post(connections, server.url)
            assert time.monotonic() - started_at < 2
            thread.join()


def test_request_of_another_thread_has_its_own_limits(open_connections: Open) -> None:
    connections = open_connections()

    def wait(_: Request) -> Reply:
        time.sleep(0.3)
        return Reply(status=202)

    with serve(wait) as server:
        thread = Thread(target=fail, args=(connections, server.url), kwargs={"seconds": 0.1})
        thread.start()
        assert post(connections, server.url).status == 202
        thread.join()
