"""Issuing certificates (RS-002) in the form that both deployed libraries read.

The subject's and issuer's names are one common name, a BMPString with the node id; key identifiers are full
SHA-256 digests. A certificate never outlives its issuer's.
"""

import hashlib
from datetime import datetime
from typing import TypedDict, Unpack

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, der, oids
from awala.errors import InvalidArgumentError
from awala.pki import keys
from awala.pki.algorithms import SHA256, pss_parameters
from awala.pki.certificate import Certificate

_SELF_ISSUED_GATEWAY_PATH_LENGTH = 2
_GATEWAY_PATH_LENGTH = 1
_ENDPOINT_PATH_LENGTH = 0
_SIGNATURE_ALGORITHM = pss_parameters(SHA256).identifier()
_VERSION_3 = der.context(0, der.integer(2), constructed=True)


class IssuanceFields(TypedDict):
    """What every certificate is issued with; both dates are inclusive, fractions of a second are dropped."""

    subject_public_key: rsa.RSAPublicKey
    issuer_private_key: rsa.RSAPrivateKey
    not_before: datetime
    not_after: datetime
    serial_number: int


def issue_gateway_certificate(
    *, issuer_certificate: Certificate | None = None, **fields: Unpack[IssuanceFields]
) -> Certificate:
    """Issue a gateway's certificate (RS-002): self-issued (pathLen 2) without ``issuer_certificate``, else pathLen 1.

    :raises InvalidArgumentError: if the validity period is empty or the serial number is not positive
    """
    path_length = _SELF_ISSUED_GATEWAY_PATH_LENGTH if issuer_certificate is None else _GATEWAY_PATH_LENGTH
    return _issue(issuer_certificate, is_ca=True, path_length=path_length, **fields)


def issue_endpoint_certificate(
    *, issuer_certificate: Certificate | None = None, **fields: Unpack[IssuanceFields]
) -> Certificate:
    """Issue an endpoint's certificate (RS-002; cA, pathLen 0), self-issued without ``issuer_certificate``.

    :raises InvalidArgumentError: if the validity period is empty or the serial number is not positive
    """
    return _issue(issuer_certificate, is_ca=True, path_length=_ENDPOINT_PATH_LENGTH, **fields)


def issue_delivery_authorization(*, issuer_certificate: Certificate, **fields: Unpack[IssuanceFields]) -> Certificate:
    """Issue a parcel or cargo delivery authorisation (RS-002; PDA, CDA): cA FALSE, pathLen 0.

    :raises InvalidArgumentError: if the validity period is empty or the serial number is not positive
    """
    return _issue(issuer_certificate, is_ca=False, path_length=_ENDPOINT_PATH_LENGTH, **fields)


def _issue(
    issuer_certificate: Certificate | None,
    *,
    subject_public_key: rsa.RSAPublicKey,
    issuer_private_key: rsa.RSAPrivateKey,
    not_before: datetime,
    not_after: datetime,
    serial_number: int,
    is_ca: bool,
    path_length: int,
) -> Certificate:
    spki = keys.spki_der(subject_public_key)
    issuer_spki = keys.spki_der(issuer_private_key.public_key())
    subject_der = _encode_name(keys.node_id(spki))
    issuer_der = subject_der
    if issuer_certificate is not None:
        if issuer_certificate.spki_der != issuer_spki:
            raise InvalidArgumentError("The issuer's key and certificate do not belong together")
        issuer_der = issuer_certificate.subject_der
        not_after = min(not_after, issuer_certificate.not_after)
    if not_after < not_before:
        raise InvalidArgumentError("The certificate would end before it starts")
    if serial_number <= 0:
        raise InvalidArgumentError("Certificate serial numbers are positive")
    tbs_der = der.sequence(
        _VERSION_3,
        der.integer(serial_number),
        _SIGNATURE_ALGORITHM,
        issuer_der,
        der.sequence(der.x509_time(not_before), der.x509_time(not_after)),
        subject_der,
        spki,
        _encode_extensions(spki, issuer_spki, is_ca=is_ca, path_length=path_length),
    )
    signature = keys.sign(issuer_private_key, tbs_der)
    return Certificate.parse(der.sequence(tbs_der, _SIGNATURE_ALGORITHM, der.bit_string(signature)))


def _encode_name(node_id: str) -> bytes:
    attribute = der.sequence(der.object_identifier(oids.COMMON_NAME), der.bmp_string(node_id))
    return der.sequence(der.set_of([attribute]))


def _encode_extensions(spki: bytes, issuer_spki: bytes, *, is_ca: bool, path_length: int) -> bytes:
    # With cA FALSE the flag is left out (DER's default) and pathLen 0 stays: RS-002's form, `30 03 02 01 00`.
    basic_constraints = der.sequence(der.TRUE if is_ca else b"", der.integer(path_length))
    authority_key_id = der.sequence(der.context(0, hashlib.sha256(issuer_spki).digest()))
    subject_key_id = der.octet_string(hashlib.sha256(spki).digest())
    return der.element(
        ber.context(3, constructed=True),
        der.sequence(
            _encode_extension(oids.BASIC_CONSTRAINTS, basic_constraints, is_critical=True),
            _encode_extension(oids.AUTHORITY_KEY_IDENTIFIER, authority_key_id),
            _encode_extension(oids.SUBJECT_KEY_IDENTIFIER, subject_key_id),
        ),
    )


def _encode_extension(oid: bytes, value: bytes, *, is_critical: bool = False) -> bytes:
    flag = der.TRUE if is_critical else b""
    return der.sequence(der.object_identifier(oid), flag, der.octet_string(value))
