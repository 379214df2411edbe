import ssl
import time
from collections.abc import Callable, Iterator
from threading import Thread

import dns.rcode
import pytest

from awala.clients import delivery, doh
from awala.clients.delivery import ParcelDeliverer
from awala.clients.errors import (
    ClientError,
    ConnectionFailedError,
    FailedResolutionError,
    ForbiddenTargetError,
    InvalidAnswerError,
    MissingServiceError,
    RefusedParcelError,
    ServerUnavailableError,
    UnsignedResolutionError,
)
from awala.clients.pohttp import post_parcel
from awala.errors import InvalidArgumentError
from tests.unit.awala.clients.doh_server import (
    Answering,
    Query,
    Resolver,
    answer,
    asked,
    reply,
    reply_with,
    serve_dns,
    zone,
)
from tests.unit.awala.clients.http_server import Behaviour, Reply, Server, replies, serve
from tests.unit.awala.clients.raw_server import hang, send_repeatedly, serve_raw

ADDRESS = "pong.example.com"
SRV = (f"_awala-pdc._tcp.{ADDRESS}", "SRV")
LOOPBACK = ("127.0.0.0/8",)
NO_RESOLVER = "http://127.0.0.1:1/"

MakeDeliverer = Callable[..., ParcelDeliverer]


@pytest.fixture
def make_deliverer() -> Iterator[MakeDeliverer]:
    """Makes deliverers over plain HTTP, unless the test says otherwise."""
    made: list[ParcelDeliverer] = []

    def make(resolver_url: str = NO_RESOLVER, *, use_tls: bool = False, **settings: object) -> ParcelDeliverer:
        settings = {"timeout_seconds": 5, **settings}
        deliverer = ParcelDeliverer(resolver_url=resolver_url, use_tls=use_tls, **settings)  # type: ignore[arg-type]
        made.append(deliverer)
        return deliverer

    yield make
    for deliverer in made:
        deliverer.close()


@pytest.fixture
def start_dns() -> Iterator[Callable[[Answering], Resolver]]:
    with_servers = []

    def start(answering: Answering) -> Resolver:
        context = serve_dns(answering)
        with_servers.append(context)
        return context.__enter__()

    yield start
    for context in with_servers:
        context.__exit__(None, None, None)


StartDNS = Callable[[Answering], Resolver]


def port_of(server: Server) -> int:
    return int(server.url.split(":")[2].strip("/"))


def hosts(*ports: int, target: str = "localhost", **addresses: str) -> Answering:
    """Return the behaviour of a zone where `ADDRESS` has a server on each of these ports, in this order."""
    records = {SRV: [f"{priority} 0 {port} {target}." for priority, port in enumerate(ports)]}
    for record_type, address in (addresses or {"A": "127.0.0.1"}).items():
        records[target, record_type] = [address]
    return zone(records)


def fail(deliverer: ParcelDeliverer, parcel: bytes = b"parcel") -> ClientError:
    with pytest.raises(ClientError) as caught:
        deliverer.deliver(ADDRESS, parcel)
    return caught.value


def overriding(server: Server, address: str = ADDRESS) -> dict[str, tuple[str, int]]:
    return {address: ("127.0.0.1", port_of(server))}


def accept(_: object) -> Reply:
    return Reply(status=202, body=b"{}")


