from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_CARGO_ITEMS, MAX_PLAINTEXT_SIZE
from awala.messages.cargo_message_set import Batch, CargoMessageSet, ExpiringItem, batch_items
from tests.factories import NOW


class TestDeserialize:
    def test_empty_set(self) -> None:
        assert CargoMessageSet.deserialize(b"\x30\x00").items == ()

    def test_items_in_their_order(self) -> None:
        octets = der.sequence(der.octet_string(b"one"), der.octet_string(b""), der.octet_string(b"two"))
        assert CargoMessageSet.deserialize(octets).items == (b"one", b"", b"two")

    def test_constructed_items(self) -> None:
        item = der.element(ber.OCTET_STRING | ber.CONSTRUCTED, der.octet_string(b"o") + der.octet_string(b"ne"))
        assert CargoMessageSet.deserialize(b"\x30\x80" + item + b"\x00\x00").items == (b"one",)

    def test_as_many_items_as_allowed(self) -> None:
        octets = der.sequence(b"\x04\x00" * MAX_CARGO_ITEMS)
        assert len(CargoMessageSet.deserialize(octets).items) == MAX_CARGO_ITEMS

    @pytest.mark.parametrize(
        "octets",
        [
            b"",
            der.set_of([]),
            der.sequence(der.context(0, b"item")),
            der.sequence(b"\x04\x00" * (MAX_CARGO_ITEMS + 1)),
            # The length fields of a larger item leave no room for it, unless they are shorter than usual.
            b"\x30\x80" + der.octet_string(bytes(MAX_CARGO_ITEM_SIZE + 1)) + b"\x00\x00",
            der.sequence(der.octet_string(bytes(MAX_PLAINTEXT_SIZE))),
        ],
        ids=["nothing", "set", "tagged item", "too many items", "large item", "large set"],
    )
    def test_refused(self, octets: bytes) -> None:
        with pytest.raises(MalformedMessageError):
            CargoMessageSet.deserialize(octets)


class TestSerialize:
    def test_items_are_primitive_strings(self) -> None:
        assert CargoMessageSet(items=(b"one", b"")).serialize() == b"\x30\x07\x04\x03one\x04\x00"

    def test_largest_item(self) -> None:
        assert len(CargoMessageSet(items=(bytes(MAX_CARGO_ITEM_SIZE),)).serialize()) == MAX_PLAINTEXT_SIZE

    def test_items_that_do_not_fit_together(self) -> None:
        message_set = CargoMessageSet(items=(bytes(MAX_CARGO_ITEM_SIZE), b"one more"))
        with pytest.raises(InvalidArgumentError, match="large"):
            message_set.serialize()


def test_too_many_items() -> None:
    with pytest.raises(InvalidArgumentError, match="too many"):
        CargoMessageSet(items=(b"",) * (MAX_CARGO_ITEMS + 1))


# ---------------------------------------------------------------- Batching


def items_of(*sizes: int) -> list[ExpiringItem]:
    return [ExpiringItem(octets=bytes(size), expiry=NOW + timedelta(days=number)) for number, size in enumerate(sizes)]


def sizes_of(batches: Iterable[Batch]) -> list[list[int]]:
    return [[len(item) for item in batch.message_set.items] for batch in batches]


def test_no_items_make_no_batch() -> None:
    assert list(batch_items([])) == []


def test_items_keep_their_order() -> None:
    items = [ExpiringItem(octets=bytes((number,)), expiry=NOW) for number in range(50)]

    batches = list(batch_items(items, capacity=100))

    assert len(batches) > 1
    assert [item for batch in batches for item in batch.message_set.items] == [item.octets for item in items]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        # A set costs 5 octets, and each item 5 more than its own.
        ((40, 45), [[40, 45]]),
        ((40, 46), [[40], [46]]),
        ((90,), [[90]]),
        ((50, 50, 10), [[50], [50, 10]]),
        # Too large for the capacity, though not for cargo.
        ((1, 500, 1), [[1], [500], [1]]),
        ((500, 500), [[500], [500]]),
        ((0, 0), [[0, 0]]),
    ],
)
def test_batches_are_filled(sizes: tuple[int, ...], expected: list[list[int]]) -> None:
    assert sizes_of(batch_items(items_of(*sizes), capacity=100)) == expected


def test_batch_at_the_limit_of_the_protocol() -> None:
    """As in the published JavaScript library (protocol section 6.3)."""
    batches = list(batch_items(items_of(MAX_CARGO_ITEM_SIZE, 1)))

    assert [len(batch.message_set.serialize()) for batch in batches] == [MAX_PLAINTEXT_SIZE, 5]


def test_batch_expires_with_its_last_item() -> None:
    first, second = batch_items(reversed(items_of(40, 40, 40)), capacity=100)

    assert first.expiry == NOW + timedelta(days=2)
    assert second.expiry == NOW


def test_batch_has_no_more_items_than_a_set_may() -> None:
    batches = batch_items(items_of(*[0] * (MAX_CARGO_ITEMS + 1)))

    assert [len(batch.message_set.items) for batch in batches] == [MAX_CARGO_ITEMS, 1]


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def give() -> Iterator[ExpiringItem]:
        for number, item in enumerate(items_of(90, 90, 90)):
            taken.append(number)
            yield item

    batches = batch_items(give(), capacity=100)
    next(batches)

    assert taken == [0, 1]


def test_item_too_large_for_any_cargo() -> None:
    with pytest.raises(InvalidArgumentError):
        list(batch_items(items_of(MAX_CARGO_ITEM_SIZE + 1)))
