from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from awala.asn1 import der, oids
from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError, UntimelyMessageError
from awala.pki import keys
from awala.pki.algorithms import SHA384
from awala.registration import Registration, RegistrationAuthorization, RegistrationRequest
from awala.session_key import generate_session_key
from tests.factories import NOW, gateway_certificate, rsa_key, spki_of

SECOND = timedelta(seconds=1)
GATEWAY_KEY = rsa_key("gateway")
NODE_KEY = rsa_key("private gateway")

# ---------------------------------------------------------------- Authorisation, PNRA

AUTHORIZATION = RegistrationAuthorization(expiry=NOW, gateway_data=b"data")
PNRA = AUTHORIZATION.serialize(GATEWAY_KEY)
EXPIRY = der.context(0, b"20261120120000")
DATA = der.context(1, b"data")


def signed_authorization(expiry: bytes, data: bytes) -> bytes:
    """Return a PNRA, with any octets for its fields, that the gateway did sign."""
    signed = der.structure(oids.NODE_REGISTRATION_AUTHORIZATION, expiry, data)
    return der.structure(expiry, data, keys.sign(GATEWAY_KEY, signed))


def read_authorization(octets: bytes) -> RegistrationAuthorization:
    return RegistrationAuthorization.deserialize(octets, GATEWAY_KEY.public_key(), now=NOW)


def test_authorization_round_trip() -> None:
    assert read_authorization(PNRA) == AUTHORIZATION


def test_authorization_is_encoded_as_deployed() -> None:
    assert PNRA[4:].startswith(EXPIRY + DATA + b"\x82\x82\x01\x00")


def test_authorization_signs_its_use() -> None:
    """A signature made for something else is none here: the object identifier is signed too."""
    signed = (
        bytes.fromhex("3023 800b 2b0601040183ca54000200 810e") + b"20261120120000" + bytes.fromhex("8204") + b"data"
    )
    keys.verify(GATEWAY_KEY.public_key(), PNRA[-256:], signed)


def test_refuses_expired_authorization() -> None:
    with pytest.raises(UntimelyMessageError):
        RegistrationAuthorization.deserialize(PNRA, GATEWAY_KEY.public_key(), now=NOW + SECOND)


