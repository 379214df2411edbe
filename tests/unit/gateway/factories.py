"""Rows with plausible values; a test names only what it is about."""

import hashlib
import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from gateway.models import (
    CargoCollection,
    Destination,
    IncomingCargo,
    OutgoingParcel,
    ParcelRecord,
    Peer,
    StoredParcel,
)


def make_node_id() -> str:
    return "0" + hashlib.sha256(uuid.uuid4().bytes).hexdigest()


def make_peer(**values: Any) -> Peer:
    defaults: dict[str, Any] = {
        "node_id": make_node_id(),
        "public_key_der": b"public key",
        "certificate_expires_at": timezone.now() + timedelta(days=90),
    }
    return Peer.objects.create(**defaults | values)


def make_stored_parcel(**values: Any) -> StoredParcel:
    peer_id = values.pop("peer_id", None) or make_node_id()
    return StoredParcel.objects.create(
        peer_id=peer_id, **_parcel_values() | {"object_key": StoredParcel.make_object_key(peer_id), "size": 1} | values
    )


def make_outgoing_parcel(**values: Any) -> OutgoingParcel:
    defaults = _parcel_values() | {
        "destination": "pong.example.com",
        "peer_id": make_node_id(),
        "object_key": OutgoingParcel.make_object_key(),
        "size": 1,
    }
    return OutgoingParcel.objects.create(**defaults | values)


def make_parcel_record(**values: Any) -> ParcelRecord:
    defaults = _parcel_values() | {"peer_id": make_node_id(), "parcel_id": b"parcel"}
    return ParcelRecord.objects.create(**defaults | values)


def make_incoming_cargo(**values: Any) -> IncomingCargo:
    defaults: dict[str, Any] = {
        "peer_id": make_node_id(),
        "cargo_id_sha256": make_digest(),
        "sha256": make_digest(),
        "object_key": IncomingCargo.make_object_key(),
        "size": 1,
        "expires_at": timezone.now() + timedelta(days=1),
    }
    return IncomingCargo.objects.create(**defaults | values)


def make_cargo_collection(**values: Any) -> CargoCollection:
    defaults: dict[str, Any] = {
        "peer_id": make_node_id(),
        "cca_id_sha256": make_digest(),
        "claimed_until": timezone.now() + timedelta(minutes=1),
        "expires_at": timezone.now() + timedelta(days=1),
    }
    return CargoCollection.objects.create(**defaults | values)


def make_destination(**values: Any) -> Destination:
    return Destination.objects.create(**{"internet_address": f"{uuid.uuid4().hex}.example"} | values)


def make_digest() -> str:
    return hashlib.sha256(uuid.uuid4().bytes).hexdigest()


def _parcel_values() -> dict[str, Any]:
    return {
        "recipient_id": make_node_id(),
        "sender_id": make_node_id(),
        "parcel_id_sha256": make_digest(),
        "expires_at": timezone.now() + timedelta(days=1),
    }
