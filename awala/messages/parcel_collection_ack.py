"""ParcelCollectionAck (PCA): says, within cargo, that a parcel has reached its gateway (RS-000)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_MESSAGE_ID_LENGTH, MAX_RECIPIENT_ID_LENGTH
from awala.ramf import format_header, strip_header


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelCollectionAck:
    """Names a collected parcel by its sender, recipient and id; it is signed only with the cargo around it.

    :raises InvalidArgumentError: if an id is longer than RS-001 allows
    """

    TYPE: ClassVar[int] = 0x51

    sender_endpoint_id: str
    recipient_endpoint_id: str
    parcel_id: str

    def __post_init__(self) -> None:
        if max(len(self.sender_endpoint_id), len(self.recipient_endpoint_id)) > MAX_RECIPIENT_ID_LENGTH:
            raise InvalidArgumentError("Endpoint id is too long")
        if len(self.parcel_id) > MAX_MESSAGE_ID_LENGTH:
            raise InvalidArgumentError("Parcel id is too long")

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a PCA.

        :raises MalformedMessageError: if the octets are something else
        """
        sender, recipient, parcel_id = ber.read(strip_header(octets, cls.TYPE)).members(3)
        try:
            return cls(
                sender_endpoint_id=sender.text(ber.context(0)),
                recipient_endpoint_id=recipient.text(ber.context(1)),
                parcel_id=parcel_id.text(ber.context(2)),
            )
        except InvalidArgumentError as error:
            raise MalformedMessageError(str(error)) from error

    def serialize(self) -> bytes:
        """Return the message, format signature included."""
        return format_header(self.TYPE) + der.structure(
            der.visible_string_content(self.sender_endpoint_id),
            der.visible_string_content(self.recipient_endpoint_id),
            der.visible_string_content(self.parcel_id),
        )
