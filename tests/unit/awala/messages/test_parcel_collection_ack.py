import pytest

from awala.asn1 import der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from tests import published_vectors

HEADER = b"Awala\x51\x00"


def test_published_ack() -> None:
    octets = published_vectors.read("pca.bin")
    ack = ParcelCollectionAck.deserialize(octets)
    assert ack.sender_endpoint_id == published_vectors.key_facts("endpoint_b")["nodeId"]
    assert ack.recipient_endpoint_id == published_vectors.key_facts("endpoint_a")["nodeId"]
    assert ack.parcel_id == "parcel-1"
    assert ack.serialize() == octets


@pytest.mark.parametrize(
    "octets",
    [
        HEADER,
        HEADER + der.structure(b"0a", b"0b"),
        HEADER + der.structure(b"0a", b"0b", b"id", b"more"),
        HEADER + der.structure(b"0a", b"0b", b"i" * 65),
        b"Awala\x50\x00" + der.structure(b"0a", b"0b", b"id"),
        der.structure(b"0a", b"0b", b"id"),
    ],
    ids=["nothing", "two members", "four members", "long parcel id", "parcel", "no format signature"],
)
def test_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        ParcelCollectionAck.deserialize(octets)


def test_parcel_ids_are_arbitrary_text() -> None:
    ack = ParcelCollectionAck(sender_endpoint_id="0a", recipient_endpoint_id="0b", parcel_id="é/\n")
    assert ParcelCollectionAck.deserialize(ack.serialize()) == ack


@pytest.mark.parametrize(("sender", "recipient"), [("0" * 1025, "0b"), ("0a", "0" * 1025)])
def test_long_endpoint_ids(sender: str, recipient: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Endpoint id"):
        ParcelCollectionAck(sender_endpoint_id=sender, recipient_endpoint_id=recipient, parcel_id="id")
