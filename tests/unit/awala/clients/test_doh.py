from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from awala.addressing import ServiceRecord
from awala.clients.connections import MAX_RECEIVED, Deadline
from awala.clients.doh import MAX_MESSAGE_SIZE, DNSAnswer, DNSCache, DoHResolver, read_answer
from awala.clients.errors import (
    FailedResolutionError,
    MissingServiceError,
    ResolutionError,
    UnsignedResolutionError,
)
from awala.errors import InvalidArgumentError
from tests.unit.awala.clients.doh_server import Answering, Query, Resolver, answer, reply, reply_with, serve_dns, zone
from tests.unit.awala.clients.http_server import Reply
from tests.unit.awala.clients.raw_server import hang, serve_raw

ADDRESS = "example.com"
SRV = "_awala-pdc._tcp.example.com"
RECORD = ServiceRecord(priority=1, weight=2, target="pdc.example.com", port=443)
RECORD_TEXT = "1 2 443 pdc.example.com."
SOA_TEXT = "ns.example.com. admin.example.com. 1 2 3 4 20"


def make_query(record_type: str = "SRV", name: str = SRV) -> dns.message.QueryMessage:
    return dns.message.make_query(f"{name}.", record_type, want_dnssec=True)


@contextmanager
def resolving(answering: Answering) -> Iterator[tuple[DoHResolver, Resolver]]:
    with serve_dns(answering) as server:
        resolver = DoHResolver(server.url, timeout_seconds=5)
        try:
            yield resolver, server
        finally:
            resolver.close()


def resolve_service(resolver: DoHResolver, address: str = ADDRESS) -> tuple[ServiceRecord, ...]:
    return resolver.resolve_service(address, "awala-pdc", Deadline(10))


def resolve_host(resolver: DoHResolver, host: str = "pdc.example.com") -> list[str]:
    return [str(address) for address in resolver.resolve_host(host, Deadline(10))]


def fail(answering: Answering) -> ResolutionError:
    with resolving(answering) as (resolver, _), pytest.raises(ResolutionError) as caught:
        resolve_service(resolver)
    assert caught.value.retryable
    return caught.value


class TestService:
    def test_records(self) -> None:
        with resolving(reply_with(RECORD_TEXT, "3 4 8443 other.example.com.")) as (resolver, server):
            records = resolve_service(resolver)
        other = ServiceRecord(priority=3, weight=4, target="other.example.com", port=8443)
        assert set(records) == {RECORD, other}
        assert server.queries == [(SRV, "SRV")]

    @pytest.mark.parametrize("address", ["example.com.", "EXAMPLE.com"])
    def test_form_of_the_address_does_not_matter(self, address: str) -> None:
        with resolving(reply_with(RECORD_TEXT)) as (resolver, server):
            assert resolve_service(resolver, address) == (RECORD,)
        assert server.queries == [(SRV, "SRV")]

    def test_address_without_records_is_its_own_server(self) -> None:
        with resolving(reply_with(rcode=dns.rcode.NXDOMAIN, is_secure=False)) as (resolver, _):
            records = resolve_service(resolver, "Example.com.")
        assert records == (ServiceRecord(priority=0, weight=0, target="example.com", port=443),)

    def test_service_that_is_not_offered(self) -> None:
        with resolving(reply_with("0 0 0 .")) as (resolver, _):
            assert resolve_service(resolver) == (ServiceRecord(priority=0, weight=0, target=".", port=0),)

    def test_insecure_answer(self) -> None:
        assert isinstance(fail(reply_with(RECORD_TEXT, is_secure=False)), UnsignedResolutionError)

    def test_answer_without_records(self) -> None:
        assert isinstance(fail(reply_with()), MissingServiceError)

    @pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.YXDOMAIN])
    def test_resolver_failed(self, rcode: dns.rcode.Rcode) -> None:
        error = fail(reply_with(rcode=rcode))
        assert isinstance(error, FailedResolutionError)
        assert dns.rcode.to_text(rcode) in str(error)

    def test_records_behind_an_alias(self) -> None:
        def alias(query: Query) -> Reply:
            message = answer(query)
            message.answer = [
                dns.rrset.from_text(f"{SRV}.", 60, "IN", "CNAME", "alias.example.net."),
                dns.rrset.from_text("alias.example.net.", 60, "IN", "SRV", RECORD_TEXT),
            ]
            return reply(message)

        with resolving(alias) as (resolver, _):
            assert resolve_service(resolver) == (RECORD,)

    def test_records_of_another_name(self) -> None:
        def mislead(query: Query) -> Reply:
            message = answer(query)
            message.answer = [dns.rrset.from_text("other.example.net.", 60, "IN", "SRV", RECORD_TEXT)]
            return reply(message)

        assert isinstance(fail(mislead), MissingServiceError)

    def test_aliases_in_a_circle(self) -> None:
        def turn(query: Query) -> Reply:
            message = answer(query)
            message.answer = [dns.rrset.from_text(f"{SRV}.", 60, "IN", "CNAME", f"{SRV}.")]
            return reply(message)

        assert "malformed" in str(fail(turn))

    @pytest.mark.parametrize("target", [r"a\/b.example.com.", r"a\064b.example.com.", r"\[\:\:1\].", r"a\032b."])
    def test_target_that_is_no_host_name(self, target: str) -> None:
        error = fail(reply_with(f"1 2 443 {target}"))
        assert isinstance(error, FailedResolutionError)
        assert "no host name" in str(error)

    def test_too_many_records(self) -> None:
        assert "too many" in str(fail(reply_with(*(f"1 2 {port} pdc.example.com." for port in range(1, 34)))))

    @pytest.mark.parametrize("address", ["", "a..b", "a b.example.com", "a/b", "é.example.com", "a." * 200, "x" * 64])
    def test_address_that_is_no_domain_name(self, address: str) -> None:
        with resolving(reply_with()) as (resolver, server), pytest.raises(MissingServiceError):
            resolve_service(resolver, address)
        assert not server.queries


