"""What cargo holds besides parcels: collection ACKs, and certificate rotations in either encoding."""

from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from tests.published_vectors import of_type

ACK_HEADER = b"Awala\x51\x00"


def target(octets: bytes) -> None:
    if octets.startswith(ACK_HEADER):
        ack = ParcelCollectionAck.deserialize(octets)
        assert ParcelCollectionAck.deserialize(ack.serialize()) == ack
    else:
        rotation = CertificateRotation.deserialize(octets)
        assert CertificateRotation.deserialize(rotation.serialize()) == rotation


def seeds() -> list[bytes]:
    vectors = (*of_type("ParcelCollectionAck"), *of_type("CertificateRotation"))
    return [vector.octets for vector in vectors]
