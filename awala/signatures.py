"""Detached signatures of gateways over something said in a binding (RS-000, RS-016).

What is signed is ``SEQUENCE { oid [0], plaintext [1] OCTET STRING }``; the object identifier tells the uses
apart. Only the signer's certificate is attached, so the signer must stand directly under a trusted certificate.
"""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, der
from awala.cms.signed_data import sign_data, verify_signed_data
from awala.pki.certificate import Certificate
from awala.pki.path import VerifiedLinks, build_path


def sign_detached(plaintext: bytes, oid: bytes, *, private_key: rsa.RSAPrivateKey, certificate: Certificate) -> bytes:
    """Return the DER SignedData, its content left out, over ``plaintext`` for the use ``oid``."""
    content = b"".join(_signed_parts(plaintext, oid))
    return sign_data(content, private_key=private_key, certificate=certificate, detached=True)


def verify_detached(
    signature: bytes,
    plaintext: bytes,
    oid: bytes,
    *,
    trusted: tuple[Certificate, ...],
    now: datetime,
    links: VerifiedLinks | None = None,
) -> Certificate:
    """Return the certificate of the node that signed ``plaintext`` for the use ``oid``.

    :raises MalformedMessageError: if ``signature`` is no detached SignedData
    :raises InvalidSignatureError: if it does not hold
    :raises UnauthorizedSenderError: if the signer is not certified by one of ``trusted`` at ``now``
    """
    signed = verify_signed_data(signature, detached_content=_signed_parts(plaintext, oid))
    build_path(signed.signer_certificate, (), trusted, now=now, links=links)
    return signed.signer_certificate


def _signed_parts(plaintext: bytes, oid: bytes) -> tuple[bytes, bytes]:
    """Return the header and the plaintext: the latter may be a whole parcel, so it is not copied."""
    tagged_oid = der.context(0, oid)
    plaintext_header = der.header(ber.context(1), len(plaintext))
    length = len(tagged_oid) + len(plaintext_header) + len(plaintext)
    return der.header(ber.SEQUENCE, length) + tagged_oid + plaintext_header, plaintext
