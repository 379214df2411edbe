"""What a gateway must refuse, and how to see that nothing of it was kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from awala.limits import MAX_RAMF_MESSAGE_SIZE
from tests import factories
from tests.functional.exchange import exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PARCEL_TYPE, PrivateGateway
from tests.functional.record import state_of

SECRET = b"a payload that nobody may read in a log"
YESTERDAY = timedelta(days=-1)
JUST_NOW = datetime.now(UTC) - timedelta(minutes=1)


def expire_authorization(peer: PrivateGateway) -> factories.Chain:
    chain = peer.chain
    expired = factories.delivery_authorization(issuer=chain.endpoint, not_after=JUST_NOW)
    return replace(chain, authorization=expired)


def certify_sender_directly(peer: PrivateGateway) -> factories.Chain:
    """Let the private gateway send to the gateway itself: a path of two certificates, which libraries accept."""
    return replace(peer.chain, endpoint=peer.gateway_certificate, authorization=peer.certificate)


def stand_under_another_gateway(_: PrivateGateway) -> factories.Chain:
    return factories.chain(gateway=factories.gateway_certificate("another gateway"))


def omit_intermediates(peer: PrivateGateway) -> bytes:
    chain = peer.chain
    lonely = replace(factories.private_parcel(chain, payload=SECRET), attached_certificates=(chain.authorization,))
    return factories.serialized(replace(lonely, creation_date=JUST_NOW.replace(microsecond=0)))


def tamper(octets: bytes) -> bytes:
    assert octets.count(SECRET) == 1
    return octets.replace(SECRET, SECRET.upper())


def parcel(peer: PrivateGateway, **changes: object) -> bytes:
    return peer.make_parcel(SECRET, **changes).serialized  # type: ignore[arg-type]


MALFORMED: Mapping[str, Callable[[PrivateGateway], bytes]] = {
    "empty": lambda _: b"",
    "not Awala": lambda _: b"Hello, world" + SECRET,
    "format signature alone": lambda _: b"Awala\x50\x00",
    "cargo": lambda peer: b"Awala\x43\x00" + parcel(peer)[7:],
    "version 1": lambda peer: b"Awala\x50\x01" + parcel(peer)[7:],
    "cut short": lambda peer: parcel(peer)[:-1],
    "with an octet more": lambda peer: parcel(peer) + b"\0",
    "as long as may be": lambda _: b"Awala\x50\x00" + bytes(MAX_RAMF_MESSAGE_SIZE - 7),
}
UNBELIEVABLE: Mapping[str, Callable[[PrivateGateway], bytes]] = {"tampered": lambda peer: tamper(parcel(peer))}
INVALID: Mapping[str, Callable[[PrivateGateway], bytes]] = {
    "expired": lambda peer: parcel(peer, created=YESTERDAY, ttl_seconds=60),
    "of the future": lambda peer: parcel(peer, created=timedelta(minutes=2)),
    "by an authorisation that has expired": lambda peer: parcel(peer, chain=expire_authorization(peer)),
    "under another gateway": lambda peer: parcel(peer, chain=stand_under_another_gateway(peer)),
    "without its chain": omit_intermediates,
    "to an endpoint that did not authorise the sender": lambda peer: parcel(
        peer, recipient_id=factories.id_of("another endpoint")
    ),
    "to the gateway itself": lambda peer: parcel(peer, recipient_id=peer.gateway_certificate.node_id),
    "to the gateway itself, which certified the sender": lambda peer: parcel(peer, chain=certify_sender_directly(peer)),
}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A request that must be refused."""

    status: int
    method: str = "POST"
    path: str = "/"
    headers: Mapping[str, str] | Callable[[PrivateGateway, bytes], Mapping[str, str]] = field(
        default_factory=lambda: {"Content-Type": PARCEL_TYPE}
    )
    body: Callable[[PrivateGateway], bytes] = parcel
    is_chunked: bool = False
    answers: Mapping[str, str] = field(default_factory=dict)


def assert_refused(process: GatewayProcess, base_url: str, bad: Bad, peer: PrivateGateway) -> None:
    """Send it; see that the answer is right, no row or file more is there, and the log has nothing of the message."""
    body = bad.body(peer)
    headers = bad.headers(peer, body) if callable(bad.headers) else bad.headers
    before, log = state_of(process), len(process.log)

    answer = exchange(bad.method, base_url + bad.path, body, headers, chunked=bad.is_chunked)

    assert answer.status == bad.status, answer
    assert {name: answer.headers.get(name) for name in bad.answers} == bad.answers
    assert answer.headers["content-type"] == "text/plain"
    assert answer.body
    assert state_of(process) == before
    _assert_tells_nothing(process.log[log:], body, headers.get("Authorization", ""))


def _assert_tells_nothing(log: str, body: bytes, authorization: str) -> None:
    assert SECRET.decode() not in log
    assert SECRET.hex() not in log
    assert not body or body[:32].hex() not in log
    assert not authorization or authorization[-64:] not in log
    # Whatever it was, it was foreseen.
    assert "Traceback" not in log
