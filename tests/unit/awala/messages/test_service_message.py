import pytest

from awala.asn1 import der
from awala.errors import MalformedMessageError
from awala.messages.service_message import ServiceMessage
from tests import published_vectors


def test_published_message() -> None:
    octets = published_vectors.read("service_message.der")
    message = ServiceMessage.deserialize(octets)
    assert message == ServiceMessage(type="application/x.test", content=b"hello")
    assert message.serialize() == octets


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", der.structure(b"type"), der.structure(b"type", b"content", b"")])
def test_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        ServiceMessage.deserialize(octets)
