import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.models import Model

from awala.errors import InvalidMessageError, InvalidSignatureError, UnauthorizedSenderError, UntimelyMessageError
from awala.messages.parcel import Parcel
from awala.pki.certificate import Certificate
from awala.ramf import Recipient
from gateway import durable_intake
from gateway.errors import RecordUnavailableError, StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import Event, OutgoingParcel, ParcelRecord, StoredParcel
from gateway.services import receive_parcel as module
from gateway.services import record_parcels
from gateway.services.receive_parcel import receive_parcel_from_internet, receive_parcel_from_peer
from gateway.storage import load_object
from tests import factories, published_vectors
from tests.factories import NOW
from tests.unit.gateway.factories import make_node_id

# The services do their own transactions, so that no other must be around them.
pytestmark = pytest.mark.django_db(transaction=True)

PARCELS = published_vectors.of_type("Parcel")


def parcel(certificate: Certificate, **changes: object) -> Parcel:
    return factories.private_parcel(factories.chain(gateway=certificate), **changes)  # type: ignore[arg-type]


def octets_of(message: Parcel) -> bytes:
    return factories.serialized(message)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- From the Internet


def test_parcel_is_stored(identity: Certificate) -> None:
    message = parcel(identity, message_id="one")
    octets = octets_of(message)

    receive_parcel_from_internet(octets, NOW)

    row = StoredParcel.objects.get()
    assert row.state == StoredParcel.State.QUEUED
    assert row.peer_id == factories.id_of("private gateway")
    assert (row.recipient_id, row.sender_id) == (message.recipient.id, factories.id_of("sender"))
    assert row.parcel_id_sha256 == hashlib.sha256(b"one").hexdigest()
    assert (row.size, row.expires_at, row.received_at) == (len(octets), message.expiry, NOW)
    assert load_object(row.object_key) == octets
    # Nobody to acknowledge it to: it did not come from a peer.
    assert not ParcelRecord.objects.exists()


