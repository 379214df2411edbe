"""The messages of the protocol on the wire, as the relay handles them: tuples of octets and text."""

from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from awala.errors import MalformedMessageError
from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck

# Couriers count their cargo, or make up UUIDs.
MAX_ID_OCTETS: Final = 256


class Delivery(NamedTuple):
    """A cargo, with the id that it has in this call, and the size of the message that it came in."""

    id: str
    cargo: bytes
    octets: int = 0


def read_delivery(octets: bytes) -> Delivery:
    """Raises `MalformedMessageError`; keeps no second copy of the cargo."""
    try:
        message = CargoDelivery.FromString(octets)
    except DecodeError as error:
        raise MalformedMessageError("This is no CargoDelivery message") from error
    if len(message.id.encode()) > MAX_ID_OCTETS:
        raise MalformedMessageError("Id of the cargo is too long")
    return Delivery(message.id, message.cargo, len(octets))


def write_delivery(delivery: Delivery) -> bytes:
    return CargoDelivery(id=delivery.id, cargo=delivery.cargo).SerializeToString()


def read_ack(octets: bytes) -> str:
    """The id that is acknowledged; raises `MalformedMessageError`."""
    try:
        return CargoDeliveryAck.FromString(octets).id
    except DecodeError as error:
        raise MalformedMessageError("This is no CargoDeliveryAck message") from error


def write_ack(delivery_id: str) -> bytes:
    return CargoDeliveryAck(id=delivery_id).SerializeToString()
