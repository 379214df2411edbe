"""CargoMessageSet: the plaintext of cargo, a list of serialised messages (RS-000)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_CARGO_ITEMS, MAX_PLAINTEXT_SIZE

# What the deployed libraries reckon for the header of a set, and of each item in it (RS-001).
ELEMENT_HEADER_SIZE: Final = 5


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiringItem:
    """A serialised message on its way into cargo, and until when it is of use."""

    octets: bytes = field(repr=False)
    expiry: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The messages of one cargo, which is of use as long as the last of them is."""

    message_set: CargoMessageSet
    expiry: datetime


def batch_items(items: Iterable[ExpiringItem], *, capacity: int = MAX_PLAINTEXT_SIZE) -> Iterator[Batch]:
    """Yield the items in sets of ``capacity`` octets at the most, in their order (RS-000).

    As in the deployed libraries, an item goes into the set at hand if it fits, and otherwise begins the next one.
    An item that is too large for the capacity, but not for cargo, has a set of its own. Of ``items`` no more are
    taken than the set at hand needs, and one.

    :raises InvalidArgumentError: if an item is too large for any cargo
    """
    batch: list[ExpiringItem] = []
    size = ELEMENT_HEADER_SIZE
    for item in items:
        item_size = len(item.octets) + ELEMENT_HEADER_SIZE
        if batch and (size + item_size > capacity or len(batch) == MAX_CARGO_ITEMS):
            yield _take(batch)
            size = ELEMENT_HEADER_SIZE
        batch.append(item)
        size += item_size
    if batch:
        yield _take(batch)


def _take(items: list[ExpiringItem]) -> Batch:
    """Make the items a batch, and empty the list: whoever waits for the next batch holds nothing of this one."""
    batch = Batch(
        message_set=CargoMessageSet(items=tuple(item.octets for item in items)),
        expiry=max(item.expiry for item in items),
    )
    items.clear()
    return batch
