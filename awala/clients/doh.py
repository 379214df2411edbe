"""DNS over HTTPS (RFC 8484): finds the servers of Internet addresses, where DNSSEC secures the answers (RS-000)."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdatatype

from awala.addressing import NO_TARGET, ServiceRecord, srv_name
from awala.clients.connections import Connections, Deadline, trust_system_resolver
from awala.clients.errors import ClientError, FailedResolutionError, MissingServiceError, UnsignedResolutionError
from awala.clients.http import check_url
from awala.clients.networks import Address

DNS_CONTENT_TYPE: Final = "application/dns-message"
FALLBACK_PORT: Final = 443
# Ample for 32 records with their signatures, and well within what a connection receives for one answer.
MAX_MESSAGE_SIZE: Final = 16_384
# Nobody needs more, and each target may cost a time limit.
MAX_RECORDS: Final = 32
MIN_TTL_SECONDS: Final = 5
MAX_TTL_SECONDS: Final = 3_600
# Whoever mends their zone does not want to wait long.
MAX_NEGATIVE_TTL_SECONDS: Final = 30
MAX_CACHED_ANSWERS: Final = 2_048

# Underscores are no part of host names, but of some that exist; what is no label could change the meaning of a URL.
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", re.ASCII)
_MAX_NAME_LENGTH = 253
_ANSWERED = frozenset((dns.rcode.NOERROR, dns.rcode.NXDOMAIN))


@dataclass(frozen=True, kw_only=True, slots=True)
class DNSAnswer:
    """What the resolver says of a name; ``is_secure`` is whether it found it secured by DNSSEC (the AD flag)."""

    exists: bool
    is_secure: bool
    services: tuple[ServiceRecord, ...] = ()
    addresses: tuple[Address, ...] = ()
    ttl_seconds: int


class DNSCache:
    """Answers by name and type, for as long as they hold; the oldest go when there are too many.

    ``clock`` returns seconds since an arbitrary moment. Several threads may use it.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic, max_answers: int = MAX_CACHED_ANSWERS) -> None:
        self._clock = clock
        self._max_answers = max_answers
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[float, DNSAnswer]] = OrderedDict()

    def get(self, name: str, record_type: str) -> DNSAnswer | None:
        """Return what is known, and has not expired."""
        with self._lock:
            expires_at, answer = self._answers.get((name, record_type), (0.0, None))
            return answer if answer and self._clock() < expires_at else None

    def put(self, name: str, record_type: str, answer: DNSAnswer) -> None:
        """Remember an answer."""
        expires_at = self._clock() + answer.ttl_seconds
        with self._lock:
            self._answers[name, record_type] = (expires_at, answer)
            self._answers.move_to_end((name, record_type))
            if len(self._answers) > self._max_answers:
                self._answers.popitem(last=False)


