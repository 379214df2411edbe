from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from awala.asn1 import der
from awala.cms.signed_data import sign_data
from awala.errors import (
    InvalidArgumentError,
    InvalidMessageError,
    InvalidSignatureError,
    MalformedMessageError,
    OversizedMessageError,
    UnauthorizedSenderError,
    UntimelyMessageError,
)
from awala.limits import MAX_RAMF_MESSAGE_SIZE, MAX_RAMF_PAYLOAD_SIZE, MAX_TTL_SECONDS
from awala.messages.parcel import Parcel
from awala.pki.algorithms import HASHES, HashAlgorithm
from awala.pki.path import VerifiedLinks
from awala.ramf import Recipient, format_header, strip_header
from tests.factories import (
    NOT_AFTER,
    NOW,
    chain,
    delivery_authorization,
    endpoint_certificate,
    id_of,
    internet_parcel,
    private_parcel,
    rsa_key,
    serialized,
)

SECOND = timedelta(seconds=1)
CHAIN = chain()
ROOTS = (CHAIN.gateway,)
PARCEL = private_parcel(CHAIN)
SENDER = endpoint_certificate("sender")
HEADER = b"Awala\x50\x00"

# ---------------------------------------------------------------- Header


def test_header_has_seven_octets() -> None:
    assert format_header(0x50) == bytes.fromhex("4177616c61 50 00")


def test_strips_header() -> None:
    assert strip_header(b"Awala\x50\x00rest", 0x50) == b"rest"


