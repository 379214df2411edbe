"""SignedData values, attached and detached, cargo and CCAs; signatures are taken to hold, since invented ones don't."""

import contextlib
from unittest.mock import patch

from awala.cms.signed_data import verify_signed_data
from awala.errors import InvalidMessageError
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from tests.decoders import check_message, verify_nonce_signature
from tests.published_vectors import of_type


def target(octets: bytes) -> None:
    with patch("awala.pki.keys.verify"):
        if octets.startswith(b"Awala"):
            for message_type in (Cargo, CargoCollectionAuthorization):
                with contextlib.suppress(InvalidMessageError):
                    check_message(message_type.deserialize(octets))
        else:
            with contextlib.suppress(InvalidMessageError):
                verify_signed_data(octets)
            verify_nonce_signature(octets)


def seeds() -> list[bytes]:
    messages = [vector.octets for name in ("Cargo", "CargoCollectionAuthorization") for vector in of_type(name)]
    signatures = [vector.octets for vector in of_type("detached signature")]
    return [*messages, *(octets[7:] for octets in messages), *signatures]
