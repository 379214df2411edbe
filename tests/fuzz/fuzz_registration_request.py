"""PNRRs, and the authorisation in them; signatures are taken to hold, since invented ones never do."""

from unittest.mock import patch

from awala.registration import RegistrationRequest
from tests.decoders import read_authorization
from tests.published_vectors import of_type


def target(octets: bytes) -> None:
    with patch("awala.pki.keys.verify"):
        request = RegistrationRequest.deserialize(octets)
        read_authorization(request.authorization_serialized)


def seeds() -> list[bytes]:
    return [vector.octets for vector in of_type("PrivateNodeRegistrationRequest")]
