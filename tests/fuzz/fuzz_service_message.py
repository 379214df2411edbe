"""The small messages: of services, requests for cargo, deliveries to collectors and their challenges."""

import contextlib

from awala.errors import InvalidMessageError
from awala.handshake import HandshakeChallenge
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.service_message import ServiceMessage
from awala.parcel_delivery import ParcelDelivery
from tests.published_vectors import of_type

TYPES = (ServiceMessage, CargoCollectionRequest, ParcelDelivery, HandshakeChallenge)


def target(octets: bytes) -> None:
    for message_type in TYPES:
        with contextlib.suppress(InvalidMessageError):
            message = message_type.deserialize(octets)
            assert message_type.deserialize(message.serialize()) == message


def seeds() -> list[bytes]:
    names = ("ServiceMessage", "CargoCollectionRequest", "ParcelDelivery", "HandshakeChallenge")
    return [vector.octets for name in names for vector in of_type(name)]