def test_collectors_get_a_hint(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    hints: list[str] = []
    monkeypatch.setattr(record_parcels, "notify_peer", hints.append)

    receive_parcel_from_internet(octets_of(parcel(identity)), NOW)

    assert hints == [factories.id_of("private gateway")]


def test_newer_version_replaces_the_older(identity: Certificate, object_store: Path) -> None:
    newer = octets_of(parcel(identity, payload=b"newer", ttl_seconds=60))
    receive_parcel_from_internet(octets_of(parcel(identity, payload=b"older")), NOW)
    older = StoredParcel.objects.get()

    receive_parcel_from_internet(newer, NOW)

    row = StoredParcel.objects.get()
    assert load_object(row.object_key) == newer
    assert row.revision != older.revision
    assert row.expires_at < older.expires_at
    assert len(files_in(object_store)) == 1
    assert Event.objects.filter(kind=Event.Kind.PARCEL_REPLACED, subject_id=row.id).exists()


def test_settled_parcel_is_queued_once_more(identity: Certificate) -> None:
    octets = octets_of(parcel(identity))
    receive_parcel_from_internet(octets, NOW)
    StoredParcel.objects.get().advance(StoredParcel.State.COLLECTED, settled_at=NOW)

    receive_parcel_from_internet(octets, NOW)

    row = StoredParcel.objects.get()
    assert (row.state, row.settled_at) == (StoredParcel.State.QUEUED, None)


@pytest.mark.parametrize("address", [None, "gateway.example.com", "elsewhere.example.com"])
def test_path_counts_and_not_the_address(identity: Certificate, address: str | None) -> None:
    receive_parcel_from_internet(octets_of(parcel(identity, internet_address=address)), NOW)

    assert StoredParcel.objects.exists()


def to_the_gateway(certificate: Certificate) -> Parcel:
    message = parcel(certificate)
    return replace(message, recipient=Recipient(id=certificate.node_id))


def to_the_gateway_by_a_peer(certificate: Certificate) -> Parcel:
    chain = replace(
        factories.chain(gateway=certificate),
        authorization=factories.gateway_certificate("private gateway", issuer=certificate),
        endpoint=certificate,
    )
    return factories.private_parcel(chain)


INVALID: dict[str, tuple[Callable[[Certificate], Parcel], type[Exception]]] = {
    "expired": (lambda root: parcel(root, ttl_seconds=59), UntimelyMessageError),
    "of the future": (lambda root: parcel(root, creation_date=NOW + timedelta(seconds=1)), UntimelyMessageError),
    "under another gateway": (
        lambda _: parcel(factories.gateway_certificate("another gateway")),
        UnauthorizedSenderError,
    ),
    "to the gateway": (to_the_gateway, UnauthorizedSenderError),
    "to the gateway, by a peer": (to_the_gateway_by_a_peer, UnauthorizedSenderError),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_parcel_leaves_nothing(identity: Certificate, object_store: Path, name: str) -> None:
    make, error = INVALID[name]
    octets = octets_of(make(identity))

    with pytest.raises(error):
        receive_parcel_from_internet(octets, NOW)
    with pytest.raises(error):
        receive_parcel_from_peer(octets, make_node_id(), NOW)

    assert_nothing_is_kept(object_store)


def assert_nothing_is_kept(object_store: Path) -> None:
    for model in (StoredParcel, OutgoingParcel, ParcelRecord, Event):
        assert not model._default_manager.exists()
    assert files_in(object_store) == []


# ---------------------------------------------------------------- From a peer


def test_parcel_for_our_endpoint_is_recorded_too(identity: Certificate) -> None:
    """Its sender's private gateway will want to hear that it was taken."""
    sending_peer_id = make_node_id()
    message = parcel(identity, message_id="\xff\x00 one")

    receive_parcel_from_peer(octets_of(message), sending_peer_id, NOW)

    record = ParcelRecord.objects.get()
    assert (record.peer_id, bytes(record.parcel_id)) == (sending_peer_id, b"\xff\x00 one")
    assert record.expires_at == message.expiry
    assert StoredParcel.objects.get().peer_id == factories.id_of("private gateway")


def test_parcel_for_our_endpoint_sent_again(identity: Certificate) -> None:
    octets, sending_peer_id = octets_of(parcel(identity)), make_node_id()

    for _ in range(2):
        receive_parcel_from_peer(octets, sending_peer_id, NOW)

    assert StoredParcel.objects.count() == ParcelRecord.objects.count() == 1


def test_parcel_for_our_endpoint_that_also_came_over_the_internet(identity: Certificate) -> None:
    octets = octets_of(parcel(identity))
    receive_parcel_from_internet(octets, NOW)

    receive_parcel_from_peer(octets, make_node_id(), NOW)

    assert StoredParcel.objects.count() == ParcelRecord.objects.count() == 1


def test_parcel_for_the_internet_is_queued(identity: Certificate) -> None:
    sending_peer_id = make_node_id()
    recipient = Recipient(id=make_node_id(), internet_address="Endpoint.Example.COM.")
    message = factories.internet_parcel(recipient=recipient)
    octets = octets_of(message)

    receive_parcel_from_peer(octets, sending_peer_id, NOW)

    row = OutgoingParcel.objects.get()
    assert (row.state, row.destination, row.attempts) == (OutgoingParcel.State.PENDING, "endpoint.example.com", 0)
    assert (row.peer_id, row.recipient_id, row.next_attempt_at) == (sending_peer_id, recipient.id, NOW)
    assert row.expires_at == message.expiry
    assert load_object(row.object_key) == octets
    assert ParcelRecord.objects.get().peer_id == sending_peer_id


def test_workers_get_a_hint(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    hints: list[tuple[uuid.UUID, str]] = []
    monkeypatch.setattr(record_parcels, "hint_outgoing_parcel", lambda *hint: hints.append(hint))
    octets, sending_peer_id = octets_of(factories.internet_parcel()), make_node_id()

    for _ in range(2):
        receive_parcel_from_peer(octets, sending_peer_id, NOW)

    assert hints == [(OutgoingParcel.objects.get().id, "endpoint.example.com")]


def test_parcel_for_the_internet_sent_again(identity: Certificate, object_store: Path) -> None:
    octets, sending_peer_id = octets_of(factories.internet_parcel()), make_node_id()

    for _ in range(2):
        receive_parcel_from_peer(octets, sending_peer_id, NOW)

    assert OutgoingParcel.objects.count() == ParcelRecord.objects.count() == len(files_in(object_store)) == 1


def test_parcel_for_the_internet_sent_twice_at_once(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second request finds the record only once it has written its object."""
    octets, sending_peer_id = octets_of(factories.internet_parcel()), make_node_id()
    receive_parcel_from_peer(octets, sending_peer_id, NOW)
    monkeypatch.setattr(module, "find_repeated", lambda _parcels: [])

    receive_parcel_from_peer(octets, sending_peer_id, NOW)

    assert OutgoingParcel.objects.count() == ParcelRecord.objects.count() == len(files_in(object_store)) == 1


def test_record_of_an_expired_namesake_makes_room(identity: Certificate) -> None:
    sending_peer_id = make_node_id()
    receive_parcel_from_peer(octets_of(factories.internet_parcel(ttl_seconds=60)), sending_peer_id, NOW)

    later = NOW + timedelta(hours=1)
    receive_parcel_from_peer(octets_of(factories.internet_parcel(creation_date=later)), sending_peer_id, later)

    assert OutgoingParcel.objects.count() == 2
    assert ParcelRecord.objects.get().received_at == later


def test_sender_on_the_internet_whose_certificate_expired(identity: Certificate, object_store: Path) -> None:
    expired = factories.endpoint_certificate("sender", not_after=NOW - timedelta(seconds=1))
    message = replace(factories.internet_parcel(), sender_certificate=expired)

    with pytest.raises(UnauthorizedSenderError):
        receive_parcel_from_peer(octets_of(message), make_node_id(), NOW)

    assert_nothing_is_kept(object_store)


# ---------------------------------------------------------------- Failures


def test_failing_storage_leaves_no_row(identity: Certificate, object_store: Path) -> None:
    (object_store / "tmp").rmdir()

    for message in (parcel(identity), factories.internet_parcel()):
        with pytest.raises(StorageUnavailableError):
            receive_parcel_from_peer(octets_of(message), make_node_id(), NOW)

    assert not StoredParcel.objects.exists()
    assert not ParcelRecord.objects.exists()


def test_failing_database_leaves_no_object(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(StoredParcel.objects, "bulk_create", fail)
    with pytest.raises(RecordUnavailableError):
        receive_parcel_from_internet(octets_of(parcel(identity)), NOW)

    assert files_in(object_store) == []


def test_failing_commit_leaves_the_object(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row may be there nevertheless, and a row must never lack its object."""

    def fail(_self: DatabaseWrapper) -> None:
        raise OperationalError("disk I/O error")

    octets = octets_of(parcel(identity))
    monkeypatch.setattr(DatabaseWrapper, "_commit", fail)
    with pytest.raises(RecordUnavailableError):
        receive_parcel_from_internet(octets, NOW)
    monkeypatch.undo()

    assert len(files_in(object_store)) == 1
    assert not StoredParcel.objects.exists()


def test_parcel_whose_commit_seemed_to_fail(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that failed is done again: what it had inserted after all must not be taken for another's."""
    octets = octets_of(parcel(identity))
    commit, attempts = commit_together, [True]

    def commit_and_fail_once(write: Callable[[], object], *rows: Model) -> object:
        result = commit(write, *rows)
        if attempts.pop() if attempts else False:
            raise IntegrityError
        return result

    monkeypatch.setattr(durable_intake, "commit_together", commit_and_fail_once)
    receive_parcel_from_internet(octets, NOW)

    row = StoredParcel.objects.get()
    assert load_object(row.object_key) == octets
    assert not Event.objects.exists()


def test_row_that_changes_all_the_time(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = octets_of(parcel(identity))
    receive_parcel_from_internet(octets, NOW)
    monkeypatch.setattr(StoredParcel, "advance", lambda *_args, **_kwargs: False)

    with pytest.raises(RecordUnavailableError):
        receive_parcel_from_internet(octets, NOW)


def test_row_that_is_gone_again(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namesake kept the row from being inserted, and was removed before it could be replaced."""
    original, attempts = StoredParcel.objects.bulk_create, [True]

    def fail_once(rows: Iterable[StoredParcel]) -> list[StoredParcel]:
        if attempts.pop() if attempts else False:
            raise IntegrityError
        return original(rows)

    monkeypatch.setattr(StoredParcel.objects, "bulk_create", fail_once)
    receive_parcel_from_peer(octets_of(parcel(identity)), make_node_id(), NOW)

    assert StoredParcel.objects.count() == ParcelRecord.objects.count() == 1


def test_replaced_object_that_cannot_be_deleted(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is garbage, for a sweep to collect."""
    receive_parcel_from_internet(octets_of(parcel(identity)), NOW)

    def fail(_key: str) -> None:
        raise StorageUnavailableError

    monkeypatch.setattr(durable_intake, "delete_object", fail)
    receive_parcel_from_internet(octets_of(parcel(identity)), NOW)

    assert StoredParcel.objects.count() == 1


# ---------------------------------------------------------------- What the deployed libraries made


@pytest.mark.parametrize(
    "vector", [vector for vector in PARCELS if vector.is_valid], ids=lambda vector: str(vector.file)
)
def test_valid_vector_is_taken_from_a_peer(vector_identity: Certificate, vector: published_vectors.Vector) -> None:
    """Traps 1 and 2: the forms of both libraries, octet for octet (the JVM's too)."""
    receive_parcel_from_peer(vector.octets, make_node_id(), vector.verify_at)

    is_outgoing = vector.file == "parcel_internet.bin"
    row = OutgoingParcel.objects.get() if is_outgoing else StoredParcel.objects.get()
    assert load_object(row.object_key) == vector.octets


@pytest.mark.parametrize(
    "vector", [vector for vector in PARCELS if vector.is_valid], ids=lambda vector: str(vector.file)
)
def test_valid_vector_is_taken_from_the_internet(
    vector_identity: Certificate, vector: published_vectors.Vector
) -> None:
    if vector.file == "parcel_internet.bin":
        with pytest.raises(UnauthorizedSenderError):
            receive_parcel_from_internet(vector.octets, vector.verify_at)
        return
    receive_parcel_from_internet(vector.octets, vector.verify_at)

    assert StoredParcel.objects.get().peer_id == published_vectors.certificate("private_gateway_a").node_id


@pytest.mark.parametrize(
    "vector", [vector for vector in PARCELS if not vector.is_valid], ids=lambda vector: str(vector.file)
)
def test_invalid_vector_leaves_nothing(
    vector_identity: Certificate, object_store: Path, vector: published_vectors.Vector
) -> None:
    with pytest.raises(InvalidMessageError):
        receive_parcel_from_internet(vector.octets, vector.verify_at)
    with pytest.raises(InvalidMessageError):
        receive_parcel_from_peer(vector.octets, make_node_id(), vector.verify_at)

    assert_nothing_is_kept(object_store)


def test_signature_is_checked_first(vector_identity: Certificate) -> None:
    with pytest.raises(InvalidSignatureError):
        receive_parcel_from_internet(published_vectors.read("parcel_tampered.bin"), published_vectors.VERIFY_AT)