@pytest.mark.parametrize(
    "octets",
    [b"", b"Awala", b"Awala\x50", b"awala\x50\x00", b"Relaynet\x50\x00", b"Awala\x43\x00", b"Awala\x50\x01"],
    ids=["nothing", "magic alone", "no version", "lower case", "another magic", "another type", "version 1"],
)
def test_refuses_header(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        strip_header(octets, 0x50)


# ---------------------------------------------------------------- Recipients


@pytest.mark.parametrize(
    "node_id",
    ["0", "f", "0123456789abcdef", id_of("endpoint"), "0" * 1_024],
    ids=["shortest", "letter", "short", "usual", "longest"],
)
def test_recipient_id(node_id: str) -> None:
    assert Recipient(id=node_id).id == node_id


@pytest.mark.parametrize(
    "node_id",
    ["", "0A", "g", " 0", "0\n", "\u0660", "0" * 1_025],
    ids=["empty", "upper case", "letter", "space", "newline", "another digit", "too long"],
)
def test_refuses_recipient_id(node_id: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Recipient(id=node_id)


LONGEST_ADDRESS = "a." * 510 + "comm"


@pytest.mark.parametrize(
    "address",
    [
        "example.com",
        "Braavos.Relaycorp.CLOUD",
        "example.com.",
        "_service.example.com",
        "a-b.example",
        "xn--nxasmq6b.xn--j6w193g",
        "1.2.3.example",
        f"{'a' * 63}.example",
        LONGEST_ADDRESS,
    ],
)
def test_recipient_address(address: str) -> None:
    assert Recipient(id="0", internet_address=address).internet_address == address


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="empty"),
        pytest.param("localhost", id="one label"),
        pytest.param("192.0.2.1", id="IPv4 address"),
        pytest.param("[2001:db8::1]", id="IPv6 address"),
        pytest.param("example.com:443", id="port"),
        pytest.param("*.example.com", id="wildcard"),
        pytest.param("https://example.com", id="URL"),
        pytest.param("example..com", id="empty label"),
        pytest.param(".example.com", id="empty first label"),
        pytest.param("example.com..", id="two last dots"),
        pytest.param("-a.example", id="hyphen first"),
        pytest.param("a-.example", id="hyphen last"),
        pytest.param(f"{'a' * 64}.example", id="label too long"),
        pytest.param("example.com\n", id="newline"),
        pytest.param("ex\xe4mple.com", id="not ASCII"),
        pytest.param("example.c", id="last label of one letter"),
        pytest.param(f"{LONGEST_ADDRESS}m", id="too long"),
    ],
)
def test_refuses_recipient_address(address: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Recipient(id="0", internet_address=address)


# ---------------------------------------------------------------- Fields


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"id": ""}, id="empty id"),
        pytest.param({"id": "x" * 64}, id="longest id"),
        pytest.param({"ttl_seconds": 0}, id="no time to live"),
        pytest.param({"ttl_seconds": MAX_TTL_SECONDS}, id="180 days"),
        pytest.param({"payload": b""}, id="empty payload"),
        pytest.param({"payload": bytes(MAX_RAMF_PAYLOAD_SIZE)}, id="largest payload"),
        pytest.param({"creation_date": datetime(9999, 12, 31, tzinfo=UTC)}, id="last day"),
    ],
)
def test_field_in_bounds(changes: dict[str, object]) -> None:
    parcel = replace(PARCEL, **changes)  # type: ignore[arg-type] # any field
    assert {name: getattr(parcel, name) for name in changes} == changes


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"id": "x" * 65}, id="id too long"),
        pytest.param({"ttl_seconds": -1}, id="negative time to live"),
        pytest.param({"ttl_seconds": MAX_TTL_SECONDS + 1}, id="over 180 days"),
        pytest.param({"payload": bytes(MAX_RAMF_PAYLOAD_SIZE + 1)}, id="payload too large"),
        pytest.param(
            {"creation_date": datetime(9999, 12, 31, tzinfo=UTC), "ttl_seconds": 86_400}, id="expires after 9999"
        ),
    ],
)
def test_refuses_field(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        replace(PARCEL, **changes)  # type: ignore[arg-type] # any field


def test_expiry() -> None:
    assert replace(PARCEL, creation_date=NOW, ttl_seconds=60).expiry == NOW + timedelta(minutes=1)


# ---------------------------------------------------------------- Encoding

NODE_ID = der.context(0, b"0a")
RECIPIENT = der.context(0, NODE_ID, constructed=True)
MESSAGE_ID = der.context(1, b"id")
CREATED = der.context(2, b"20261120115900")
TTL = der.context(3, b"\x3c")
PAYLOAD = der.context(4, b"payload")


def message(*fields: bytes) -> bytes:
    """Return a parcel whose signed content has these fields."""
    return HEADER + sign_data(der.sequence(*fields), private_key=rsa_key("sender"), certificate=SENDER)


def test_reads_fields() -> None:
    parcel = Parcel.deserialize(message(RECIPIENT, MESSAGE_ID, CREATED, TTL, PAYLOAD))
    assert (parcel.recipient, parcel.id) == (Recipient(id="0a"), "id")
    assert (parcel.creation_date, parcel.ttl_seconds) == (datetime(2026, 11, 20, 11, 59, tzinfo=UTC), 60)
    assert (parcel.payload, parcel.sender_certificate) == (b"payload", SENDER)


def test_writes_fields() -> None:
    parcel = replace(
        internet_parcel(),
        recipient=Recipient(id="0a", internet_address="a.example"),
        id="id",
        creation_date=datetime(2026, 11, 20, 11, 59, tzinfo=UTC),
        ttl_seconds=60,
    )
    recipient = der.context(0, NODE_ID + der.context(1, b"a.example"), constructed=True)
    assert der.octet_string(der.sequence(recipient, MESSAGE_ID, CREATED, TTL, PAYLOAD)) in serialized(parcel)


@pytest.mark.parametrize("message_id", ["a/b", "../x", "line\nbreak", "\x00", "\xe9\xff", "x" * 64])
def test_message_id_is_any_text(message_id: str) -> None:
    parcel = replace(PARCEL, id=message_id)
    assert Parcel.deserialize(serialized(parcel)).id == message_id


def test_refuses_to_write_characters_over_255() -> None:
    with pytest.raises(InvalidArgumentError):
        serialized(replace(PARCEL, id="€"))


@pytest.mark.parametrize("address", [None, "gateway.example.com"])
def test_round_trip(address: str | None) -> None:
    parcel = private_parcel(CHAIN, internet_address=address)
    assert Parcel.deserialize(serialized(parcel)) == parcel


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_round_trip_with_each_hash(algorithm: HashAlgorithm) -> None:
    assert Parcel.deserialize(serialized(PARCEL, algorithm)) == PARCEL


def test_sender_certificate_is_attached_once() -> None:
    attached = Parcel.deserialize(serialized(PARCEL)).attached_certificates
    assert attached == (CHAIN.authorization, CHAIN.endpoint, CHAIN.private_gateway)


def test_payload_in_segments() -> None:
    payload = der.element(0xA4, der.octet_string(b"pay") + der.octet_string(b"load"))
    assert Parcel.deserialize(message(RECIPIENT, MESSAGE_ID, CREATED, TTL, payload)).payload == b"payload"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((RECIPIENT, MESSAGE_ID, CREATED, TTL), id="four fields"),
        pytest.param((RECIPIENT, MESSAGE_ID, CREATED, TTL, PAYLOAD, der.context(5, b"")), id="six fields"),
        pytest.param((MESSAGE_ID, RECIPIENT, CREATED, TTL, PAYLOAD), id="fields in another order"),
        pytest.param((NODE_ID, MESSAGE_ID, CREATED, TTL, PAYLOAD), id="recipient is an id alone"),
        pytest.param((b"\xa0\x00", MESSAGE_ID, CREATED, TTL, PAYLOAD), id="empty recipient"),
        pytest.param(
            (der.context(0, NODE_ID * 3, constructed=True), MESSAGE_ID, CREATED, TTL, PAYLOAD),
            id="recipient of three members",
        ),
        pytest.param(
            (der.context(0, NODE_ID * 2, constructed=True), MESSAGE_ID, CREATED, TTL, PAYLOAD),
            id="recipient of two ids",
        ),
        pytest.param(
            (der.context(0, der.context(0, b"xyz"), constructed=True), MESSAGE_ID, CREATED, TTL, PAYLOAD),
            id="id that is not hexadecimal",
        ),
        pytest.param(
            (
                der.context(0, NODE_ID + der.context(1, b"localhost"), constructed=True),
                MESSAGE_ID,
                CREATED,
                TTL,
                PAYLOAD,
            ),
            id="address that is no domain name",
        ),
        pytest.param((RECIPIENT, der.context(1, b"x" * 65), CREATED, TTL, PAYLOAD), id="message id too long"),
        pytest.param((RECIPIENT, MESSAGE_ID, der.context(2, b"20261120T115900"), TTL, PAYLOAD), id="date with a T"),
        pytest.param((RECIPIENT, MESSAGE_ID, der.context(2, b"20261120115900Z"), TTL, PAYLOAD), id="date with a Z"),
        pytest.param((RECIPIENT, MESSAGE_ID, der.context(2, b"20261320115900"), TTL, PAYLOAD), id="month 13"),
        pytest.param((RECIPIENT, MESSAGE_ID, CREATED, der.context(3, b"\xff"), PAYLOAD), id="negative time to live"),
        pytest.param((RECIPIENT, MESSAGE_ID, CREATED, der.integer(15_552_001, 0x83), PAYLOAD), id="over 180 days"),
        pytest.param((RECIPIENT, MESSAGE_ID, CREATED, der.context(3, b""), PAYLOAD), id="empty time to live"),
        pytest.param(
            (RECIPIENT, MESSAGE_ID, der.context(2, b"99991231235959"), TTL, PAYLOAD), id="expires after the year 9999"
        ),
        pytest.param((RECIPIENT, MESSAGE_ID, CREATED, TTL, der.octet_string(b"")), id="payload with a universal tag"),
    ],
)
def test_refuses_fields(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedMessageError):
        Parcel.deserialize(message(*fields))


