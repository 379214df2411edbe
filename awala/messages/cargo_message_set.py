"""CargoMessageSet: the plaintext of cargo, a list of serialised messages (RS-000)."""

from dataclasses import dataclass, field
from typing import Self

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_CARGO_ITEMS, MAX_PLAINTEXT_SIZE


@dataclass(frozen=True, kw_only=True, slots=True)
class CargoMessageSet:
    """Parcels, collection ACKs and certificate rotations, each serialised, in their order.

    :raises InvalidArgumentError: if there are too many, or one is too large
    """

    items: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.items) > MAX_CARGO_ITEMS:
            raise InvalidArgumentError("Cargo message set has too many items")
        if any(len(item) > MAX_CARGO_ITEM_SIZE for item in self.items):
            raise InvalidArgumentError("Item of a cargo message set is too large")

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a set; no item is read, so that a bad one does not spoil the others.

        :raises MalformedMessageError: if it is no set, is too large, has too many items or one that is too large
        """
        if len(octets) > MAX_PLAINTEXT_SIZE:
            raise MalformedMessageError("Cargo message set is too large")
        elements = ber.read(octets).expect(ber.SEQUENCE).children(most=MAX_CARGO_ITEMS)
        try:
            return cls(items=tuple(element.octets() for element in elements))
        except InvalidArgumentError as error:
            raise MalformedMessageError(str(error)) from error

    def serialize(self) -> bytes:
        """Return the DER encoding; the items are primitive strings, as the JVM library demands.

        :raises InvalidArgumentError: if it is too large to be encrypted
        """
        octets = der.sequence(*(der.octet_string(item) for item in self.items))
        if len(octets) > MAX_PLAINTEXT_SIZE:
            raise InvalidArgumentError("Cargo message set is too large")
        return octets
