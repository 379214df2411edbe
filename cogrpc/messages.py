"""The messages of the protocol on the wire, as the relay handles them: tuples of octets and text."""

from typing import NamedTuple

from google.protobuf.message import DecodeError

from awala.errors import MalformedMessageError
from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck


class Delivery(NamedTuple):
    """A cargo, with the id that it has in this call."""

    id: str
    cargo: bytes


def read_delivery(octets: bytes) -> Delivery:
    """Raises `MalformedMessageError`; keeps no second copy of the cargo."""
    try:
        message = CargoDelivery.FromString(octets)
    except DecodeError as error:
        raise MalformedMessageError("This is no CargoDelivery message") from error
    return Delivery(message.id, message.cargo)


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
