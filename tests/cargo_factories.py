"""Makes what private gateways give to couriers, cargo and collection authorisations, and opens the cargo they get.

A private gateway is known by its certificate, which tests/factories.py must have the key of.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from awala.cms.enveloped_data import EnvelopedData
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.pki import issuance, keys
from awala.pki.certificate import Certificate
from awala.ramf import RAMFMessage, Recipient
from awala.session_key import SessionKey
from awala.sessions import wrap_payload
from tests import factories


@dataclass(frozen=True, kw_only=True)
class MadeMessage:
    """A cargo or CCA, and the sender's session key in it, by which the answer can be opened."""

    id: str
    serialized: bytes
    session_key_id: bytes
    session_private_key: EllipticCurvePrivateKey


def make_cargo(
    items: tuple[bytes, ...],
    *,
    sender: Certificate,
    gateway: Certificate,
    session_key: SessionKey,
    plaintext: bytes | None = None,
    **fields: Any,
) -> MadeMessage:
    """A cargo from a private gateway to the Internet gateway, encrypted to a session key of the latter."""
    if plaintext is None:
        plaintext = CargoMessageSet(items=items).serialize()
    return _make(Cargo, plaintext, sender=sender, gateway=gateway, session_key=session_key, fields=fields)


def make_cca(
    *,
    sender: Certificate,
    gateway: Certificate,
    session_key: SessionKey,
    authorization: Certificate | None = None,
    plaintext: bytes | None = None,
    **fields: Any,
) -> MadeMessage:
    """A CCA; the authorisation (CDA) in it is made here unless given."""
    if plaintext is None:
        authorization = authorization or make_cargo_authorization(gateway, issuer=sender)
        plaintext = CargoCollectionRequest(delivery_authorization=authorization).serialize()
    return _make(
        CargoCollectionAuthorization, plaintext, sender=sender, gateway=gateway, session_key=session_key, fields=fields
    )


def make_cargo_authorization(
    subject: Certificate,
    *,
    issuer: Certificate,
    is_authority: bool = False,
    not_before: datetime = factories.NOT_BEFORE,
    not_after: datetime = factories.NOT_AFTER,
) -> Certificate:
    """A CDA: with `is_authority` as the JavaScript private gateway issues it, else as Android does."""
    issue = issuance.issue_gateway_certificate if is_authority else issuance.issue_delivery_authorization
    return issue(
        subject_public_key=keys.load_rsa_public_key(subject.spki_der),
        issuer_private_key=factories.private_key_of(issuer),
        issuer_certificate=issuer,
        not_before=not_before,
        not_after=not_after,
        serial_number=keys.generate_serial_number(),
    )


def open_cargo(cargo_serialized: bytes, private_key: EllipticCurvePrivateKey) -> tuple[bytes, ...]:
    """The items of a cargo that was encrypted to the session key with this private half."""
    cargo = Cargo.deserialize(cargo_serialized)
    plaintext = EnvelopedData.deserialize(cargo.payload).decrypt(private_key)
    return CargoMessageSet.deserialize(plaintext).items


def _make(
    message_class: type[RAMFMessage],
    plaintext: bytes,
    *,
    sender: Certificate,
    gateway: Certificate,
    session_key: SessionKey,
    fields: dict[str, Any],
) -> MadeMessage:
    wrapped = wrap_payload(plaintext, session_key)
    defaults: dict[str, Any] = {
        "recipient": Recipient(id=gateway.node_id, internet_address="gateway.example.com"),
        "id": str(uuid.uuid4()),
        "creation_date": factories.NOW - timedelta(minutes=90),
        "ttl_seconds": 86_400,
        "payload": wrapped.payload,
        "sender_certificate": sender,
    }
    message = message_class(**defaults | fields)
    return MadeMessage(
        id=message.id,
        serialized=message.serialize(factories.private_key_of(message.sender_certificate)),
        session_key_id=wrapped.key_id,
        session_private_key=wrapped.private_key,
    )
