"""What a reader of SignedData accepts and refuses: protocol.md names each case (CMS SignedData, verifying)."""

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from awala.asn1 import ber, der, oids
from awala.cms.signed_data import SignedData, sign_data, verify_signed_data
from awala.errors import InvalidSignatureError, MalformedMessageError
from awala.limits import MAX_ATTACHED_CERTIFICATES
from awala.pki import keys
from awala.pki.algorithms import HASHES, SHA256, SHA384, SHA512, HashAlgorithm, pss_parameters
from tests.factories import chain, endpoint_certificate, rsa_key, spki_of
from tests.unit.awala.crafted import (
    CONTENT_TYPE,
    MD5,
    PSS_SHA256,
    RSA_WITH_SHA256,
    SHA1,
    SIGNING_TIME,
    algorithm_identifier,
    attribute,
    certificate,
    certificate_der,
    encapsulated,
    explicit,
    issuer_and_serial,
    message_digest,
    signed_data,
    signer_info,
)

CONTENT = b"content"
CERTIFICATE = endpoint_certificate()
KEY = rsa_key("endpoint")
ATTRIBUTES = (CONTENT_TYPE, message_digest(CONTENT))
OTHER = certificate("other")
SIGNER = signer_info(CERTIFICATE, KEY, ATTRIBUTES)
SIGNATURE = keys.sign(KEY, der.element(ber.SET, b"".join(ATTRIBUTES)))
SUBJECT_KEY_SID = der.context(0, b"\x01" * 32)
PKCS1 = algorithm_identifier(RSA_WITH_SHA256, der.NULL)


def value(
    *,
    content: bytes | None = der.octet_string(CONTENT),
    signers: Sequence[bytes] = (SIGNER,),
    certificates: Sequence[bytes] | None = (CERTIFICATE.der,),
    **fields: bytes,
) -> bytes:
    content_info = fields.pop("content_info", None) or encapsulated(content)
    return signed_data(content_info=content_info, signer_infos=signers, certificates=certificates, **fields)


def by(attributes: Sequence[bytes] = ATTRIBUTES, **fields: object) -> Sequence[bytes]:
    """Return the one SignerInfo with these fields."""
    return [signer_info(CERTIFICATE, KEY, attributes, **fields)]  # type: ignore[arg-type] # passed through


def pkcs1_signature(attributes: Sequence[bytes] = ATTRIBUTES) -> bytes:
    return KEY.sign(der.set_of(attributes), padding.PKCS1v15(), hashes.SHA256())


# ---------------------------------------------------------------- Accepted


INDEFINITE = b"\x80"
END = b"\x00\x00"


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes((tag,)) + INDEFINITE + b"".join(parts) + END


JVM_STYLE = indefinite(
    ber.SEQUENCE,
    der.object_identifier(oids.SIGNED_DATA),
    indefinite(
        0xA0,
        indefinite(
            ber.SEQUENCE,
            der.integer(1),
            der.set_of([algorithm_identifier(oids.SHA256)]),
            indefinite(
                ber.SEQUENCE,
                der.object_identifier(oids.DATA),
                indefinite(0xA0, indefinite(0x24, der.octet_string(CONTENT[:4]), der.octet_string(CONTENT[4:]))),
            ),
            indefinite(0xA0, CERTIFICATE.der),
            der.element(ber.SET, *by(digest_algorithm=algorithm_identifier(oids.SHA256))),
        ),
    ),
)
JAVASCRIPT_STYLE = value(content=der.element(0x24, der.octet_string(CONTENT)))
SHA384_DIGEST = by((CONTENT_TYPE, message_digest(CONTENT, SHA384)), digest_algorithm=SHA384.identifier())
UNSORTED = (message_digest(CONTENT), CONTENT_TYPE)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(value(), id="definite lengths, primitive content"),
        pytest.param(JAVASCRIPT_STYLE, id="definite lengths, constructed content: trap 1, JavaScript"),
        pytest.param(JVM_STYLE, id="indefinite lengths, segments: trap 1, JVM"),
        pytest.param(value(signers=by((*ATTRIBUTES, SIGNING_TIME))), id="extra signed attributes"),
        pytest.param(value(certificates=(OTHER.der, CERTIFICATE.der)), id="extra certificate"),
        pytest.param(
            value(certificates=(der.context(1, der.NULL, constructed=True), CERTIFICATE.der)),
            id="certificate of another kind",
        ),
        pytest.param(value(signers=by(UNSORTED)), id="unsorted signed attributes"),
        pytest.param(
            value(digest_algorithms=der.element(ber.SET, SHA512.identifier() + SHA256.identifier())),
            id="unsorted digest algorithms",
        ),
        pytest.param(value(signers=by(digest_algorithm=algorithm_identifier(oids.SHA256))), id="no hash parameters"),
        pytest.param(value(signers=SHA384_DIGEST), id="digest differs from the hash of the signature"),
        pytest.param(value(signers=by(signature_hash=SHA512)), id="hash of the signature differs from the digest"),
        pytest.param(value(version=der.integer(3)), id="version 3"),
        pytest.param(value(crls=explicit(1, b"")), id="revocation lists"),
        pytest.param(value(signers=by(trailing=explicit(1, b""))), id="unsigned attributes"),
    ],
)
def test_accepts(octets: bytes) -> None:
    signed = verify_signed_data(octets)
    assert (signed.content, signed.signer_certificate) == (CONTENT, CERTIFICATE)


