import pytest

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_CARGO_ITEMS, MAX_PLAINTEXT_SIZE
from awala.messages.cargo_message_set import CargoMessageSet


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
