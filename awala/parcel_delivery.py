"""ParcelDelivery: a parcel on its way to a collector (RS-016). Its id, sent back as text, acknowledges it."""

from dataclasses import dataclass, field
from typing import Self

from awala.asn1 import ber, der


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelDelivery:
    """A serialised parcel and the id of this delivery of it."""

    delivery_id: str
    parcel_serialized: bytes = field(repr=False)

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a delivery; the parcel in it is not read.

        :raises MalformedMessageError: if the octets are something else
        """
        delivery_id, parcel = ber.read(octets).members(2)
        return cls(delivery_id=delivery_id.text(ber.context(0)), parcel_serialized=parcel.octets(ber.context(1)))

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        return der.structure(der.visible_string_content(self.delivery_id), self.parcel_serialized)
