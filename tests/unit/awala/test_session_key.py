import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from awala.asn1 import ber, der, oids
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.pki import keys
from awala.session_key import SessionKey, generate_session_key
from tests.factories import spki_of

KEY, PRIVATE_KEY = generate_session_key()
ID = der.context(0, KEY.key_id)
PUBLIC_KEY = der.context(1, KEY.public_key_der)


def test_generates_p256_key_with_id_of_8_octets() -> None:
    assert len(KEY.key_id) == 8
    assert KEY.public_key_der == keys.spki_der(PRIVATE_KEY.public_key())
    assert isinstance(PRIVATE_KEY.curve, ec.SECP256R1)


def test_public_key_is_encoded_as_deployed() -> None:
    assert len(KEY.public_key_der) == 91


def test_generated_keys_differ() -> None:
    other, _ = generate_session_key()
    assert other.key_id != KEY.key_id
    assert other.public_key_der != KEY.public_key_der


@pytest.mark.parametrize("key_id", [b"\x00", b"x" * 100])
def test_id_is_opaque(key_id: bytes) -> None:
    assert SessionKey(key_id=key_id, public_key_der=KEY.public_key_der).key_id == key_id


def test_refuses_empty_id() -> None:
    with pytest.raises(InvalidArgumentError, match="empty"):
        SessionKey(key_id=b"", public_key_der=KEY.public_key_der)


UNKNOWN_CURVE = der.sequence(der.object_identifier(oids.EC_PUBLIC_KEY), der.object_identifier(oids.encode("1.3.99.1")))


@pytest.mark.parametrize(
    "public_key_der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(KEY.public_key_der[:-1], id="cut short"),
        pytest.param(KEY.public_key_der[:-1] + bytes((KEY.public_key_der[-1] ^ 1,)), id="point off the curve"),
        pytest.param(keys.spki_der(ec.generate_private_key(ec.SECP384R1()).public_key()), id="P-384"),
        pytest.param(spki_of("a"), id="RSA"),
        pytest.param(der.sequence(UNKNOWN_CURVE, der.bit_string(b"\x04" + bytes(64))), id="unknown curve"),
        pytest.param(
            der.sequence(der.sequence(der.object_identifier(oids.DATA)), der.bit_string(b"")), id="unknown algorithm"
        ),
    ],
)
def test_refuses_public_key(public_key_der: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        SessionKey(key_id=b"id", public_key_der=public_key_der)


def element(*members: bytes) -> ber.Element:
    return ber.read(der.sequence(*members))


def test_reads_members() -> None:
    assert SessionKey.from_element(element(ID, PUBLIC_KEY)) == KEY


def test_writes_members() -> None:
    assert KEY.members() == ID + PUBLIC_KEY


@pytest.mark.parametrize(
    "members",
    [
        pytest.param((), id="none"),
        pytest.param((ID,), id="one"),
        pytest.param((ID, PUBLIC_KEY, ID), id="three"),
        pytest.param((PUBLIC_KEY, ID), id="another order"),
        pytest.param((der.context(0, b""), PUBLIC_KEY), id="empty id"),
        pytest.param((ID, der.context(1, b"key")), id="malformed key"),
        pytest.param(
            (ID, der.context(1, der.sequence(UNKNOWN_CURVE, der.bit_string(b"\x04" + bytes(64))))), id="unknown curve"
        ),
    ],
)
def test_refuses_members(members: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedMessageError):
        SessionKey.from_element(element(*members))