def test_expiry_of_an_authorization_that_is_not_ours_says_nothing() -> None:
    with pytest.raises(InvalidSignatureError):
        RegistrationAuthorization.deserialize(PNRA, NODE_KEY.public_key(), now=NOW + SECOND)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(b"", MalformedMessageError, id="nothing"),
        pytest.param(der.sequence(EXPIRY, DATA), MalformedMessageError, id="no signature"),
        pytest.param(der.sequence(DATA, EXPIRY, DATA), MalformedMessageError, id="members in another order"),
        pytest.param(PNRA + b"\x00", MalformedMessageError, id="octets after it"),
        pytest.param(signed_authorization(b"20261120120000Z", b""), MalformedMessageError, id="expiry with a zone"),
        pytest.param(signed_authorization(b"20261320120000", b""), MalformedMessageError, id="month 13"),
        pytest.param(der.sequence(EXPIRY, DATA, der.context(2, b"")), InvalidSignatureError, id="empty signature"),
        pytest.param(PNRA.replace(b"data", b"date"), InvalidSignatureError, id="other data"),
        pytest.param(AUTHORIZATION.serialize(NODE_KEY), InvalidSignatureError, id="signed by another key"),
    ],
)
def test_refuses_authorization(octets: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        read_authorization(octets)


# ---------------------------------------------------------------- Request, PNRR

REQUEST = RegistrationRequest(public_key_der=spki_of("private gateway"), authorization_serialized=b"pnra")
PNRR = REQUEST.serialize(NODE_KEY)
KEY = der.context(0, spki_of("private gateway"))
AUTHORIZED = der.context(1, b"pnra")
COUNTERSIGNED = bytes.fromhex("3013 800b 2b0601040183ca54000201 8104") + b"pnra"


def countersigned(signature: bytes) -> bytes:
    return der.sequence(KEY, AUTHORIZED, der.context(2, signature))


def test_request_round_trip() -> None:
    assert RegistrationRequest.deserialize(PNRR) == REQUEST


def test_request_countersigns_the_authorization_and_its_use() -> None:
    keys.verify(NODE_KEY.public_key(), PNRR[-256:], COUNTERSIGNED)


def test_request_holds_structures_in_octet_strings() -> None:
    assert PNRR[4:].startswith(KEY + AUTHORIZED)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(b"", MalformedMessageError, id="nothing"),
        pytest.param(der.sequence(KEY, AUTHORIZED), MalformedMessageError, id="no countersignature"),
        pytest.param(PNRR + b"\x00", MalformedMessageError, id="octets after it"),
        pytest.param(der.sequence(AUTHORIZED, KEY, AUTHORIZED), MalformedMessageError, id="members in another order"),
        pytest.param(
            der.structure(b"\x30\x00", b"pnra", keys.sign(NODE_KEY, COUNTERSIGNED)), MalformedMessageError, id="no key"
        ),
        pytest.param(
            replace(REQUEST, public_key_der=spki_of("short", 1024)).serialize(rsa_key("short", 1024)),
            InvalidSignatureError,
            id="RSA-1024",
        ),
        pytest.param(REQUEST.serialize(GATEWAY_KEY), InvalidSignatureError, id="countersigned by another key"),
        pytest.param(PNRR.replace(b"pnra", b"pnrb"), InvalidSignatureError, id="another authorisation"),
        pytest.param(countersigned(keys.sign(NODE_KEY, b"pnra")), InvalidSignatureError, id="use not signed"),
        pytest.param(countersigned(keys.sign(NODE_KEY, COUNTERSIGNED, SHA384)), InvalidSignatureError, id="SHA-384"),
        pytest.param(
            countersigned(NODE_KEY.sign(COUNTERSIGNED, padding.PKCS1v15(), hashes.SHA256())),
            InvalidSignatureError,
            id="PKCS#1 v1.5",
        ),
    ],
)
def test_refuses_request(octets: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        RegistrationRequest.deserialize(octets)


# ---------------------------------------------------------------- Registration, PNR

GATEWAY = gateway_certificate()
SESSION_KEY, _ = generate_session_key()
REGISTRATION = Registration(
    node_certificate=gateway_certificate("private gateway", issuer=GATEWAY),
    gateway_certificate=GATEWAY,
    gateway_internet_address="gateway.example.com",
    session_key=SESSION_KEY,
)
NODE = der.context(0, REGISTRATION.node_certificate.der)
ISSUER = der.context(1, GATEWAY.der)
ADDRESS = der.context(2, b"gateway.example.com")
SESSION = der.context(3, SESSION_KEY.members(), constructed=True)


def test_registration_round_trip() -> None:
    assert Registration.deserialize(REGISTRATION.serialize()) == REGISTRATION


def test_registration_is_encoded_as_deployed() -> None:
    assert REGISTRATION.serialize() == der.sequence(NODE, ISSUER, ADDRESS, SESSION)


def test_registration_without_session_key() -> None:
    """Private endpoints get none from their gateways."""
    registration = replace(REGISTRATION, session_key=None)
    assert registration.serialize() == der.sequence(NODE, ISSUER, ADDRESS)
    assert Registration.deserialize(registration.serialize()) == registration


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(der.sequence(NODE, ISSUER), id="no address"),
        pytest.param(der.sequence(NODE, ISSUER, ADDRESS, SESSION, SESSION), id="five members"),
        pytest.param(der.sequence(ISSUER, NODE, ADDRESS), id="members in another order"),
        pytest.param(der.sequence(der.context(0, b"x"), ISSUER, ADDRESS), id="malformed certificate of the node"),
        pytest.param(der.sequence(NODE, der.context(1, b"x"), ADDRESS), id="malformed certificate of the gateway"),
        pytest.param(der.sequence(NODE, ISSUER, ADDRESS, der.context(3, b"x")), id="session key in a string"),
        pytest.param(der.sequence(NODE, ISSUER, ADDRESS, b"\xa3\x00"), id="empty session key"),
    ],
)
def test_refuses_registration(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        Registration.deserialize(octets)
