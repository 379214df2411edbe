import pytest

from awala.asn1 import der
from awala.errors import MalformedMessageError
from awala.parcel_delivery import ParcelDelivery

DELIVERY = ParcelDelivery(delivery_id="id", parcel_serialized=b"parcel")
OCTETS = bytes.fromhex("300c 8002") + b"id" + bytes.fromhex("8106") + b"parcel"


def test_writes() -> None:
    assert DELIVERY.serialize() == OCTETS


def test_reads() -> None:
    assert ParcelDelivery.deserialize(OCTETS) == DELIVERY


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(der.structure(b"id"), id="no parcel"),
        pytest.param(der.structure(b"id", b"parcel", b""), id="three members"),
        pytest.param(der.sequence(der.octet_string(b"id"), der.octet_string(b"parcel")), id="universal tags"),
        pytest.param(OCTETS + b"\x00", id="octets after it"),
    ],
)
def test_refuses(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        ParcelDelivery.deserialize(octets)
