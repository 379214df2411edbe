"""Certificates and SignedData values put together field by field, to be wrong in exactly one of them."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, der, oids
from awala.pki import keys
from awala.pki.algorithms import SHA256, HashAlgorithm, pss_parameters
from awala.pki.certificate import Certificate
from tests.factories import NOT_AFTER, NOT_BEFORE, id_of, rsa_key, spki_of

SHA1 = oids.encode("1.3.14.3.2.26")
MD5 = oids.encode("1.2.840.113549.2.5")
RSA_WITH_SHA256 = oids.encode("1.2.840.113549.1.1.11")
NAME_CONSTRAINTS = oids.encode("2.5.29.30")
RATE_LIMIT = oids.encode("1.3.6.1.4.1.58708.0.0.0")
COMMON_NAME = "2.5.4.3"
PSS_SHA256 = pss_parameters(SHA256).identifier()
CA = bytes.fromhex("30030101ff")
VERSION_3 = der.context(0, der.integer(2), constructed=True)


def algorithm_identifier(oid: bytes, *parameters: bytes) -> bytes:
    return der.sequence(der.object_identifier(oid), *parameters)


def explicit(number: int, element: bytes) -> bytes:
    return der.context(number, element, constructed=True)


# ---------------------------------------------------------------- Certificates


def name(text: str, *, encode_text: str = "utf-16-be", tag: int = ber.BMP_STRING, oid: str = COMMON_NAME) -> bytes:
    attribute = der.sequence(der.object_identifier(oids.encode(oid)), der.element(tag, text.encode(encode_text)))
    return der.sequence(der.set_of([attribute]))


def extension(oid: bytes, value: bytes, *, critical: bytes = b"") -> bytes:
    return der.sequence(der.object_identifier(oid), critical, der.octet_string(value))


def extensions(*entries: bytes) -> bytes:
    return explicit(3, der.sequence(*entries))


def basic_constraints(value: bytes) -> bytes:
    return extension(oids.BASIC_CONSTRAINTS, value, critical=der.TRUE)


def basic_constraints_for(path_length: int | None) -> bytes:
    return der.sequence(der.TRUE, b"" if path_length is None else der.integer(path_length))


def certificate_der(
    subject: str = "subject",
    issuer: str = "subject",
    *,
    version: bytes = VERSION_3,
    serial_number: bytes = b"\x02\x01\x01",
    inner_algorithm: bytes | None = None,
    algorithm: bytes = PSS_SHA256,
    issuer_name: bytes | None = None,
    not_before: bytes | datetime = NOT_BEFORE,
    not_after: bytes | datetime = NOT_AFTER,
    subject_name: bytes | None = None,
    spki: bytes | None = None,
    trailing: bytes | None = None,
    path_length: int | None = None,
    signature: bytes | None = None,
    signing_key: rsa.RSAPrivateKey | None = None,
) -> bytes:
    """Return a certificate of ``subject`` signed by ``issuer`` (owners of keys); a CA unless ``trailing`` differs."""
    tbs = der.sequence(
        version,
        serial_number,
        inner_algorithm or algorithm,
        issuer_name or name(id_of(issuer)),
        der.sequence(*(t if isinstance(t, bytes) else der.x509_time(t) for t in (not_before, not_after))),
        subject_name or name(id_of(subject)),
        spki or spki_of(subject),
        extensions(basic_constraints(basic_constraints_for(path_length))) if trailing is None else trailing,
    )
    if signature is None:
        signature = der.bit_string(keys.sign(signing_key or rsa_key(issuer), tbs))
    return der.sequence(tbs, algorithm, signature)


def certificate(subject: str = "subject", issuer: str = "subject", /, **fields: object) -> Certificate:
    """Return :func:`certificate_der`, read."""
    return Certificate.parse(certificate_der(subject, issuer, **fields))  # type: ignore[arg-type] # passed through


# ---------------------------------------------------------------- SignedData


def attribute(oid: bytes, *values: bytes) -> bytes:
    return der.sequence(der.object_identifier(oid), der.set_of(values))


CONTENT_TYPE = attribute(oids.CONTENT_TYPE, der.object_identifier(oids.DATA))
SIGNING_TIME = attribute(oids.encode("1.2.840.113549.1.9.5"), der.x509_time(datetime(2026, 1, 1, tzinfo=UTC)))


def message_digest(content: bytes, algorithm: HashAlgorithm = SHA256) -> bytes:
    return attribute(oids.MESSAGE_DIGEST, der.octet_string(hashlib.new(algorithm.name, content).digest()))


def issuer_and_serial(certificate: Certificate) -> bytes:
    return der.sequence(certificate.issuer_der, der.integer(certificate.serial_number))


def signer_info(
    certificate: Certificate,
    signing_key: rsa.RSAPrivateKey,
    attributes: Sequence[bytes],
    *,
    version: bytes = b"\x02\x01\x01",
    signer_id: bytes | None = None,
    digest_algorithm: bytes | None = None,
    signature_algorithm: bytes | None = None,
    signature_hash: HashAlgorithm = SHA256,
    signature: bytes | None = None,
    attributes_tag: int = 0xA0,
    trailing: bytes = b"",
) -> bytes:
    """Return a SignerInfo with the attributes in the order given, and signed in that order."""
    encoded = b"".join(attributes)
    if signature is None:
        signature = keys.sign(signing_key, der.element(ber.SET, encoded), signature_hash)
    return der.sequence(
        version,
        signer_id or issuer_and_serial(certificate),
        digest_algorithm or SHA256.identifier(),
        der.element(attributes_tag, encoded),
        signature_algorithm or pss_parameters(signature_hash).identifier(),
        der.octet_string(signature),
        trailing,
    )


def encapsulated(content: bytes | None, *, oid: bytes = oids.DATA) -> bytes:
    """Return encapContentInfo with the encoded OCTET STRING ``content``; ``None`` leaves it out."""
    return der.sequence(der.object_identifier(oid), b"" if content is None else explicit(0, content))


def signed_data(
    *,
    content_info: bytes,
    signer_infos: Iterable[bytes],
    certificates: Iterable[bytes] | None,
    oid: bytes = oids.SIGNED_DATA,
    version: bytes = b"\x02\x01\x01",
    digest_algorithms: bytes | None = None,
    crls: bytes = b"",
) -> bytes:
    """Return a ContentInfo with a SignedData value; the members are encoded already."""
    value = der.sequence(
        version,
        digest_algorithms or der.set_of([SHA256.identifier()]),
        content_info,
        b"" if certificates is None else explicit(0, b"".join(certificates)),
        crls,
        der.element(ber.SET, b"".join(signer_infos)),
    )
    return der.sequence(der.object_identifier(oid), explicit(0, value))
