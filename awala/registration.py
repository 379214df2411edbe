"""Registration of private nodes (RS-000): authorisation (PNRA), request (PNRR) and registration (PNR).

The gateway authorises a key, the node proves that it holds that key, and the gateway certifies it. Signatures
here are raw RSASSA-PSS with SHA-256 and a salt of 32 octets, over a structure tagged with the use's OID.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, der, oids
from awala.errors import UntimelyMessageError
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.session_key import SessionKey


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationAuthorization:
    """A PNRA: what the gateway lets a node register with, until ``expiry`` (whole seconds, inclusive).

    ``gateway_data`` is the gateway's own and opaque to the node, which echoes the serialised PNRA.
    """

    expiry: datetime
    gateway_data: bytes

    @classmethod
    def deserialize(cls, octets: bytes, gateway_key: rsa.RSAPublicKey, *, now: datetime) -> Self:
        """Read a PNRA and check the gateway's signature and the expiry.

        :raises MalformedMessageError: if the octets are no PNRA
        :raises InvalidSignatureError: if ``gateway_key`` did not sign it
        :raises UntimelyMessageError: if it has expired at ``now``
        """
        expiry, gateway_data, signature = ber.read(octets).members(3)
        authorization = cls(
            expiry=ber.parse_time(expiry.text(ber.context(0))),
            gateway_data=gateway_data.octets(ber.context(1)),
        )
        keys.verify(gateway_key, signature.octets(ber.context(2)), authorization._signed_octets())
        if authorization.expiry < now:
            raise UntimelyMessageError("PNRA has expired")
        return authorization

    def serialize(self, gateway_private_key: rsa.RSAPrivateKey) -> bytes:
        """Return the PNRA, signed with the gateway's identity key."""
        signature = keys.sign(gateway_private_key, self._signed_octets())
        return der.structure(self._expiry_octets(), self.gateway_data, signature)

    def _signed_octets(self) -> bytes:
        return der.structure(oids.NODE_REGISTRATION_AUTHORIZATION, self._expiry_octets(), self.gateway_data)

    def _expiry_octets(self) -> bytes:
        return der.time_digits(self.expiry).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationRequest:
    """A PNRR: a node's key (DER SubjectPublicKeyInfo) and the PNRA it was given, as received."""

    public_key_der: bytes
    authorization_serialized: bytes

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a PNRR and check that the node holds the key it asks to register.

        :raises MalformedMessageError: if the octets are no PNRR
        :raises InvalidSignatureError: if the countersignature is by another key, or the key is too short
        """
        public_key, authorization, countersignature = ber.read(octets).members(3)
        request = cls(
            public_key_der=public_key.octets(ber.context(0)),
            authorization_serialized=authorization.octets(ber.context(1)),
        )
        key = keys.load_rsa_public_key(request.public_key_der)
        keys.verify(key, countersignature.octets(ber.context(2)), request._countersigned_octets())
        return request

    def serialize(self, private_key: rsa.RSAPrivateKey) -> bytes:
        """Return the PNRR, countersigned with the key to be registered."""
        countersignature = keys.sign(private_key, self._countersigned_octets())
        return der.structure(self.public_key_der, self.authorization_serialized, countersignature)

    def _countersigned_octets(self) -> bytes:
        return der.structure(oids.NODE_REGISTRATION_COUNTERSIGNATURE, self.authorization_serialized)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """A PNR: the node's certificate, the gateway's, the gateway's Internet address and its session key.

    ``session_key`` is absent only in registrations of private endpoints: gateways' clients need it.
    """

    node_certificate: Certificate
    gateway_certificate: Certificate
    gateway_internet_address: str
    session_key: SessionKey | None

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a PNR; the certificates are not validated.

        :raises MalformedMessageError: if the octets are no PNR
        :raises InvalidSignatureError: if a certificate is signed with an algorithm that RS-018 bans
        """
        node_certificate, gateway_certificate, address, *session_key = ber.read(octets).members(3, 4)
        return cls(
            node_certificate=Certificate.parse(node_certificate.octets(ber.context(0))),
            gateway_certificate=Certificate.parse(gateway_certificate.octets(ber.context(1))),
            gateway_internet_address=address.text(ber.context(2)),
            session_key=_parse_session_key(session_key),
        )

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        session_key = b""
        if self.session_key is not None:
            session_key = der.context(3, self.session_key.members(), constructed=True)
        return der.sequence(
            der.context(0, self.node_certificate.der),
            der.context(1, self.gateway_certificate.der),
            der.context(2, der.visible_string_content(self.gateway_internet_address)),
            session_key,
        )


def _parse_session_key(elements: list[ber.Element]) -> SessionKey | None:
    for element in elements:
        return SessionKey.from_element(element.expect(ber.context(3, constructed=True)))
    return None