class TestOutcome:
    """By what the server answers, on an address that needs no DNS."""

    @staticmethod
    def fail(make_deliverer: MakeDeliverer, behaviour: Behaviour) -> ClientError:
        with serve(behaviour) as server:
            return fail(make_deliverer(overrides=overriding(server)))

    def test_parcel_is_posted_as_it_is(self, make_deliverer: MakeDeliverer) -> None:
        with serve(accept) as server:
            make_deliverer(overrides=overriding(server)).deliver(ADDRESS, b"parcel")
        [request] = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/", b"parcel")
        assert request.headers["Content-Type"] == "application/vnd.awala.parcel"

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_success(self, make_deliverer: MakeDeliverer, status: int) -> None:
        with serve(replies(Reply(status=status))) as server:
            make_deliverer(overrides=overriding(server)).deliver(ADDRESS, b"parcel")

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 451])
    def test_refusal_is_for_good(self, make_deliverer: MakeDeliverer, status: int) -> None:
        error = self.fail(make_deliverer, replies(Reply(status=status, body=b'{"message": "Invalid parcel"}')))
        assert isinstance(error, RefusedParcelError)
        assert error.status == status
        assert not error.retryable
        assert "Invalid parcel" in str(error)

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507])
    def test_refusal_passes_with_time(self, make_deliverer: MakeDeliverer, status: int) -> None:
        error = self.fail(make_deliverer, replies(Reply(status=status)))
        assert isinstance(error, ServerUnavailableError)
        assert error.retryable
        assert error.retry_after_seconds is None

    @pytest.mark.parametrize("status", [429, 503])
    def test_server_says_when_to_come_again(self, make_deliverer: MakeDeliverer, status: int) -> None:
        error = self.fail(make_deliverer, replies(Reply(status=status, headers={"Retry-After": "90"})))
        assert isinstance(error, ServerUnavailableError)
        assert error.retry_after_seconds == 90

    @pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308, 600])
    def test_no_answer_of_the_protocol(self, make_deliverer: MakeDeliverer, status: int) -> None:
        error = self.fail(make_deliverer, replies(Reply(status=status)))
        assert isinstance(error, InvalidAnswerError)
        assert error.retryable

    @pytest.mark.parametrize(("status", "is_success"), [(b"202 Accepted", True), (b"403 Forbidden", False)])
    def test_status_counts_whatever_becomes_of_the_body(
        self, make_deliverer: MakeDeliverer, *, status: bytes, is_success: bool
    ) -> None:
        head = b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        with serve_raw(send_repeatedly(head, b"5\r\nabcde\r\n" * 1_000)) as server:
            deliverer = make_deliverer(overrides={ADDRESS: ("127.0.0.1", server.port)})
            if is_success:
                deliverer.deliver(ADDRESS, b"parcel")
            else:
                assert isinstance(fail(deliverer), RefusedParcelError)

    def test_server_that_hangs(self, make_deliverer: MakeDeliverer) -> None:
        with serve_raw(hang) as server:
            overrides = {ADDRESS: ("127.0.0.1", server.port)}
            error = fail(make_deliverer(overrides=overrides, timeout_seconds=0.2))
        assert isinstance(error, ServerUnavailableError)
        assert "in time" in str(error)

    def test_delivery_has_a_time_limit_as_a_whole(self, make_deliverer: MakeDeliverer) -> None:
        drip = send_repeatedly(b"HTTP/1.1 202 Accepted\r\nX-Drip: ", b"x", pause=0.02)
        started_at = time.monotonic()
        with serve_raw(drip) as server:
            overrides = {ADDRESS: ("127.0.0.1", server.port)}
            error = fail(make_deliverer(overrides=overrides, timeout_seconds=0.2))
        assert "in time" in str(error)
        assert 0.5 < time.monotonic() - started_at < 3

    def test_nobody_listens(self, make_deliverer: MakeDeliverer, dead_port: int) -> None:
        error = fail(make_deliverer(overrides={ADDRESS: ("127.0.0.1", dead_port)}))
        assert isinstance(error, ConnectionFailedError)
        assert error.retryable


