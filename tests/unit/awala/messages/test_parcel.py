import pytest

from awala.errors import MalformedMessageError
from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_RAMF_MESSAGE_SIZE
from awala.messages.parcel import Parcel, fits_in_cargo
from tests.factories import private_parcel, serialized

OCTETS = serialized(private_parcel())


def test_type() -> None:
    assert OCTETS[:7] == b"Awala\x50\x00"


def test_refuses_other_type() -> None:
    with pytest.raises(MalformedMessageError, match="another type"):
        Parcel.deserialize(b"Awala\x43\x00" + OCTETS[7:])


def test_largest_is_that_of_ramf() -> None:
    assert Parcel.MAX_SIZE == MAX_RAMF_MESSAGE_SIZE


@pytest.mark.parametrize(("size", "fits"), [(0, True), (MAX_CARGO_ITEM_SIZE, True), (MAX_CARGO_ITEM_SIZE + 1, False)])
def test_fits_in_cargo(size: int, fits: bool) -> None:  # noqa: FBT001 - the value of the table
    assert fits_in_cargo(size) is fits
