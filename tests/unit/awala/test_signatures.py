from datetime import timedelta

import pytest

from awala.asn1 import der, oids
from awala.cms.signed_data import sign_data, verify_signed_data
from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError, UnauthorizedSenderError
from awala.pki.certificate import Certificate
from awala.pki.path import VerifiedLinks, digest_link
from awala.signatures import sign_detached, verify_detached
from tests.factories import NOT_AFTER, NOW, chain, gateway_certificate, private_key_of

CHAIN = chain()
SIGNER = CHAIN.private_gateway
NONCE = bytes(range(16))
OID = oids.PARCEL_COLLECTION_HANDSHAKE


def sign(signer: Certificate = SIGNER, plaintext: bytes = NONCE, oid: bytes = OID) -> bytes:
    return sign_detached(plaintext, oid, private_key=private_key_of(signer), certificate=signer)


def verify(signature: bytes, links: VerifiedLinks | None = None) -> Certificate:
    return verify_detached(signature, NONCE, OID, trusted=(CHAIN.gateway,), now=NOW, links=links)


def test_returns_signer() -> None:
    assert verify(sign()) == SIGNER


def test_signs_the_use_with_the_plaintext() -> None:
    signed = bytes.fromhex("301f 800b 2b0601040183ca54000301 8110") + NONCE
    assert verify_signed_data(sign(), detached_content=(signed,)).signer_certificate == SIGNER


def test_attaches_the_signer_alone() -> None:
    signed = verify_signed_data(sign(), detached_content=(der.structure(OID, NONCE),))
    assert signed.certificates == (SIGNER,)


@pytest.mark.parametrize("size", [0, 127, 128, 70_000])
def test_plaintext_of_any_size(size: int) -> None:
    plaintext = bytes(size)
    signature = sign(plaintext=plaintext, oid=oids.PARCEL_DELIVERY)
    roots = (CHAIN.gateway,)
    assert verify_detached(signature, plaintext, oids.PARCEL_DELIVERY, trusted=roots, now=NOW) == SIGNER


def test_remembers_the_link() -> None:
    links = VerifiedLinks()
    verify(sign(), links)
    assert digest_link(SIGNER, CHAIN.gateway) in links


def test_certificate_by_an_older_one_with_the_same_key() -> None:
    roots = (gateway_certificate(serial_number=2),)
    assert verify_detached(sign(), NONCE, OID, trusted=roots, now=NOW) == SIGNER


@pytest.mark.parametrize(
    ("signature", "error"),
    [
        pytest.param(b"", MalformedMessageError, id="nothing"),
        pytest.param(sign() + b"\x00", MalformedMessageError, id="octets after it"),
        pytest.param(
            sign_data(der.structure(OID, NONCE), private_key=private_key_of(SIGNER), certificate=SIGNER),
            MalformedMessageError,
            id="content attached",
        ),
        pytest.param(sign(plaintext=bytes(16)), InvalidSignatureError, id="another nonce"),
        pytest.param(sign(oid=oids.PARCEL_DELIVERY), InvalidSignatureError, id="another use"),
        pytest.param(sign(gateway_certificate("private gateway")), UnauthorizedSenderError, id="self-issued signer"),
        pytest.param(sign(CHAIN.gateway), UnauthorizedSenderError, id="the trusted node itself"),
    ],
)
def test_refuses(signature: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        verify(signature)


def test_refuses_signer_two_steps_from_the_root() -> None:
    """Attached certificates do not count: the signer stands directly under a trusted certificate."""
    signature = sign_data(
        der.structure(OID, NONCE),
        private_key=private_key_of(CHAIN.endpoint),
        certificate=CHAIN.endpoint,
        chain=(CHAIN.private_gateway,),
        detached=True,
    )
    with pytest.raises(UnauthorizedSenderError):
        verify(signature)


def test_refuses_expired_signer() -> None:
    with pytest.raises(UnauthorizedSenderError):
        verify_detached(sign(), NONCE, OID, trusted=(CHAIN.gateway,), now=NOT_AFTER + timedelta(seconds=1))
