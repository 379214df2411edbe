from datetime import timedelta
from typing import Any

import pytest

from awala.cms.enveloped_data import EnvelopedData
from awala.errors import InvalidMessageError, UnauthorizedSenderError, UntimelyMessageError
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_message_set import CargoMessageSet
from awala.ramf import Recipient
from awala.session_key import generate_session_key
from gateway.probe.cargo import CargoDesk, OpenedCargo, acknowledge
from gateway.probe.session_keys import SessionKeys
from gateway.probe.steps import UnmetExpectationError
from tests import factories
from tests.cargo_factories import make_cargo_authorization
from tests.unit.gateway.probe.fake_relay import make_cargo, make_rotation
from tests.unit.gateway.probe.nodes import make_endpoint, now, register


class Gateway:
    """The Internet gateway's side: it holds the session keys, and makes the cargo."""

    def __init__(self) -> None:
        self.session_keys = SessionKeys()
        self.device = register(self.session_keys)
        self.desk = CargoDesk(self.device)

    def bring(self, *items: bytes, **fields: Any) -> OpenedCargo:
        """What the device makes of a cargo."""
        cargo = make_cargo(self.desk.make_cca(now()), self.session_keys, items, **fields)
        return self.desk.open_all([cargo], now())

    def unwrap(self, cargo_serialized: bytes) -> tuple[bytes, ...]:
        cargo = Cargo.deserialize(cargo_serialized)
        return CargoMessageSet.deserialize(self.session_keys.unwrap(cargo).plaintext).items

    def key_of(self, cargo_serialized: bytes) -> bytes:
        """The id of the session key that the cargo is encrypted to."""
        return EnvelopedData.deserialize(Cargo.deserialize(cargo_serialized).payload).recipient_key_id


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture(scope="module")
def parcel() -> bytes:
    sender = make_endpoint().authorize(factories.rsa_key("sender"))
    return sender.make_parcel(b"Hello", now())


def test_cargo_is_for_the_gateway(gateway: Gateway) -> None:
    cargo = Cargo.deserialize(gateway.desk.make_cargo([b"Hello"], now()))

    assert cargo.recipient == Recipient(id=factories.id_of("gateway"), internet_address="gateway.example.com")
    assert cargo.sender_certificate == gateway.device.certificate
    cargo.check_timing(now())


def test_cargo_is_encrypted_to_the_gateway(gateway: Gateway) -> None:
    assert gateway.unwrap(gateway.desk.make_cargo([b"Hello"], now())) == (b"Hello",)


def test_cca_is_new_each_time(gateway: Gateway) -> None:
    ids = {CargoCollectionAuthorization.deserialize(gateway.desk.make_cca(now())).id for _ in range(3)}
    assert len(ids) == 3


def test_cargo_is_opened(gateway: Gateway, parcel: bytes) -> None:
    opened = gateway.bring(acknowledge(parcel).serialize(), parcel, make_rotation().serialize())

    assert opened == OpenedCargo(parcels=frozenset([parcel]), acks=frozenset([acknowledge(parcel)]))


def test_next_cargo_is_encrypted_to_the_key_in_the_last_one(gateway: Gateway) -> None:
    assert gateway.key_of(gateway.desk.make_cargo([], now())) == gateway.device.session_key.key_id

    gateway.bring()

    cargo = gateway.desk.make_cargo([b"Hello"], now())
    assert gateway.key_of(cargo) != gateway.device.session_key.key_id
    assert gateway.unwrap(cargo) == (b"Hello",)


def test_device_may_have_been_sent_no_cargo(gateway: Gateway) -> None:
    assert gateway.desk.open_all([], now()) == OpenedCargo(parcels=frozenset(), acks=frozenset())


def test_stranger_is_no_gateway(gateway: Gateway) -> None:
    stranger = factories.gateway_certificate("stranger")
    authorization = make_cargo_authorization(stranger, issuer=gateway.device.certificate)

    with pytest.raises(UnmetExpectationError, match="not signed by the gateway"):
        gateway.bring(sender_certificate=authorization, signed_by="stranger")


def test_authorization_is_by_the_device(gateway: Gateway) -> None:
    # Anybody can claim to be the device, in the issuer's name.
    forged = register(gateway.session_keys, "stranger").certificate
    authorization = make_cargo_authorization(factories.gateway_certificate(), issuer=forged)

    with pytest.raises(UnmetExpectationError, match="issued the cargo's authorisation is not attached"):
        gateway.bring(sender_certificate=authorization)


@pytest.mark.parametrize(
    ("fields", "error", "complaint"),
    [
        ({"recipient": Recipient(id="0abc")}, UnmetExpectationError, "for somebody else"),
        ({"attached_certificates": ()}, UnmetExpectationError, "is not attached"),
        ({"session_key": generate_session_key()[0]}, UnmetExpectationError, "its recipient does not have"),
        ({"ttl_seconds": 60}, UntimelyMessageError, "expired"),
        ({"creation_date": now().replace(microsecond=0) + timedelta(days=1)}, UntimelyMessageError, "future"),
        ({"payload": b"Hello"}, InvalidMessageError, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_cargo_is_refused(
    gateway: Gateway, fields: dict[str, Any], error: type[Exception], complaint: str | None
) -> None:
    with pytest.raises(error, match=complaint):
        gateway.bring(**fields)


def test_authorization_that_has_ended_is_refused(gateway: Gateway) -> None:
    authorization = make_cargo_authorization(
        factories.gateway_certificate(),
        issuer=gateway.device.certificate,
        not_after=now() - timedelta(hours=1),
    )
    with pytest.raises(UnauthorizedSenderError):
        gateway.bring(sender_certificate=authorization)


def test_item_that_is_nothing_is_refused(gateway: Gateway) -> None:
    with pytest.raises(InvalidMessageError):
        gateway.bring(b"Hello")
