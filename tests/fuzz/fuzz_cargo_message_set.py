"""Cargo message sets, which come out of cargo before anything is known of the messages in them."""

from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_CARGO_ITEMS
from awala.messages.cargo_message_set import CargoMessageSet
from tests.published_vectors import of_type


def target(octets: bytes) -> None:
    message_set = CargoMessageSet.deserialize(octets)
    assert len(message_set.items) <= MAX_CARGO_ITEMS
    assert all(len(item) <= MAX_CARGO_ITEM_SIZE for item in message_set.items)
    assert CargoMessageSet.deserialize(message_set.serialize()) == message_set


def seeds() -> list[bytes]:
    segments = bytes.fromhex("3080 2480 040161 0402 6263 0000 040164 0000")
    return [*(vector.octets for vector in of_type("CargoMessageSet")), segments]
