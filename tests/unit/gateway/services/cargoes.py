"""Cargo from the private gateways of tests/factories.py, on record as if a courier had brought it."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.pki.certificate import Certificate
from awala.session_key import SessionKey, generate_session_key
from gateway.keystores import get_keystore
from gateway.models import IncomingCargo, StoredParcel
from gateway.storage import store_object
from tests import cargo_factories, factories
from tests.factories import NOW

SENDER = "private gateway"


def make_session_key(gateway: Certificate, peer_id: str | None = None) -> SessionKey:
    """A session key of the gateway's, as it gives one to each peer that registers."""
    key, private_key = generate_session_key()
    get_keystore().save_session_key(key.key_id, private_key, gateway.node_id, peer_id)
    return key


def make_cargo(
    gateway: Certificate,
    items: Iterable[bytes] = (),
    *,
    session_key: SessionKey | None = None,
    sender: str = SENDER,
    creation_date: datetime = NOW - timedelta(hours=1),
    **changes: Any,
) -> bytes:
    """The octets of a cargo; its session key is known and unbound unless one is given."""
    cargo = cargo_factories.make_cargo(
        tuple(items),
        sender=factories.gateway_certificate(sender, issuer=gateway),
        gateway=gateway,
        session_key=session_key or make_session_key(gateway),
        creation_date=creation_date,
        **changes,
    )
    return cargo.serialized


def accept(octets: bytes, **values: Any) -> IncomingCargo:
    """The row of a cargo that waits to be unwrapped, its object stored."""
    defaults: dict[str, Any] = {
        "peer_id": factories.id_of(SENDER),
        "cargo_id_sha256": hashlib.sha256(b"cargo-1").hexdigest(),
        "sha256": hashlib.sha256(octets).hexdigest(),
        "object_key": IncomingCargo.make_object_key(),
        "size": len(octets),
        "received_at": NOW,
        "next_attempt_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    }
    cargo = IncomingCargo.objects.create(**defaults | values)
    store_object(cargo.object_key, octets)
    return cargo


def collection_ack(parcel: Parcel) -> bytes:
    return ParcelCollectionAck(
        sender_endpoint_id=parcel.sender_certificate.node_id,
        recipient_endpoint_id=parcel.recipient.id,
        parcel_id=parcel.id,
    ).serialize()


def store_parcel(parcel: Parcel, peer_id: str) -> StoredParcel:
    """A parcel that waits for a peer."""
    row = StoredParcel.objects.create(
        peer_id=peer_id,
        recipient_id=parcel.recipient.id,
        sender_id=parcel.sender_certificate.node_id,
        parcel_id_sha256=hashlib.sha256(parcel.id.encode("latin-1")).hexdigest(),
        object_key=StoredParcel.make_object_key(peer_id),
        size=1,
        received_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    store_object(row.object_key, b"parcel")
    return row