@pytest.mark.parametrize("content", [b"", b"text", der.NULL], ids=["nothing", "text", "no SEQUENCE"])
def test_refuses_content(content: bytes) -> None:
    octets = HEADER + sign_data(content, private_key=rsa_key("sender"), certificate=SENDER)
    with pytest.raises(MalformedMessageError):
        Parcel.deserialize(octets)


def test_refuses_detached_content() -> None:
    octets = HEADER + sign_data(b"x", private_key=rsa_key("sender"), certificate=SENDER, detached=True)
    with pytest.raises(MalformedMessageError):
        Parcel.deserialize(octets)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"", MalformedMessageError),
        (HEADER, MalformedMessageError),
        (serialized(PARCEL) + b"\x00", MalformedMessageError),
        (serialized(PARCEL)[:-1], MalformedMessageError),
        (serialized(PARCEL)[:-1] + bytes((serialized(PARCEL)[-1] ^ 1,)), InvalidSignatureError),
    ],
    ids=["nothing", "header alone", "octets after it", "cut short", "signature"],
)
def test_refuses_octets(octets: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        Parcel.deserialize(octets)


# ---------------------------------------------------------------- Sizes


def test_size_is_checked_before_reading() -> None:
    with pytest.raises(OversizedMessageError):
        Parcel.deserialize(bytes(MAX_RAMF_MESSAGE_SIZE + 1))


def test_largest_size_is_read() -> None:
    with pytest.raises(MalformedMessageError):
        Parcel.deserialize(bytes(MAX_RAMF_MESSAGE_SIZE))


@pytest.mark.parametrize("size", [0, 1, 65_536, 8_388_607, MAX_RAMF_PAYLOAD_SIZE])
def test_payload_of_size(size: int) -> None:
    octets = serialized(internet_parcel(payload=b"x" * size))
    assert Parcel.deserialize(octets).payload == b"x" * size


def test_refuses_to_write_more_than_the_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parcel, "MAX_SIZE", 1_000)
    with pytest.raises(InvalidArgumentError, match="too large"):
        serialized(PARCEL)


