import pytest

from awala.errors import MalformedMessageError
from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck
from cogrpc.messages import MAX_ID_OCTETS, Delivery, read_ack, read_delivery, write_ack, write_delivery

# Neither an end of a message nor text in UTF-8.
BAD = [b"\xff\xff\xff", b"\x0a\x05x", b"\x0a\x01\xff"]


def test_delivery() -> None:
    octets = CargoDelivery(id="one", cargo=b"cargo").SerializeToString()

    assert read_delivery(octets) == Delivery("one", b"cargo", len(octets))
    assert write_delivery(Delivery("one", b"cargo")) == octets


def test_acknowledgement() -> None:
    octets = CargoDeliveryAck(id="one").SerializeToString()

    assert read_ack(octets) == "one"
    assert write_ack("one") == octets


def test_longest_id() -> None:
    # Of two octets each.
    longest = "é" * (MAX_ID_OCTETS // 2)

    assert read_delivery(CargoDelivery(id=longest).SerializeToString()).id == longest
    with pytest.raises(MalformedMessageError, match="too long"):
        read_delivery(CargoDelivery(id=f"{longest}.").SerializeToString())


@pytest.mark.parametrize("octets", BAD)
def test_malformed_messages(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        read_delivery(octets)
    with pytest.raises(MalformedMessageError):
        read_ack(octets)
