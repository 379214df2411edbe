"""CargoCollectionRequest: what a private gateway says to the Internet gateway in a CCA (RS-000)."""

from dataclasses import dataclass
from typing import Self

from awala.asn1 import ber, der
from awala.pki.certificate import Certificate


@dataclass(frozen=True, kw_only=True, slots=True)
class CargoCollectionRequest:
    """The certificate (CDA) with whose key the Internet gateway is to sign its cargo."""

    delivery_authorization: Certificate

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a request; the certificate is not validated.

        :raises MalformedMessageError: if the octets are something else
        :raises InvalidSignatureError: if the certificate is signed with an algorithm that RS-018 bans
        """
        certificate = ber.read(octets).expect(ber.SEQUENCE).only_child()
        return cls(delivery_authorization=Certificate.parse(certificate.octets(ber.context(0))))

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        return der.structure(self.delivery_authorization.der)