# ---------------------------------------------------------------- Timing


@pytest.mark.parametrize(
    "now", [NOW, NOW + SECOND, NOW + 60 * SECOND], ids=["when created", "in between", "when it expires"]
)
def test_timely(now: datetime) -> None:
    replace(PARCEL, creation_date=NOW, ttl_seconds=60).check_timing(now)


@pytest.mark.parametrize(
    ("now", "reason"), [(NOW - SECOND, "future"), (NOW + 61 * SECOND, "expired")], ids=["future", "expired"]
)
def test_untimely(now: datetime, reason: str) -> None:
    with pytest.raises(UntimelyMessageError, match=reason):
        replace(PARCEL, creation_date=NOW, ttl_seconds=60).check_timing(now)


def test_creation_before_the_sender_certificate_is_tolerated() -> None:
    """Clients back-date messages by up to three hours (trap 12), so the spec's rule on this is not held."""
    authorization = delivery_authorization(issuer=CHAIN.endpoint, not_before=NOW - SECOND)
    parcel = replace(
        PARCEL, sender_certificate=authorization, creation_date=NOW - timedelta(hours=3), ttl_seconds=86_400
    )
    parcel.check_timing(NOW)
    assert parcel.authorized_path(ROOTS, now=NOW)


def test_sender_certificate_is_valid() -> None:
    internet_parcel().check_sender_certificate(NOT_AFTER)


def test_refuses_expired_sender_certificate() -> None:
    with pytest.raises(UnauthorizedSenderError):
        internet_parcel().check_sender_certificate(NOT_AFTER + SECOND)


# ---------------------------------------------------------------- Authorisation


def test_authorized_path() -> None:
    assert PARCEL.authorized_path(ROOTS, now=NOW) == (*CHAIN.attached, CHAIN.gateway)


def test_private_gateway_stands_under_the_root() -> None:
    """The queue of a parcel is that of the node directly under our own certificate."""
    assert PARCEL.authorized_path(ROOTS, now=NOW)[-2].node_id == id_of("private gateway")


def test_authorized_path_remembers_links() -> None:
    links = VerifiedLinks()
    PARCEL.authorized_path(ROOTS, now=NOW, links=links)
    assert len(links) == 3


def test_sender_under_the_root_reaches_the_root_only() -> None:
    parcel = replace(PARCEL, recipient=Recipient(id=CHAIN.gateway.node_id), sender_certificate=CHAIN.private_gateway)
    assert len(parcel.authorized_path(ROOTS, now=NOW)) == 2


def test_refuses_recipient_that_did_not_authorize() -> None:
    parcel = replace(PARCEL, recipient=Recipient(id=CHAIN.private_gateway.node_id))
    with pytest.raises(UnauthorizedSenderError, match="recipient"):
        parcel.authorized_path(ROOTS, now=NOW)


def test_refuses_self_issued_sender() -> None:
    with pytest.raises(UnauthorizedSenderError):
        replace(PARCEL, sender_certificate=SENDER).authorized_path(ROOTS, now=NOW)


def test_refuses_missing_chain() -> None:
    with pytest.raises(UnauthorizedSenderError):
        replace(PARCEL, attached_certificates=()).authorized_path(ROOTS, now=NOW)


def test_attached_root_is_harmless() -> None:
    parcel = replace(PARCEL, attached_certificates=(CHAIN.gateway, *CHAIN.attached))
    assert len(parcel.authorized_path(ROOTS, now=NOW)) == 4