def test_returns_every_certificate() -> None:
    certificates = verify_signed_data(value(certificates=(OTHER.der, CERTIFICATE.der))).certificates
    assert certificates == (OTHER, CERTIFICATE)


def test_signer_is_found_among_namesakes() -> None:
    """Issuer and serial number name the certificate together."""
    same_issuer = certificate("endpoint", serial_number=der.integer(2))
    same_serial = certificate("other", serial_number=der.integer(1))
    signed = verify_signed_data(value(certificates=(same_issuer.der, same_serial.der, CERTIFICATE.der)))
    assert signed.signer_certificate == CERTIFICATE


def test_most_certificates() -> None:
    others = [OTHER.der] * (MAX_ATTACHED_CERTIFICATES - 1)
    signed = verify_signed_data(value(certificates=(*others, CERTIFICATE.der)))
    assert len(signed.certificates) == MAX_ATTACHED_CERTIFICATES


def test_empty_content() -> None:
    signers = by((CONTENT_TYPE, message_digest(b"")))
    assert verify_signed_data(value(content=der.octet_string(b""), signers=signers)).content == b""


# ---------------------------------------------------------------- Refused

WRONG_CONTENT_TYPE = attribute(oids.CONTENT_TYPE, der.object_identifier(oids.ENVELOPED_DATA))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(der.NULL, id="no ContentInfo"),
        pytest.param(value() + b"\x00", id="trailing octets"),
        pytest.param(value(oid=oids.ENVELOPED_DATA), id="EnvelopedData"),
        pytest.param(value(version=der.integer(2)), id="version 2"),
        pytest.param(value(digest_algorithms=der.NULL), id="digest algorithms are no SET"),
        pytest.param(
            value(content_info=encapsulated(der.octet_string(CONTENT), oid=oids.SIGNED_DATA)), id="type of content"
        ),
        pytest.param(value(content=der.integer(1)), id="content is no OCTET STRING"),
        pytest.param(value(content_info=der.sequence()), id="no type of content"),
        pytest.param(value(signers=()), id="no signer"),
        pytest.param(value(signers=(SIGNER, SIGNER)), id="two signers"),
        pytest.param(value(certificates=None), id="no certificates"),
        pytest.param(value(certificates=()), id="empty set of certificates"),
        pytest.param(value(certificates=(OTHER.der,)), id="certificate of the signer missing"),
        pytest.param(value(certificates=(CERTIFICATE.der[:-1],)), id="malformed certificate"),
        pytest.param(value(certificates=[CERTIFICATE.der] * 17), id="too many certificates"),
        pytest.param(value(crls=explicit(1, b"") * 2), id="too many members"),
        pytest.param(value(signers=by(version=der.integer(3), signer_id=SUBJECT_KEY_SID)), id="subject key identifier"),
        pytest.param(value(signers=by(signer_id=SUBJECT_KEY_SID)), id="subject key identifier under version 1"),
        pytest.param(value(signers=by(version=der.integer(3))), id="version 3 of the signer"),
        pytest.param(value(signers=by((CONTENT_TYPE,))), id="no messageDigest"),
        pytest.param(value(signers=by((message_digest(CONTENT),))), id="no contentType"),
        pytest.param(value(signers=by(())), id="no attributes in signedAttrs"),
        pytest.param(value(signers=by((WRONG_CONTENT_TYPE, message_digest(CONTENT)))), id="contentType is not id-data"),
        pytest.param(value(signers=by((*ATTRIBUTES, CONTENT_TYPE))), id="repeated attribute"),
        pytest.param(
            value(signers=by((CONTENT_TYPE, attribute(oids.MESSAGE_DIGEST)))), id="messageDigest without a value"
        ),
        pytest.param(
            value(signers=by((CONTENT_TYPE, attribute(oids.MESSAGE_DIGEST, b"\x04\x01a", b"\x04\x01b")))),
            id="messageDigest of two values",
        ),
        pytest.param(
            value(signers=by((CONTENT_TYPE, attribute(oids.MESSAGE_DIGEST, der.NULL)))),
            id="messageDigest of a wrong type",
        ),
        pytest.param(value(signers=by(attributes_tag=0xA1)), id="signedAttrs under another tag"),
    ],
)
def test_refuses_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        verify_signed_data(octets)