class DoHResolver:
    """A client of the validating resolver at ``url``, which is trusted; several threads may use it.

    ``timeout_seconds`` is for each read and write.

    :raises InvalidArgumentError: if ``url`` is none of HTTP or HTTPS
    """

    def __init__(
        self, url: str, *, timeout_seconds: float, max_connections: int = 8, cache: DNSCache | None = None
    ) -> None:
        self._url = check_url(url)
        self._cache = cache or DNSCache()
        self._connections = Connections(
            find_addresses=trust_system_resolver, timeout_seconds=timeout_seconds, max_connections=max_connections
        )

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def resolve_service(
        self, address: str, service: str, deadline: Deadline, *, fallback_port: int = FALLBACK_PORT
    ) -> tuple[ServiceRecord, ...]:
        """Return the SRV records of a service of an Internet address, in no particular order (RS-000).

        An address without any is its own server, if the resolver says that the records' name does not exist.

        :raises UnsignedResolutionError: if the answer is not secured by DNSSEC
        :raises MissingServiceError: if the answer has no records, or ``address`` is no domain name
        :raises FailedResolutionError: if the resolver has no answer, or a malformed one
        """
        host = _check_name(address)
        answer = self._look_up(_check_name(srv_name(service, host)), "SRV", deadline)
        if not answer.exists:
            return (ServiceRecord(priority=0, weight=0, target=host, port=fallback_port),)
        if not answer.is_secure:
            raise UnsignedResolutionError(f"DNS answer for {address} is not secured by DNSSEC")
        if not answer.services:
            raise MissingServiceError(f"{address} has no {service} service")
        return answer.services

    def resolve_host(self, host: str, deadline: Deadline) -> Iterator[Address]:
        """Return the addresses of a host, those of IPv6 last and only once they are asked for.

        :raises MissingServiceError: if it has none
        :raises FailedResolutionError: if the resolver has no answer, or a malformed one
        """
        has_address = False
        for record_type in ("A", "AAAA"):
            addresses = self._look_up(_check_name(host), record_type, deadline).addresses
            has_address = has_address or bool(addresses)
            yield from addresses
        if not has_address:
            raise MissingServiceError(f"{host} has no IP address")

    def _look_up(self, name: str, record_type: str, deadline: Deadline) -> DNSAnswer:
        answer = self._cache.get(name, record_type)
        if answer is None:
            answer = self._ask(name, record_type, deadline)
            self._cache.put(name, record_type, answer)
        return answer

    def _ask(self, name: str, record_type: str, deadline: Deadline) -> DNSAnswer:
        query = dns.message.make_query(f"{name}.", record_type, want_dnssec=True)
        headers = {"Content-Type": DNS_CONTENT_TYPE, "Accept": DNS_CONTENT_TYPE}
        try:
            answer = self._connections.post(self._url, query.to_wire(), headers, deadline)
            body = answer.read_body(DNS_CONTENT_TYPE)
        except ClientError as error:
            raise FailedResolutionError(f"Resolver did not answer: {error}") from error
        return read_answer(query, body)


def _check_name(name: str) -> str:
    normalized = name.rstrip(".").lower()
    if len(normalized) > _MAX_NAME_LENGTH or not _NAME.fullmatch(normalized):
        raise MissingServiceError(f"No domain name: {name[:_MAX_NAME_LENGTH]!r}")
    return normalized


def read_answer(query: dns.message.QueryMessage, body: bytes) -> DNSAnswer:
    """Return what the resolver's answer to ``query`` says.

    :raises FailedResolutionError: if that is that it failed, or if it makes no sense
    """
    if len(body) > MAX_MESSAGE_SIZE:
        raise FailedResolutionError("DNS answer is too large")
    try:
        message = dns.message.from_wire(body, raise_on_truncation=True)
        if not isinstance(message, dns.message.QueryMessage) or not query.is_response(message):
            raise FailedResolutionError("DNS answer is for another question")
        if message.rcode() not in _ANSWERED:
            raise FailedResolutionError(f"Resolver failed: {dns.rcode.to_text(message.rcode())}")
        chain = message.resolve_chaining()
    except dns.exception.DNSException as error:
        raise FailedResolutionError(f"DNS answer is malformed: {error}") from error
    rdatas = tuple(chain.answer or ())
    if len(rdatas) > MAX_RECORDS:
        raise FailedResolutionError("DNS answer has too many records")
    is_service = query.question[0].rdtype == dns.rdatatype.SRV
    is_secure = bool(message.flags & dns.flags.AD)
    is_useful = bool(rdatas) and (is_secure or not is_service)
    longest = MAX_TTL_SECONDS if is_useful else MAX_NEGATIVE_TTL_SECONDS
    return DNSAnswer(
        exists=message.rcode() == dns.rcode.NOERROR,
        is_secure=is_secure,
        services=tuple(map(_read_service, rdatas)) if is_service else (),
        addresses=() if is_service else tuple(ip_address(rdata.to_text()) for rdata in rdatas),
        ttl_seconds=min(max(chain.minimum_ttl, MIN_TTL_SECONDS), longest),
    )


def _read_service(rdata: dns.rdata.Rdata) -> ServiceRecord:
    priority, weight, port, target = rdata.to_text().split()
    name = target.removesuffix(".").lower()
    if name and not _NAME.fullmatch(name):
        raise FailedResolutionError(f"SRV target is no host name: {target!r}")
    return ServiceRecord(priority=int(priority), weight=int(weight), target=name or NO_TARGET, port=int(port))
