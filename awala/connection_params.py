"""NodeConnectionParams: how to reach a node, published as ``connection-params.der`` (RS-000)."""

from dataclasses import dataclass
from typing import Self

from awala.asn1 import ber, der
from awala.session_key import SessionKey


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeConnectionParams:
    """A node's Internet address, identity key (DER SubjectPublicKeyInfo) and initial session key."""

    internet_address: str
    identity_key_der: bytes
    session_key: SessionKey

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read the parameters.

        :raises MalformedMessageError: if the octets are something else
        """
        address, identity_key, session_key = ber.read(octets).members(3)
        return cls(
            internet_address=address.text(ber.context(0)),
            identity_key_der=identity_key.octets(ber.context(1)),
            session_key=SessionKey.from_element(session_key.expect(ber.context(2, constructed=True))),
        )

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        return der.sequence(
            der.context(0, der.visible_string_content(self.internet_address)),
            der.context(1, self.identity_key_der),
            der.context(2, self.session_key.members(), constructed=True),
        )
