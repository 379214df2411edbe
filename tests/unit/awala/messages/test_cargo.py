from datetime import timedelta

import pytest

from awala.errors import MalformedMessageError
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.ramf import RAMFMessage, Recipient
from tests import factories

TYPES = [(Cargo, "43"), (CargoCollectionAuthorization, "44")]


def serialize(message_type: type[RAMFMessage]) -> bytes:
    gateway = factories.gateway_certificate()
    message = message_type(
        recipient=Recipient(id=gateway.node_id, internet_address="gateway.example.com"),
        id="message-1",
        creation_date=factories.NOW - timedelta(minutes=90),
        ttl_seconds=86_400,
        payload=b"payload",
        sender_certificate=factories.gateway_certificate("private gateway", issuer=gateway),
    )
    return message.serialize(factories.rsa_key("private gateway"))


@pytest.mark.parametrize(("message_type", "octet"), TYPES)
def test_type_octet(message_type: type[RAMFMessage], octet: str) -> None:
    assert serialize(message_type)[:7] == b"Awala" + bytes.fromhex(octet) + b"\x00"


@pytest.mark.parametrize(("message_type", "octet"), TYPES)
def test_round_trip(message_type: type[RAMFMessage], octet: str) -> None:
    message = message_type.deserialize(serialize(message_type))
    assert message.payload == b"payload"
    path = message.authorized_path((factories.gateway_certificate(),), now=factories.NOW)
    assert path[0].node_id == factories.id_of("private gateway")


def test_one_is_not_taken_for_the_other() -> None:
    with pytest.raises(MalformedMessageError, match="another type"):
        Cargo.deserialize(serialize(CargoCollectionAuthorization))
