"""ServiceMessage: the plaintext of a parcel (RS-000), which gateways never see."""

from dataclasses import dataclass, field
from typing import Self

from awala.asn1 import ber, der


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceMessage:
    """What an endpoint says to another: a media type, or a name like one, and the content."""

    type: str
    content: bytes = field(repr=False)

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a message.

        :raises MalformedMessageError: if the octets are something else
        """
        message_type, content = ber.read(octets).members(2)
        return cls(type=message_type.text(ber.context(0)), content=content.octets(ber.context(1)))

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        return der.structure(der.visible_string_content(self.type), self.content)
