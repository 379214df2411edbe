"""A resolver that answers over HTTP as it is told, and counts what it was asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.unit.awala.clients.http_server import Reply, Request, serve

Query = dns.message.Message
Answering = Callable[[Query], Reply]


@dataclass(kw_only=True)
class Resolver:
    url: str
    queries: list[tuple[str, str]] = field(default_factory=list)


def answer(
    query: Query,
    *records: str,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    ttl: int = 300,
    is_secure: bool = True,
) -> dns.message.Message:
    """Return an answer with `records`, which are of the type and name asked for."""
    message = dns.message.make_response(query, recursion_available=True)
    message.set_rcode(rcode)
    if is_secure:
        message.flags |= dns.flags.AD
    if records:
        [question] = query.question
        message.answer.append(dns.rrset.from_text(question.name, ttl, "IN", question.rdtype, *records))
    return message


def reply(message: dns.message.Message) -> Reply:
    return Reply(headers={"Content-Type": "application/dns-message"}, body=message.to_wire(max_size=65_535))


def reply_with(*records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, is_secure: bool = True) -> Answering:
    """Return the behaviour of answering every query so."""
    return lambda query: reply(answer(query, *records, rcode=rcode, is_secure=is_secure))


def zone(records: Mapping[tuple[str, str], Sequence[str]]) -> Answering:
    """Return the behaviour of a secure zone that has these records, by name and type, and no other names."""
    names = {name for name, _ in records}

    def look_up(query: Query) -> Reply:
        name, record_type = asked(query)
        rcode = dns.rcode.NOERROR if name in names else dns.rcode.NXDOMAIN
        return reply(answer(query, *records.get((name, record_type), ()), rcode=rcode))

    return look_up


def asked(query: Query) -> tuple[str, str]:
    [question] = query.question
    return question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)


@contextmanager
def serve_dns(answering: Answering) -> Iterator[Resolver]:
    def behave(request: Request) -> Reply:
        assert request.headers["Content-Type"] == request.headers["Accept"] == "application/dns-message"
        query = dns.message.from_wire(request.body)
        assert query.flags & dns.flags.RD
        assert query.ednsflags & dns.flags.DO
        resolver.queries.append(asked(query))
        return answering(query)

    with serve(behave) as server:
        resolver = Resolver(url=f"{server.url}dns-query")
        yield resolver
