"""Handshake responses, and the signatures in them."""

from awala.handshake import HandshakeResponse
from tests.decoders import read_handshake_response
from tests.published_vectors import of_type


def target(octets: bytes) -> None:
    read_handshake_response(octets)
    response = HandshakeResponse.deserialize(octets)
    assert HandshakeResponse.deserialize(response.serialize()) == response


def seeds() -> list[bytes]:
    return [vector.octets for vector in of_type("HandshakeResponse")]
