"""CertificationPath (RS-002) in both deployed encodings: certificates in OCTET STRINGs, or implicitly tagged."""

from dataclasses import dataclass
from typing import Self

from awala.asn1 import ber, der
from awala.limits import MAX_ATTACHED_CERTIFICATES
from awala.pki.certificate import Certificate

_WRAPPED_LEAF = ber.context(0)
_IMPLICIT_LEAF = ber.context(0, constructed=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificationPath:
    """A certificate and those of its authorities, the leaf's issuer first."""

    leaf: Certificate
    authorities: tuple[Certificate, ...]

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a path in either encoding; no certificate is validated.

        :raises MalformedMessageError: if it is in neither
        :raises InvalidSignatureError: if a certificate is signed with an algorithm that RS-018 bans
        """
        leaf, authorities = ber.read(octets).members(2)
        elements = authorities.expect(ber.context(1, constructed=True)).children(most=MAX_ATTACHED_CERTIFICATES)
        return cls(
            leaf=_parse_leaf(leaf),
            # awala-jvm 1.67.1 tagged the leaf but wrapped the authorities, so each is looked at by itself.
            authorities=tuple(_parse_authority(element) for element in elements),
        )

    def serialize(self) -> bytes:
        """Return the encoding of the specification and the JavaScript library: OCTET STRINGs."""
        authorities = b"".join(der.octet_string(certificate.der) for certificate in self.authorities)
        return der.sequence(der.context(0, self.leaf.der), der.context(1, authorities, constructed=True))

    def serialize_implicit(self) -> bytes:
        """Return the encoding of awala-jvm 1.67.2 and later: implicitly tagged certificates."""
        leaf = bytes((_IMPLICIT_LEAF,)) + self.leaf.der[1:]
        authorities = b"".join(certificate.der for certificate in self.authorities)
        return der.sequence(leaf, der.context(1, authorities, constructed=True))


def _parse_leaf(element: ber.Element) -> Certificate:
    if element.tag == _IMPLICIT_LEAF:
        return Certificate.parse(bytes((ber.SEQUENCE,)) + element.raw[1:])
    return Certificate.parse(element.expect(_WRAPPED_LEAF).content)


def _parse_authority(element: ber.Element) -> Certificate:
    if element.tag == ber.SEQUENCE:
        return Certificate.from_element(element)
    return Certificate.parse(element.octets())
