import ssl
from threading import Event

import pytest

from awala.clients.errors import InvalidAnswerError, RefusedParcelError, ServerUnavailableError
from awala.clients.http import MAX_ANSWER_SIZE
from awala.clients.pohttp import deliver_parcel
from awala.errors import InvalidArgumentError
from tests.unit.awala.clients.http_server import Reply, Request, replies, serve


class TestRequest:
    def test_parcel_is_posted_as_it_is(self) -> None:
        with serve(replies(Reply(status=202))) as server:
            deliver_parcel(server.url, b"parcel")
        [request] = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/", b"parcel")
        assert request.headers["Content-Type"] == "application/vnd.awala.parcel"

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_every_success(self, status: int) -> None:
        with serve(replies(Reply(status=status))) as server:
            deliver_parcel(server.url, b"parcel")

    def test_over_tls(self, tls_server_context: ssl.SSLContext) -> None:
        with serve(replies(Reply(status=202)), tls_server_context) as server:
            deliver_parcel(server.url, b"parcel")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "/",
            "ftp://example.com/",
            "http://",
            "https://[",
            "http://a:99999/",
            "http://example.com/\n",
            " http://a/",
        ],
    )
    def test_url_of_another_kind(self, url: str) -> None:
        with pytest.raises(InvalidArgumentError, match="URL"):
            deliver_parcel(url, b"parcel")


class TestRefusal:
    @pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422])
    def test_is_for_good(self, status: int) -> None:
        with serve(replies(Reply(status=status))) as server, pytest.raises(RefusedParcelError) as caught:
            deliver_parcel(server.url, b"parcel")
        assert caught.value.status == status
        assert not caught.value.retryable

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 507])
    def test_passes_with_time(self, status: int) -> None:
        with serve(replies(Reply(status=status))) as server, pytest.raises(ServerUnavailableError) as caught:
            deliver_parcel(server.url, b"parcel")
        assert caught.value.retryable

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (b"", "HTTP 403$"),
            (b"Parcel has expired", "HTTP 403: Parcel has expired$"),
            (b'{"message": "Parcel has expired"}', "HTTP 403: Parcel has expired$"),
            (b"\x1b[31mred", r"HTTP 403: \[31mred$"),
            (b"x" * 1_000, "x{200}$"),
            (b'["message"]', r'\["message"\]$'),
            (b"[" * 100_000, r"\[{200}$"),
        ],
        ids=["empty", "text", "JSON", "escape sequence", "long", "other JSON", "deep JSON"],
    )
    def test_shows_what_the_server_says(self, body: bytes, shown: str) -> None:
        with (
            serve(replies(Reply(status=403, body=body))) as server,
            pytest.raises(RefusedParcelError, match=shown),
        ):
            deliver_parcel(server.url, b"parcel")


class TestFailure:
    def test_nobody_listens(self, dead_port: int) -> None:
        with pytest.raises(ServerUnavailableError, match="Cannot reach") as caught:
            deliver_parcel(f"http://127.0.0.1:{dead_port}/", b"parcel")
        assert caught.value.retryable

    def test_untrusted_server(self, tls_server_context: ssl.SSLContext) -> None:
        with (
            serve(replies(), tls_server_context) as server,
            pytest.raises(ServerUnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            # The certificate is issued to localhost, and not to an IP address.
            deliver_parcel(server.url.replace("localhost", "127.0.0.1"), b"parcel")

    def test_no_answer_in_time(self) -> None:
        over = Event()

        def keep_waiting(_: Request) -> Reply:
            over.wait(10)
            return Reply(status=202)

        with serve(keep_waiting) as server:
            with pytest.raises(ServerUnavailableError, match="in time"):
                deliver_parcel(server.url, b"parcel", timeout=0.1)
            over.set()

    def test_answer_that_breaks_off(self) -> None:
        with (
            serve(replies(Reply(raw=b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\n"))) as server,
            pytest.raises(InvalidAnswerError),
        ):
            deliver_parcel(server.url, b"parcel")

    def test_no_http(self) -> None:
        with serve(replies(Reply(raw=b"220 mail.example.com\r\n"))) as server, pytest.raises(InvalidAnswerError):
            deliver_parcel(server.url, b"parcel")

    @pytest.mark.parametrize("status", [304, 600])
    def test_status_without_meaning_here(self, status: int) -> None:
        with serve(replies(Reply(status=status))) as server, pytest.raises(InvalidAnswerError) as caught:
            deliver_parcel(server.url, b"parcel")
        assert caught.value.retryable

    def test_endless_answer(self) -> None:
        with (
            serve(replies(Reply(status=403, body=bytes(MAX_ANSWER_SIZE + 1)))) as server,
            pytest.raises(InvalidAnswerError, match="large"),
        ):
            deliver_parcel(server.url, b"parcel")


class TestRedirect:
    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize("location", ["/other", "other", "?a=b"])
    def test_relative(self, status: int, location: str) -> None:
        with serve(replies(Reply(status=status, headers={"Location": location}), Reply(status=202))) as server:
            deliver_parcel(server.url, b"parcel")
        first, second = server.requests
        assert first.path == "/"
        assert (second.method, second.path, second.body) == ("POST", "/" + location.lstrip("/"), b"parcel")

    def test_to_another_server(self) -> None:
        with serve(replies(Reply(status=202))) as other:
            redirect = Reply(status=307, headers={"Location": other.url + "parcels"})
            with serve(replies(redirect)) as server:
                deliver_parcel(server.url, b"parcel")
        assert [request.path for request in other.requests] == ["/parcels"]

    def test_three_times(self) -> None:
        redirect = Reply(status=307, headers={"Location": "/"})
        with serve(replies(redirect, redirect, redirect, Reply(status=202))) as server:
            deliver_parcel(server.url, b"parcel")

    def test_four_times(self) -> None:
        redirect = Reply(status=307, headers={"Location": "/"})
        with (
            serve(replies(redirect, redirect, redirect, redirect)) as server,
            pytest.raises(InvalidAnswerError, match="More than 3 redirects") as caught,
        ):
            deliver_parcel(server.url, b"parcel")
        assert caught.value.retryable

    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_that_would_not_repeat_the_request(self, status: int) -> None:
        redirect = Reply(status=status, headers={"Location": "/other"})
        with serve(replies(redirect)) as server, pytest.raises(InvalidAnswerError):
            deliver_parcel(server.url, b"parcel")
        assert len(server.requests) == 1

    @pytest.mark.parametrize("location", [None, "", "ftp://example.com/", "http://["])
    def test_to_nowhere(self, location: str | None) -> None:
        redirect = Reply(status=307, headers={} if location is None else {"Location": location})
        with serve(replies(redirect)) as server, pytest.raises(InvalidAnswerError, match="Redirect"):
            deliver_parcel(server.url, b"parcel")

    def test_from_https_to_http(self, tls_server_context: ssl.SSLContext) -> None:
        with serve(replies()) as plain:
            redirect = Reply(status=307, headers={"Location": plain.url})
            with (
                serve(replies(redirect), tls_server_context) as server,
                pytest.raises(InvalidAnswerError, match="HTTPS to HTTP"),
            ):
                deliver_parcel(server.url, b"parcel")
        assert not plain.requests
