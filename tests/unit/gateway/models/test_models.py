from typing import Any

import pytest
from django.db import IntegrityError, connection, models
from django.utils import timezone

from gateway.models import (
    Event,
    OutgoingParcel,
    OwnCertificate,
    ParcelRecord,
    Peer,
    SpentAuthorization,
    StoredKey,
    StoredParcel,
)
from tests.unit.gateway.factories import (
    make_node_id,
    make_outgoing_parcel,
    make_parcel_record,
    make_peer,
    make_stored_parcel,
)

pytestmark = pytest.mark.django_db

PARCEL_FIELDS = ("peer_id", "recipient_id", "sender_id", "parcel_id_sha256")


def identity_of(row: models.Model) -> dict[str, Any]:
    return {name: getattr(row, name) for name in PARCEL_FIELDS}


@pytest.mark.parametrize("make", [make_stored_parcel, make_parcel_record])
def test_parcel_is_recorded_once(make: Any) -> None:
    identity = identity_of(make())

    with pytest.raises(IntegrityError):
        make(**identity)


@pytest.mark.parametrize("make", [make_stored_parcel, make_parcel_record])
@pytest.mark.parametrize("field", PARCEL_FIELDS)
def test_parcels_that_differ_in_one_respect_are_different(make: Any, field: str) -> None:
    identity = identity_of(make())
    del identity[field]

    make(**identity)


def test_outgoing_parcel_may_be_queued_again() -> None:
    make_outgoing_parcel(**identity_of(make_outgoing_parcel()))


def test_peer_is_recorded_once() -> None:
    peer = make_peer()

    with pytest.raises(IntegrityError):
        make_peer(node_id=peer.node_id)


def test_authorization_is_spent_once() -> None:
    values: dict[str, Any] = {"nonce_sha256": "0" * 64, "defaults": {"expires_at": timezone.now()}}

    assert SpentAuthorization.objects.get_or_create(**values)[1]
    assert not SpentAuthorization.objects.get_or_create(**values)[1]


def test_certificate_number_is_taken_once() -> None:
    now = timezone.now()
    values: dict[str, Any] = {"sequence": 1, "certificate_der": b"", "starts_at": now, "expires_at": now}
    OwnCertificate.objects.create(node_id=make_node_id(), **values)

    with pytest.raises(IntegrityError):
        OwnCertificate.objects.create(node_id=make_node_id(), **values)


@pytest.mark.parametrize("parcel_id", [b"", b"parcel", b"a/b\n\0", b"\xff\xfe"])
def test_parcel_ids_are_kept_octet_for_octet(parcel_id: bytes) -> None:
    record = make_parcel_record(parcel_id=parcel_id)

    assert bytes(ParcelRecord.objects.get(pk=record.pk).parcel_id) == parcel_id


def test_parcel_is_kept_for_a_peer_without_a_row() -> None:
    make_stored_parcel(peer_id=make_node_id())

    assert not Peer.objects.exists()


def test_each_revision_has_an_object_of_its_own() -> None:
    peer_id = make_node_id()
    keys = {StoredParcel.make_object_key(peer_id) for _ in range(100)}

    assert len(keys) == 100
    assert all(key.startswith(f"parcels/gateway-bound/{peer_id}/") and len(key) <= 255 for key in keys)
    assert OutgoingParcel.make_object_key().startswith("parcels/endpoint-bound/")


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (
            StoredParcel.objects.filter(peer_id="0a", state="queued").order_by("received_at"),
            "stored_parcel_queue",
        ),
        (StoredParcel.objects.filter(state="queued", expires_at__lt=timezone.now()), "stored_parcel_expiry"),
        (
            OutgoingParcel.objects.filter(state="pending", next_attempt_at__lt=timezone.now()),
            "outgoing_parcel_due",
        ),
        (Event.objects.filter(peer_id="0a").order_by("at"), "event_of_peer"),
    ],
)
def test_frequent_queries_use_their_index(rows: "models.QuerySet[Any]", index: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("other planners scan tables that are nearly empty")
    plan = rows.explain()

    assert f"USING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan


def test_rows_have_short_names() -> None:
    now = timezone.now()
    peer, parcel, outgoing, record = make_peer(), make_stored_parcel(), make_outgoing_parcel(), make_parcel_record()

    assert str(peer) == peer.node_id
    assert (str(parcel), str(outgoing), str(record)) == (str(parcel.id), str(outgoing.id), str(record.id))
    assert str(OwnCertificate(sequence=3)) == "own certificate 3"
    assert str(StoredKey(kind="session", key_id="ab")) == "session key ab"
    assert str(SpentAuthorization(nonce_sha256="ab")) == "ab"
    assert str(Event(kind="parcel_stored", at=now)).startswith("parcel_stored at ")
