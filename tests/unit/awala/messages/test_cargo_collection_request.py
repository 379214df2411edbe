import pytest

from awala.asn1 import der
from awala.errors import MalformedMessageError
from awala.messages.cargo_collection_request import CargoCollectionRequest
from tests import published_vectors


def test_published_request() -> None:
    octets = published_vectors.read("cargo_collection_request.der")
    request = CargoCollectionRequest.deserialize(octets)
    assert request.delivery_authorization == published_vectors.certificate("cda")
    assert request.serialize() == octets


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", der.structure(b"no certificate"), der.structure(b"", b"")])
def test_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        CargoCollectionRequest.deserialize(octets)