def test_refuses_absent_signed_attributes() -> None:
    """CMS allows a signature directly over the content; no deployed node makes one."""
    signature = der.octet_string(KEY.sign(CONTENT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()))
    signer = der.sequence(der.integer(1), issuer_and_serial(CERTIFICATE), SHA256.identifier(), PSS_SHA256, signature)
    with pytest.raises(MalformedMessageError):
        verify_signed_data(value(signers=(signer,)))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(value(content=der.octet_string(b"contend")), id="digest of other content"),
        pytest.param(value(signers=by(digest_algorithm=SHA384.identifier())), id="digest by another algorithm"),
        pytest.param(value(signers=by(signature=b"\x00" * 256)), id="signature"),
        pytest.param(
            value(signers=[signer_info(CERTIFICATE, rsa_key("other"), ATTRIBUTES)]), id="signature by another key"
        ),
        pytest.param(
            value(signers=by((*ATTRIBUTES, SIGNING_TIME), signature=SIGNATURE)), id="attribute that was not signed"
        ),
        pytest.param(value(signers=by(digest_algorithm=algorithm_identifier(SHA1, der.NULL))), id="SHA-1 digest"),
        pytest.param(value(signers=by(digest_algorithm=algorithm_identifier(MD5, der.NULL))), id="MD5 digest"),
        pytest.param(
            value(signers=by(signature_algorithm=algorithm_identifier(oids.RSASSA_PSS))), id="SHA-1 signature"
        ),
        pytest.param(value(signers=by(signature_algorithm=PKCS1, signature=pkcs1_signature())), id="PKCS#1 v1.5"),
        pytest.param(
            value(
                signers=by(
                    signature_algorithm=algorithm_identifier(oids.RSA_ENCRYPTION, der.NULL), signature=pkcs1_signature()
                )
            ),
            id="PKCS#1 v1.5 under rsaEncryption",
        ),
        pytest.param(
            value(signers=by(signature_algorithm=pss_parameters(SHA384).identifier())),
            id="another hash than signed with",
        ),
        pytest.param(value(certificates=(certificate_der("endpoint", algorithm=PKCS1),)), id="PKCS#1 certificate"),
    ],
)
def test_refuses_signature(octets: bytes) -> None:
    with pytest.raises(InvalidSignatureError):
        verify_signed_data(octets)


def test_refuses_rsa_1024() -> None:
    """The deployed libraries verify such signatures; RS-018 bans the keys."""
    short = certificate("short", spki=spki_of("short", 1024))
    signer = signer_info(short, rsa_key("short", 1024), ATTRIBUTES)
    with pytest.raises(InvalidSignatureError, match="shorter"):
        verify_signed_data(value(signers=(signer,), certificates=(short.der,)))


# ---------------------------------------------------------------- Detached signatures


def test_detached_content_in_parts() -> None:
    signed = verify_signed_data(value(content=None), detached_content=(CONTENT[:3], CONTENT[3:]))
    assert signed.content is None


def test_refuses_other_detached_content() -> None:
    with pytest.raises(InvalidSignatureError):
        verify_signed_data(value(content=None), detached_content=(b"contend",))


def test_refuses_content_both_attached_and_expected_outside() -> None:
    with pytest.raises(MalformedMessageError, match="attached where it should not be"):
        verify_signed_data(value(), detached_content=(CONTENT,))


def test_refuses_content_neither_attached_nor_given() -> None:
    with pytest.raises(MalformedMessageError):
        verify_signed_data(value(content=None))


# ---------------------------------------------------------------- Emitted


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_round_trip(algorithm: HashAlgorithm) -> None:
    octets = sign_data(CONTENT, private_key=KEY, certificate=CERTIFICATE, algorithm=algorithm)
    expected = SignedData(content=CONTENT, signer_certificate=CERTIFICATE, certificates=(CERTIFICATE,))
    assert verify_signed_data(octets) == expected


def test_detached_round_trip() -> None:
    octets = sign_data(CONTENT, private_key=KEY, certificate=CERTIFICATE, detached=True)
    assert CONTENT not in octets
    assert verify_signed_data(octets, detached_content=(CONTENT,)).signer_certificate == CERTIFICATE


@pytest.mark.parametrize("bits", [3072, 4096])
def test_round_trip_with_longer_keys(bits: int) -> None:
    longer = endpoint_certificate(bits=bits)
    octets = sign_data(CONTENT, private_key=rsa_key("endpoint", bits), certificate=longer)
    assert verify_signed_data(octets).signer_certificate == longer


def test_signer_is_attached_before_the_chain() -> None:
    certificates = chain()
    octets = sign_data(
        CONTENT,
        private_key=rsa_key("sender"),
        certificate=certificates.authorization,
        chain=(certificates.endpoint, certificates.private_gateway),
    )
    assert verify_signed_data(octets).certificates == certificates.attached


def test_emits_der_that_every_deployed_library_reads() -> None:
    """Definite lengths, primitive content, contentType before messageDigest, NULL hash parameters."""
    octets = sign_data(CONTENT, private_key=KEY, certificate=CERTIFICATE)
    assert octets == value(signers=by(signature=octets[-256:]))
