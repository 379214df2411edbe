"""CMS SignedData (RFC 5652, section 5) as deployed nodes emit it: one signer, named by issuer and serial number.

The digest algorithm and the hash inside the signature may differ (the JavaScript library does that), so each is
read and used for its own purpose.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, der, oids
from awala.errors import InvalidSignatureError, MalformedMessageError
from awala.limits import MAX_ATTACHED_CERTIFICATES
from awala.pki import keys
from awala.pki.algorithms import (
    SHA256,
    HashAlgorithm,
    parse_hash,
    parse_signature_algorithm,
    pss_parameters,
)
from awala.pki.certificate import Certificate

_VERSION = 1
_EXPLICIT_TAG = ber.context(0, constructed=True)
_CERTIFICATES_TAG = ber.context(0, constructed=True)
_SIGNED_ATTRIBUTES_TAG = ber.context(0, constructed=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedData:
    """A SignedData value whose signature holds.

    ``content`` is ``None`` when the signature is detached. ``certificates`` are all that were attached, the
    signer's included, in no particular order; nothing is known of them yet, nor of the signer's.
    """

    content: bytes | None = field(repr=False)
    signer_certificate: Certificate
    certificates: tuple[Certificate, ...]


def sign_data(
    content: bytes,
    *,
    private_key: rsa.RSAPrivateKey,
    certificate: Certificate,
    chain: Iterable[Certificate] = (),
    detached: bool = False,
    algorithm: HashAlgorithm = SHA256,
) -> bytes:
    """Return the DER ContentInfo of a SignedData over ``content``, which is left out when ``detached``.

    The signer's certificate is attached first, then ``chain``.
    """
    digest = hashlib.new(algorithm.name, content).digest()
    attributes = der.set_of(
        [
            _encode_attribute(oids.CONTENT_TYPE, der.object_identifier(oids.DATA)),
            _encode_attribute(oids.MESSAGE_DIGEST, der.octet_string(digest)),
        ]
    )
    signer_info = der.sequence(
        der.integer(_VERSION),
        der.sequence(certificate.issuer_der, der.integer(certificate.serial_number)),
        algorithm.identifier(),
        _retag(attributes, _SIGNED_ATTRIBUTES_TAG),
        pss_parameters(algorithm).identifier(),
        der.octet_string(keys.sign(private_key, attributes, algorithm)),
    )
    certificates = der.element(_CERTIFICATES_TAG, b"".join(c.der for c in (certificate, *chain)))
    around = (
        der.Layer(tag=ber.SEQUENCE, before=der.object_identifier(oids.DATA)),
        der.Layer(
            tag=ber.SEQUENCE,
            before=der.integer(_VERSION) + der.set_of([algorithm.identifier()]),
            after=certificates + der.set_of([signer_info]),
        ),
        der.Layer(tag=_EXPLICIT_TAG),
        der.Layer(tag=ber.SEQUENCE, before=der.object_identifier(oids.SIGNED_DATA)),
    )
    if detached:
        return der.enclose(b"", *around)
    return der.enclose(content, der.Layer(tag=ber.OCTET_STRING), der.Layer(tag=_EXPLICIT_TAG), *around)


def _encode_attribute(oid: bytes, value: bytes) -> bytes:
    return der.sequence(der.object_identifier(oid), der.set_of([value]))


def _retag(element: bytes, tag: int) -> bytes:
    return bytes((tag,)) + element[1:]


def verify_signed_data(octets: bytes, *, detached_content: Sequence[bytes] | None = None) -> SignedData:
    """Read a ContentInfo with SignedData and check its signature (RS-001; RFC 5652, 5.4 and 5.6).

    ``detached_content`` is the signed content, in parts that are not copied together, and is given exactly when
    the content is expected outside. The signer's certificate is *not* validated.

    :raises MalformedMessageError: if the octets are no such value
    :raises InvalidSignatureError: if the signature does not hold or its algorithms are banned by RS-018
    """
    # Step 1: ContentInfo with SignedData, and nothing after it.
    version, digest_algorithms, encapsulated, *optional = _open(octets)
    if version.integer() not in (1, 3):
        raise MalformedMessageError("Unsupported SignedData version")
    digest_algorithms.expect(ber.SET)
    content = _read_content(encapsulated)
    # Step 2: exactly one signer.
    certificates, signer_info = _read_signer(optional)
    # Step 3: the signer's certificate is attached, and named by issuer and serial number.
    signer = _SignerInfo.read(signer_info)
    certificate = signer.find_certificate(certificates)
    # Step 4: the digest of the content is the one signed.
    parts = detached_content if content is None else (content,)
    if parts is None or (content is not None and detached_content is not None):
        raise MalformedMessageError("Content is attached where it should not be, or the other way about")
    digest = hashlib.new(signer.digest_algorithm.name)
    for part in parts:
        digest.update(part)
    if digest.digest() != signer.message_digest():
        raise InvalidSignatureError("Message digest does not match the content")
    # Steps 5 and 6: the signature over the signed attributes, as a SET, under the parameters given.
    parameters = parse_signature_algorithm(signer.signature_algorithm)
    signed_octets = _retag(signer.attributes.raw, ber.SET)
    keys.verify(certificate.public_key(), signer.signature, signed_octets, parameters)
    return SignedData(content=content, signer_certificate=certificate, certificates=certificates)


def _open(octets: bytes) -> list[ber.Element]:
    content_type, explicit = ber.read(octets).members(2)
    if content_type.expect(ber.OBJECT_IDENTIFIER).content != oids.SIGNED_DATA:
        raise MalformedMessageError("Not a CMS SignedData value")
    return explicit.expect(ber.context(0, constructed=True)).only_child().members(4, 6)


def _read_content(encapsulated: ber.Element) -> bytes | None:
    content_type, *explicit = encapsulated.members(1, 2)
    if content_type.expect(ber.OBJECT_IDENTIFIER).content != oids.DATA:
        raise MalformedMessageError("Signed content is not of type id-data")
    for content in explicit:
        return content.expect(ber.context(0, constructed=True)).only_child().octets()
    return None


def _read_signer(optional: list[ber.Element]) -> tuple[tuple[Certificate, ...], ber.Element]:
    certificates: tuple[Certificate, ...] = ()
    *tagged, signer_infos = optional
    for member in tagged:
        if member.tag == _CERTIFICATES_TAG:
            # The CHOICE has other, tagged, kinds of certificate, of no use here.
            elements = member.children(most=MAX_ATTACHED_CERTIFICATES)
            certificates = tuple(Certificate.from_element(e) for e in elements if e.tag == ber.SEQUENCE)
    return certificates, signer_infos.expect(ber.SET).only_child()


@dataclass(frozen=True, kw_only=True, slots=True)
class _SignerInfo:
    issuer_der: bytes
    serial_number: int
    digest_algorithm: HashAlgorithm
    attributes: ber.Element
    signature_algorithm: ber.Element
    signature: bytes

    @classmethod
    def read(cls, element: ber.Element) -> "_SignerInfo":
        # Signed attributes are optional in CMS, but no deployed node leaves them out; six members are with them.
        version, signer_id, digest_algorithm, attributes, signature_algorithm, signature, *_ = element.members(6, 7)
        if version.integer() != _VERSION or signer_id.tag != ber.SEQUENCE:
            raise MalformedMessageError("Signer is not named by issuer and serial number")
        issuer, serial_number = signer_id.members(2)
        return cls(
            issuer_der=issuer.raw,
            serial_number=serial_number.integer(),
            digest_algorithm=parse_hash(digest_algorithm),
            attributes=attributes.expect(_SIGNED_ATTRIBUTES_TAG),
            signature_algorithm=signature_algorithm,
            signature=signature.octets(),
        )

    def find_certificate(self, certificates: Iterable[Certificate]) -> Certificate:
        for certificate in certificates:
            if (certificate.issuer_der, certificate.serial_number) == (self.issuer_der, self.serial_number):
                return certificate
        raise MalformedMessageError("Signer certificate is not attached")

    def message_digest(self) -> bytes:
        """Return the messageDigest attribute, having checked contentType (RFC 5652, 5.3 and 11)."""
        values: dict[bytes, ber.Element] = {}
        for attribute in self.attributes.children():
            oid, value = attribute.members(2)
            if oid.content in values:
                raise MalformedMessageError("Repeated signed attribute")
            values[oid.content] = value.expect(ber.SET)
        if oids.CONTENT_TYPE not in values or oids.MESSAGE_DIGEST not in values:
            raise MalformedMessageError("Signed attributes lack the content type or the message digest")
        if values[oids.CONTENT_TYPE].only_child().content != oids.DATA:
            raise MalformedMessageError("Signed attributes name another content type than id-data")
        return values[oids.MESSAGE_DIGEST].only_child().octets()