class TestOverride:
    @pytest.mark.parametrize("address", ["PONG.example.com", "pong.example.com."])
    def test_form_of_the_address_does_not_matter(self, make_deliverer: MakeDeliverer, address: str) -> None:
        with serve(accept) as server:
            make_deliverer(overrides=overriding(server)).deliver(address, b"parcel")
        assert len(server.requests) == 1

    def test_host_name(self, make_deliverer: MakeDeliverer) -> None:
        with serve(accept) as server:
            make_deliverer(overrides={ADDRESS: ("localhost", port_of(server))}).deliver(ADDRESS, b"parcel")
        assert len(server.requests) == 1

    def test_ipv6_address(self, make_deliverer: MakeDeliverer) -> None:
        error = fail(make_deliverer(overrides={ADDRESS: ("::1", 1)}))
        assert "http://[::1]:1" in str(error) or "::1 on port 1" in str(error)

    def test_other_addresses_are_resolved(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        dns_server = start_dns(reply_with())
        with serve(accept) as server, pytest.raises(MissingServiceError):
            make_deliverer(dns_server.url, overrides=overriding(server)).deliver("ping.example.com", b"parcel")
        assert not server.requests


class TestResolution:
    def test_server_of_the_record(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        with serve(accept) as server:
            dns_server = start_dns(hosts(port_of(server)))
            make_deliverer(dns_server.url, allowed_networks=LOOPBACK).deliver(ADDRESS, b"parcel")
        assert server.requests[0].headers["Host"] == f"localhost:{port_of(server)}"
        assert dns_server.queries == [SRV, ("localhost", "A")]

    def test_connections_and_answers_are_used_again(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        with serve(accept) as server:
            dns_server = start_dns(hosts(port_of(server)))
            deliverer = make_deliverer(dns_server.url, allowed_networks=LOOPBACK)
            for _ in range(3):
                deliverer.deliver(ADDRESS, b"parcel")
        assert len(server.requests) == 3
        assert len(dns_server.queries) == 2

    def test_several_threads(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        with serve(accept) as server:
            dns_server = start_dns(hosts(port_of(server)))
            deliverer = make_deliverer(dns_server.url, allowed_networks=LOOPBACK, max_connections=3)

            def deliver() -> None:
                for _ in range(10):
                    deliverer.deliver(ADDRESS, b"parcel")

            threads = [Thread(target=deliver) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(server.requests) == 60

    def test_over_tls(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, tls_server_context: ssl.SSLContext
    ) -> None:
        with serve(accept, tls_server_context) as server:
            dns_server = start_dns(hosts(port_of(server)))
            make_deliverer(dns_server.url, use_tls=True, allowed_networks=LOOPBACK).deliver(ADDRESS, b"parcel")
        assert len(server.requests) == 1

    def test_certificate_for_another_name(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, tls_server_context: ssl.SSLContext
    ) -> None:
        with serve(accept, tls_server_context) as server:
            dns_server = start_dns(hosts(port_of(server), target="pdc.example.com"))
            error = fail(make_deliverer(dns_server.url, use_tls=True, allowed_networks=LOOPBACK))
        assert isinstance(error, ConnectionFailedError)
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        assert not server.requests

    @pytest.mark.parametrize(("use_tls", "port"), [(True, 443), (False, 80)])
    def test_address_without_records_is_its_own_server(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, *, use_tls: bool, port: int
    ) -> None:
        dns_server = start_dns(zone({(ADDRESS, "A"): ["127.0.0.99"]}))
        error = fail(make_deliverer(dns_server.url, use_tls=use_tls, allowed_networks=LOOPBACK))
        assert f"Cannot reach {ADDRESS} on port {port}" in str(error)

    @pytest.mark.parametrize("target", ["999.1.1.1", "0127.0.0.1"])
    def test_target_that_is_neither_name_nor_address(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, target: str
    ) -> None:
        error = fail(make_deliverer(start_dns(hosts(1, target=target)).url))
        assert type(error) is ConnectionFailedError

    def test_literal_address_is_no_way_around(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        dns_server = start_dns(reply_with(rcode=dns.rcode.NXDOMAIN))
        with pytest.raises(ForbiddenTargetError):
            make_deliverer(dns_server.url).deliver("127.0.0.1", b"parcel")

    @pytest.mark.parametrize(
        ("answering", "expected"),
        [
            (reply_with("0 0 443 a.example.com.", is_secure=False), UnsignedResolutionError),
            (reply_with(rcode=dns.rcode.SERVFAIL), FailedResolutionError),
            (reply_with(), MissingServiceError),
            (reply_with("0 0 0 ."), MissingServiceError),
        ],
        ids=["insecure", "bogus", "no records", "not offered"],
    )
    def test_failure(
        self,
        make_deliverer: MakeDeliverer,
        start_dns: StartDNS,
        answering: Answering,
        expected: type[ClientError],
    ) -> None:
        error = fail(make_deliverer(start_dns(answering).url))
        assert type(error) is expected
        assert error.retryable

    def test_resolver_of_another_kind(self) -> None:
        with pytest.raises(InvalidArgumentError):
            ParcelDeliverer(resolver_url="ftp://example.com/")


class TestSeveralServers:
    def test_next_one_when_one_is_down(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, dead_port: int
    ) -> None:
        with serve(accept) as server:
            dns_server = start_dns(hosts(dead_port, port_of(server)))
            make_deliverer(dns_server.url, allowed_networks=LOOPBACK).deliver(ADDRESS, b"parcel")
        assert len(server.requests) == 1

    def test_all_are_down(self, make_deliverer: MakeDeliverer, start_dns: StartDNS, dead_port: int) -> None:
        dns_server = start_dns(hosts(dead_port, dead_port))
        error = fail(make_deliverer(dns_server.url, allowed_networks=LOOPBACK))
        assert isinstance(error, ConnectionFailedError)
        assert error.retryable

    @pytest.mark.parametrize("status", [403, 503])
    def test_one_that_answers_decides(self, make_deliverer: MakeDeliverer, start_dns: StartDNS, status: int) -> None:
        with serve(replies(Reply(status=status))) as first, serve(accept) as second:
            dns_server = start_dns(hosts(port_of(first), port_of(second)))
            fail(make_deliverer(dns_server.url, allowed_networks=LOOPBACK))
        assert not second.requests

    def test_one_that_was_down_comes_last_for_a_while(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, monkeypatch: pytest.MonkeyPatch, dead_port: int
    ) -> None:
        tried: list[str] = []

        def post(url: str, *arguments: object) -> None:
            tried.append(url)
            post_parcel(url, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(delivery, "post_parcel", post)
        with serve(accept) as server:
            dead, alive = (f"http://localhost:{port}/" for port in (dead_port, port_of(server)))
            deliverer = make_deliverer(start_dns(hosts(dead_port, port_of(server))).url, allowed_networks=LOOPBACK)
            deliverer.deliver(ADDRESS, b"parcel")
            deliverer.deliver(ADDRESS, b"parcel")
            assert tried == [dead, alive, alive]
            monkeypatch.setattr(delivery, "monotonic", lambda: time.monotonic() + delivery.UNREACHABLE_SECONDS)
            deliverer.deliver(ADDRESS, b"parcel")
        assert tried[3:] == [dead, alive]

    def test_redirect_to_a_dead_server_does_not_count(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, dead_port: int
    ) -> None:
        location = f"http://localhost:{dead_port}/"
        with serve(replies(Reply(status=307, headers={"Location": location}))) as server:
            port = port_of(server)
            deliverer = make_deliverer(start_dns(hosts(port)).url, allowed_networks=LOOPBACK)
            assert isinstance(fail(deliverer), ConnectionFailedError)
        assert ("localhost", port) not in deliverer._unreachable  # noqa: SLF001 - it has no other effect soon.

    def test_end_of_the_time_for_all_does_not_count(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, monkeypatch: pytest.MonkeyPatch, dead_port: int
    ) -> None:
        monkeypatch.setattr("awala.clients.connections.Deadline.has_passed", True)
        deliverer = make_deliverer(start_dns(hosts(dead_port)).url, allowed_networks=LOOPBACK)
        fail(deliverer)
        assert ("localhost", dead_port) not in deliverer._unreachable  # noqa: SLF001 - it has no other effect soon.

    def test_number_of_those_remembered_is_limited(self) -> None:
        targets = delivery._UnreachableTargets()  # noqa: SLF001 - filling it by deliveries takes too long.
        for port in range(1_025):
            targets.add("a.example.com", port)
        assert ("a.example.com", 0) not in targets
        assert ("a.example.com", 1) in targets


class TestForbiddenNetworks:
    @pytest.mark.parametrize(
        ("record_type", "address"),
        [
            ("A", "127.0.0.1"),
            ("A", "10.0.0.1"),
            ("A", "169.254.169.254"),
            ("A", "100.64.0.1"),
            ("A", "0.0.0.0"),  # noqa: S104 - connecting is what is asked about.
            ("A", "224.0.0.1"),
            ("A", "240.0.0.1"),
            ("AAAA", "::1"),
            ("AAAA", "fe80::1"),
            ("AAAA", "fd00::1"),
            ("AAAA", "::ffff:127.0.0.1"),
            ("AAAA", "64:ff9b::7f00:1"),
            ("AAAA", "2002:7f00:1::1"),
        ],
    )
    def test_server_is_refused(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, record_type: str, address: str
    ) -> None:
        with serve(accept) as server:
            dns_server = start_dns(hosts(port_of(server), **{record_type: address}))
            error = fail(make_deliverer(dns_server.url))
        assert isinstance(error, ForbiddenTargetError)
        assert error.retryable
        assert address not in str(error)
        assert not server.requests

    def test_permitted_addresses_of_the_same_server_are_used(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS
    ) -> None:
        with serve(accept) as server:
            records = {SRV: [f"0 0 {port_of(server)} localhost."], ("localhost", "A"): ["127.0.0.1", "127.0.0.2"]}
            deliverer = make_deliverer(start_dns(zone(records)).url, allowed_networks=["127.0.0.1/32"])
            deliverer.deliver(ADDRESS, b"parcel")
        assert len(server.requests) == 1

    def test_name_that_points_elsewhere_meanwhile(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The connection goes to the address that was checked, and the next one is checked again."""
        monkeypatch.setattr(doh, "MIN_TTL_SECONDS", 0)
        addresses = iter(["127.0.0.1", "127.0.0.2"])

        def rebind(query: Query) -> Reply:
            match asked(query)[1]:
                case "SRV":
                    return reply(answer(query, f"0 0 {port_of(server)} localhost."))
                case "A":
                    return reply(answer(query, next(addresses), ttl=0))
                case _:
                    return reply(answer(query))

        last_words = Reply(status=202, headers={"Connection": "close"})
        with serve(lambda _: last_words) as server:
            dns_server = start_dns(rebind)
            # The first address stands for one of the Internet.
            deliverer = make_deliverer(dns_server.url, allowed_networks=["127.0.0.1/32"])
            deliverer.deliver(ADDRESS, b"parcel")
            assert dns_server.queries == [SRV, ("localhost", "A")]
            assert isinstance(fail(deliverer), ForbiddenTargetError)
        assert len(server.requests) == 1


class TestRedirect:
    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize("location", ["/other", "other", "?a=b"])
    def test_relative(self, make_deliverer: MakeDeliverer, status: int, location: str) -> None:
        redirect = Reply(status=status, headers={"Location": location})
        with serve(replies(redirect, Reply(status=202))) as server:
            make_deliverer(overrides=overriding(server)).deliver(ADDRESS, b"parcel")
        assert [request.path for request in server.requests] == ["/", f"/{location.lstrip('/')}"]
        assert server.requests[1].body == b"parcel"

    def test_loop(self, make_deliverer: MakeDeliverer) -> None:
        with serve(lambda _: Reply(status=307, headers={"Location": "/"})) as server:
            error = fail(make_deliverer(overrides=overriding(server)))
        assert isinstance(error, InvalidAnswerError)
        assert "More than 3 redirects" in str(error)
        assert len(server.requests) == 4

    def test_to_a_server_that_dns_knows(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        dns_server = start_dns(zone({("other.example.com", "A"): ["127.0.0.1"]}))
        with serve(accept) as other:
            location = f"http://other.example.com:{port_of(other)}/a"
            with serve(replies(Reply(status=307, headers={"Location": location}))) as server:
                deliverer = make_deliverer(dns_server.url, overrides=overriding(server), allowed_networks=LOOPBACK)
                deliverer.deliver(ADDRESS, b"parcel")
        assert [request.path for request in other.requests] == ["/a"]

    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "0.0.0.0"],  # noqa: S104
    )
    def test_to_a_forbidden_literal_address(self, make_deliverer: MakeDeliverer, host: str) -> None:
        with serve(accept) as other:
            redirect = Reply(status=307, headers={"Location": f"http://{host}:{port_of(other)}/"})
            with serve(replies(redirect)) as server:
                error = fail(make_deliverer(overrides=overriding(server)))
        assert isinstance(error, ForbiddenTargetError)
        assert not other.requests

    @pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
    def test_to_a_name_that_only_the_system_takes_for_an_address(
        self, make_deliverer: MakeDeliverer, start_dns: StartDNS, host: str
    ) -> None:
        dns_server = start_dns(reply_with(rcode=dns.rcode.NXDOMAIN))
        with serve(accept) as other:
            redirect = Reply(status=307, headers={"Location": f"http://{host}:{port_of(other)}/"})
            with serve(replies(redirect)) as server:
                error = fail(make_deliverer(dns_server.url, overrides=overriding(server)))
        assert isinstance(error, ConnectionFailedError | InvalidAnswerError)
        assert not other.requests

    def test_to_the_server_of_an_override(self, make_deliverer: MakeDeliverer, start_dns: StartDNS) -> None:
        """A connection that was opened on trust is no way in for others."""
        with serve(accept) as trusted:
            redirect = Reply(status=307, headers={"Location": f"http://127.0.0.1:{port_of(trusted)}/"})
            with serve(replies(redirect)) as server:
                deliverer = make_deliverer(
                    start_dns(hosts(port_of(server), A="127.0.0.2")).url,
                    overrides={"trusted.example.com": ("127.0.0.1", port_of(trusted)), **overriding(server)},
                )
                deliverer.deliver("trusted.example.com", b"parcel")
                assert isinstance(fail(deliverer), ForbiddenTargetError)
        assert len(trusted.requests) == 1

    def test_from_https_to_http(self, make_deliverer: MakeDeliverer, tls_server_context: ssl.SSLContext) -> None:
        with serve(accept) as plain:
            redirect = Reply(status=307, headers={"Location": plain.url})
            with serve(replies(redirect), tls_server_context) as server:
                overrides = {ADDRESS: ("localhost", port_of(server))}
                error = fail(make_deliverer(use_tls=True, overrides=overrides, allowed_networks=LOOPBACK))
        assert isinstance(error, InvalidAnswerError)
        assert "HTTPS to HTTP" in str(error)
        assert not plain.requests


def test_closed_deliverer_keeps_no_connections(make_deliverer: MakeDeliverer) -> None:
    with serve(accept) as server:
        deliverer = make_deliverer(overrides=overriding(server))
        deliverer.deliver(ADDRESS, b"parcel")
        deliverer.close()
        deliverer.deliver(ADDRESS, b"parcel")
    assert [request.headers["Host"] for request in server.requests] == [f"127.0.0.1:{port_of(server)}"] * 2
