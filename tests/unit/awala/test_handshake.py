import pytest

from awala.asn1 import der
from awala.errors import MalformedMessageError
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.limits import MAX_HANDSHAKE_SIGNATURES

NONCE = bytes(range(16))
CHALLENGE = bytes.fromhex("3012 8010") + NONCE


def response(*signatures: bytes) -> bytes:
    return der.sequence(der.context(0, b"".join(signatures), constructed=True))


def test_writes_challenge() -> None:
    assert HandshakeChallenge(nonce=NONCE).serialize() == CHALLENGE


def test_reads_challenge() -> None:
    assert HandshakeChallenge.deserialize(CHALLENGE).nonce == NONCE


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        CHALLENGE + b"\x00",
        der.sequence(der.octet_string(NONCE)),
        der.structure(NONCE, NONCE),
        b"\x04\x00",
    ],
    ids=["nothing", "empty", "octets after it", "universal tag", "two nonces", "no SEQUENCE"],
)
def test_refuses_challenge(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        HandshakeChallenge.deserialize(octets)


def test_writes_response() -> None:
    assert HandshakeResponse(nonce_signatures=(b"a", b"b")).serialize() == bytes.fromhex("3008 a006 040161 040162")


@pytest.mark.parametrize("count", [1, 2, MAX_HANDSHAKE_SIGNATURES])
def test_reads_response(count: int) -> None:
    octets = response(*[der.octet_string(b"a")] * count)
    assert HandshakeResponse.deserialize(octets).nonce_signatures == (b"a",) * count


def test_reads_response_with_constructed_signature() -> None:
    octets = bytes.fromhex("3080 a080 2480 0401 61 0401 62 0000 0000 0000")
    assert HandshakeResponse.deserialize(octets).nonce_signatures == (b"ab",)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30\x00", id="empty"),
        pytest.param(response(), id="no signature"),
        pytest.param(response(*[der.octet_string(b"a")] * (MAX_HANDSHAKE_SIGNATURES + 1)), id="too many signatures"),
        pytest.param(response(der.context(0, b"a")), id="signature with a context tag"),
        pytest.param(der.structure(b"a"), id="signatures in a string"),
        pytest.param(response(der.octet_string(b"a")) + b"\x00", id="octets after it"),
        pytest.param(der.set_of([response(der.octet_string(b"a"))[2:]]), id="no SEQUENCE"),
    ],
)
def test_refuses_response(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        HandshakeResponse.deserialize(octets)