HOSTS = zone(
    {
        ("pdc.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
        ("pdc.example.com", "AAAA"): ["2001:db8::1"],
        ("six.example.com", "AAAA"): ["2001:db8::6"],
        ("none.example.com", "TXT"): ["x"],
    }
)


class TestHost:
    def test_addresses(self) -> None:
        with resolving(HOSTS) as (resolver, _):
            addresses = resolve_host(resolver)
        assert set(addresses[:2]) == {"192.0.2.1", "192.0.2.2"}
        assert addresses[2:] == ["2001:db8::1"]

    def test_second_query_waits_until_it_is_needed(self) -> None:
        with resolving(HOSTS) as (resolver, server):
            next(resolver.resolve_host("pdc.example.com", Deadline(10)))
        assert server.queries == [("pdc.example.com", "A")]

    def test_ipv6_alone(self) -> None:
        with resolving(HOSTS) as (resolver, _):
            assert resolve_host(resolver, "six.example.com") == ["2001:db8::6"]

    @pytest.mark.parametrize("host", ["none.example.com", "nowhere.example.com"])
    def test_no_address(self, host: str) -> None:
        with resolving(HOSTS) as (resolver, _), pytest.raises(MissingServiceError, match="no IP address"):
            resolve_host(resolver, host)

    def test_security_is_not_asked_for(self) -> None:
        def serve_ipv4(query: Query) -> Reply:
            records = ["192.0.2.1"] if query.question[0].rdtype == dns.rdatatype.A else []
            return reply(answer(query, *records, is_secure=False))

        with resolving(serve_ipv4) as (resolver, _):
            assert resolve_host(resolver) == ["192.0.2.1"]


class TestExchange:
    @pytest.mark.parametrize(
        "answered",
        [
            Reply(status=500),
            Reply(status=400),
            Reply(status=307, headers={"Location": "/"}),
            Reply(headers={"Content-Type": "text/html"}, body=b"<html>"),
            Reply(raw=b"220 mail.example.com\r\n"),
        ],
        ids=["5xx", "4xx", "redirect", "other type", "no HTTP"],
    )
    def test_no_answer(self, answered: Reply) -> None:
        assert isinstance(fail(lambda _: answered), FailedResolutionError)

    @pytest.mark.parametrize("body", [b"", b"DNS", bytes(12), bytes(65_536)])
    def test_malformed_answer(self, body: bytes) -> None:
        error = fail(lambda _: Reply(headers={"Content-Type": "application/dns-message"}, body=body))
        assert isinstance(error, FailedResolutionError)

    def test_unreachable_resolver(self, dead_port: int) -> None:
        resolver = DoHResolver(f"http://127.0.0.1:{dead_port}/", timeout_seconds=5)
        with pytest.raises(FailedResolutionError, match="refused"):
            resolve_service(resolver)

    def test_resolver_that_hangs(self) -> None:
        with serve_raw(hang) as server:
            resolver = DoHResolver(server.url, timeout_seconds=0.2)
            with pytest.raises(FailedResolutionError, match="in time"):
                resolve_service(resolver)

    def test_resolver_url_of_another_kind(self) -> None:
        with pytest.raises(InvalidArgumentError):
            DoHResolver("ftp://example.com/", timeout_seconds=5)


class TestReadingAnswers:
    def test_of_another_query(self) -> None:
        message = answer(make_query(), RECORD_TEXT)
        with pytest.raises(FailedResolutionError, match="another question"):
            read_answer(make_query(), message.to_wire())

    def test_to_another_question(self) -> None:
        query = make_query()
        message = answer(make_query(name="_awala-pdc._tcp.example.net"), RECORD_TEXT)
        message.id = query.id
        with pytest.raises(FailedResolutionError, match="another question"):
            read_answer(query, message.to_wire())

    def test_query_echoed(self) -> None:
        query = make_query()
        with pytest.raises(FailedResolutionError, match="another question"):
            read_answer(query, query.to_wire())

    def test_message_of_another_kind(self) -> None:
        query = make_query()
        message = answer(query)
        message.set_opcode(dns.opcode.UPDATE)
        with pytest.raises(FailedResolutionError):
            read_answer(query, message.to_wire())

    def test_records_of_a_name_that_does_not_exist(self) -> None:
        query = make_query()
        with pytest.raises(FailedResolutionError, match="malformed"):
            read_answer(query, answer(query, RECORD_TEXT, rcode=dns.rcode.NXDOMAIN).to_wire())

    def test_truncated(self) -> None:
        query = make_query()
        message = answer(query)
        message.flags |= dns.flags.TC
        with pytest.raises(FailedResolutionError, match="malformed"):
            read_answer(query, message.to_wire())

    def test_cut_off_anywhere(self) -> None:
        query = make_query()
        wire = answer(query, RECORD_TEXT).to_wire()
        for end in range(len(wire)):
            with pytest.raises(FailedResolutionError):
                read_answer(query, wire[:end])

    def test_too_large(self) -> None:
        query = make_query()
        with pytest.raises(FailedResolutionError, match="too large"):
            read_answer(query, answer(query, RECORD_TEXT).to_wire() + bytes(65_536))

    @pytest.mark.parametrize(("ttl", "kept"), [(0, 5), (5, 5), (600, 600), (3_600, 3_600), (86_400, 3_600)])
    def test_time_to_live(self, ttl: int, kept: int) -> None:
        query = make_query()
        assert read_answer(query, answer(query, RECORD_TEXT, ttl=ttl).to_wire()).ttl_seconds == kept

    def test_time_to_live_of_an_insecure_answer(self) -> None:
        query = make_query()
        message = answer(query, RECORD_TEXT, ttl=600, is_secure=False)
        assert read_answer(query, message.to_wire()).ttl_seconds == 30

    @pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
    def test_time_to_live_without_records(self, rcode: dns.rcode.Rcode) -> None:
        query = make_query()
        message = answer(query, rcode=rcode)
        assert read_answer(query, message.to_wire()).ttl_seconds == 30
        message.authority.append(dns.rrset.from_text("example.com.", 60, "IN", "SOA", SOA_TEXT))
        assert read_answer(query, message.to_wire()).ttl_seconds == 20


class TestCache:
    ANSWER = DNSAnswer(exists=True, is_secure=True, services=(RECORD,), ttl_seconds=10)

    def test_answer_is_remembered(self) -> None:
        with resolving(reply_with(RECORD_TEXT)) as (resolver, server):
            assert resolve_service(resolver) == resolve_service(resolver)
        assert len(server.queries) == 1

    def test_failure_is_not(self) -> None:
        with resolving(reply_with(rcode=dns.rcode.SERVFAIL)) as (resolver, server):
            for _ in range(2):
                with pytest.raises(FailedResolutionError):
                    resolve_service(resolver)
        assert len(server.queries) == 2

    def test_answer_expires(self) -> None:
        now = 100.0
        cache = DNSCache(clock=lambda: now)
        cache.put("a", "SRV", self.ANSWER)
        now = 109.9
        assert cache.get("a", "SRV") == self.ANSWER
        now = 110.0
        assert cache.get("a", "SRV") is None

    def test_other_types_and_names_are_unknown(self) -> None:
        cache = DNSCache()
        cache.put("a", "SRV", self.ANSWER)
        assert cache.get("a", "A") is cache.get("b", "SRV") is None

    def test_oldest_goes_when_there_are_too_many(self) -> None:
        cache = DNSCache(max_answers=2)
        for name in ("a", "b", "a", "c"):
            cache.put(name, "SRV", self.ANSWER)
        assert [name for name in ("a", "b", "c") if cache.get(name, "SRV")] == ["a", "c"]


def test_largest_message_fits_into_what_a_connection_receives() -> None:
    assert MAX_MESSAGE_SIZE < MAX_RECEIVED
