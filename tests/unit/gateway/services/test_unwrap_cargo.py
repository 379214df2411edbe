import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.db.backends.sqlite3.base import DatabaseWrapper
from prometheus_client import REGISTRY

from awala.asn1 import der
from awala.cms import enveloped_data
from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_PLAINTEXT_SIZE, MAX_RAMF_MESSAGE_SIZE
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from awala.pki.certificate import Certificate
from awala.session_key import generate_session_key
from gateway import durable_intake, refusals
from gateway.errors import (
    KeyUnavailableError,
    ObjectMissingError,
    RecordUnavailableError,
    StorageUnavailableError,
    UnknownKeyError,
)
from gateway.group_commit import commit_together
from gateway.keystores import get_keystore
from gateway.keystores.database import DatabaseKeyStore
from gateway.models import Event, IncomingCargo, OutgoingParcel, ParcelRecord, Peer, StoredKey, StoredParcel
from gateway.services import record_parcels, sort_cargo_items
from gateway.services import unwrap_cargo as module
from gateway.services.admit_parcel import admit_parcel_from_peer
from gateway.services.receive_parcel import receive_parcel_from_peer
from gateway.services.unwrap_cargo import unwrap_cargo
from gateway.storage import load_object, store_objects
from tests import factories, published_vectors
from tests.factories import NOW
from tests.unit.edges import gateway_errors, message_errors
from tests.unit.gateway.factories import make_node_id, make_peer
from tests.unit.gateway.services.cargoes import (
    SENDER,
    accept,
    collection_ack,
    make_cargo,
    make_session_key,
    store_parcel,
)

# The services do their own transactions, so that no other must be around them.
pytestmark = pytest.mark.django_db(transaction=True)

PEER_ID = factories.id_of(SENDER)
LATER = NOW + timedelta(hours=2)


@pytest.fixture(autouse=True)
def allow_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_allowances", refusals.make_allowances(1_000))


def unwrap(cargo: IncomingCargo, at: Any = NOW) -> IncomingCargo:
    unwrap_cargo(cargo.id, lambda: at)
    cargo.refresh_from_db()
    return cargo


def unwrap_items(gateway: Certificate, *items: bytes, at: Any = NOW) -> IncomingCargo:
    return unwrap(accept(make_cargo(gateway, items)), at)


def for_the_internet(message_id: str = "out", **changes: Any) -> bytes:
    return factories.serialized(factories.internet_parcel(message_id=message_id, **changes))


def for_an_endpoint(gateway: Certificate, message_id: str = "in", **changes: Any) -> bytes:
    chain = factories.chain(gateway=gateway, private_gateway="another private gateway")
    return factories.serialized(factories.private_parcel(chain, message_id=message_id, **changes))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def objects_of_cargo(object_store: Path) -> list[Path]:
    return files_in(object_store / "cargoes")


def has_object(object_key: str) -> bool:
    try:
        load_object(object_key)
    except ObjectMissingError:
        return False
    return True


def counter(name: str, outcome: str) -> float:
    return REGISTRY.get_sample_value(f"gateway_{name}_total", {"outcome": outcome}) or 0.0


# ---------------------------------------------------------------- Every kind of item


def test_parcel_for_the_internet_is_queued(identity: Certificate) -> None:
    octets = for_the_internet()

    cargo = unwrap_items(identity, octets)

    row = OutgoingParcel.objects.get()
    assert (row.state, row.peer_id, row.destination) == ("pending", PEER_ID, "endpoint.example.com")
    assert (row.received_at, row.next_attempt_at) == (NOW, NOW)
    assert load_object(row.object_key) == octets
    assert ParcelRecord.objects.get().peer_id == PEER_ID
    assert (cargo.parcels, cargo.items_done, cargo.skipped_items) == (1, 1, 0)


def test_parcel_for_our_endpoint_is_stored_and_recorded(identity: Certificate) -> None:
    octets = for_an_endpoint(identity)

    cargo = unwrap_items(identity, octets)

    row = StoredParcel.objects.get()
    assert (row.state, row.peer_id) == ("queued", factories.id_of("another private gateway"))
    assert load_object(row.object_key) == octets
    assert ParcelRecord.objects.get().peer_id == PEER_ID
    assert cargo.parcels == 1


def test_collection_ack_settles_the_parcel(identity: Certificate) -> None:
    parcel = factories.private_parcel(message_id="\xff\x00 collected")
    row = store_parcel(parcel, PEER_ID)

    cargo = unwrap_items(identity, collection_ack(parcel))

    row.refresh_from_db()
    assert (row.state, row.settled_at) == (StoredParcel.State.COLLECTED, NOW)
    assert not has_object(row.object_key)
    assert (cargo.collection_acks, cargo.parcels) == (1, 0)


def test_collection_ack_of_nothing_is_fine(identity: Certificate) -> None:
    cargo = unwrap_items(identity, collection_ack(factories.private_parcel()))

    assert (cargo.state, cargo.collection_acks, cargo.skipped_items) == ("unwrapped", 1, 0)


def test_collection_ack_of_another_peers_parcel_deletes_nothing(identity: Certificate) -> None:
    parcel = factories.private_parcel()
    row = store_parcel(parcel, factories.id_of("another private gateway"))

    unwrap_items(identity, collection_ack(parcel))

    row.refresh_from_db()
    assert row.state == StoredParcel.State.QUEUED
    assert has_object(row.object_key)


@pytest.mark.parametrize("state", [StoredParcel.State.EXPIRED, StoredParcel.State.DISCARDED])
def test_collection_ack_of_a_settled_parcel_changes_nothing(identity: Certificate, state: str) -> None:
    parcel = factories.private_parcel()
    row = store_parcel(parcel, PEER_ID)
    row.advance(state, settled_at=NOW - timedelta(hours=1))

    unwrap_items(identity, collection_ack(parcel))

    row.refresh_from_db()
    assert row.state == state


def test_collection_ack_of_a_version_replaced_meanwhile(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the row and its change, a newer version takes its place."""
    parcel = factories.private_parcel()
    row = store_parcel(parcel, PEER_ID)
    find = record_parcels.find_stored

    def find_and_be_late(keys: Any) -> Any:
        found = find(keys)
        StoredParcel.objects.filter(pk=row.pk).update(revision=uuid.uuid4())
        return found

    monkeypatch.setattr("gateway.services.apply_collection_acks.find_stored", find_and_be_late)
    unwrap_items(identity, collection_ack(parcel))

    row.refresh_from_db()
    assert row.state == StoredParcel.State.QUEUED


def test_rotation_is_ignored(identity: Certificate) -> None:
    path = CertificationPath(leaf=identity, authorities=(identity,))
    rotation = CertificateRotation(path=path)

    cargo = unwrap_items(identity, rotation.serialize(), rotation.serialize_implicit())

    assert (cargo.state, cargo.items_done, cargo.skipped_items) == ("unwrapped", 2, 0)
    assert not Event.objects.exists()


def test_empty_cargo_is_unwrapped(identity: Certificate, object_store: Path) -> None:
    cargo = unwrap_items(identity)

    assert (cargo.state, cargo.settled_at, cargo.lease_id) == (IncomingCargo.State.UNWRAPPED, NOW, None)
    assert objects_of_cargo(object_store) == []


def test_hints_follow_the_commit(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    hints: list[object] = []

    def note(*hint: object) -> None:
        assert not connection.in_atomic_block
        hints.append(hint)

    monkeypatch.setattr(record_parcels, "notify_peer", note)
    monkeypatch.setattr(record_parcels, "hint_outgoing_parcel", note)
    unwrap_items(identity, for_the_internet(), for_an_endpoint(identity, "1"), for_an_endpoint(identity, "2"))

    row = OutgoingParcel.objects.get()
    assert hints == [(row.id, "endpoint.example.com"), (factories.id_of("another private gateway"),)]


def test_outcomes_are_counted(identity: Certificate) -> None:
    names = ("parcel", "repeated_parcel", "collection_ack", "ignored", "skipped")
    before = [counter("cargo_items", name) for name in names] + [counter("cargoes_opened", "unwrapped")]
    rotation = CertificateRotation(path=CertificationPath(leaf=identity, authorities=()))
    ack = collection_ack(factories.private_parcel())

    unwrap_items(identity, for_the_internet(), for_the_internet(), ack, rotation.serialize(), b"")

    after = [counter("cargo_items", name) for name in names] + [counter("cargoes_opened", "unwrapped")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1] * 6


# ---------------------------------------------------------------- Repeats


def test_cargo_is_unwrapped_once(identity: Certificate) -> None:
    cargo = unwrap_items(identity, for_the_internet())

    assert unwrap(cargo, LATER).attempts == 1
    assert OutgoingParcel.objects.count() == 1


def test_cargo_that_is_unknown_is_none(identity: Certificate) -> None:
    unwrap_cargo(uuid.uuid4(), lambda: NOW)


def test_parcel_for_the_internet_that_came_before(identity: Certificate, object_store: Path) -> None:
    octets = for_the_internet()
    receive_parcel_from_peer(octets, PEER_ID, NOW)

    cargo = unwrap_items(identity, octets)

    assert cargo.parcels == 1
    assert OutgoingParcel.objects.count() == ParcelRecord.objects.count() == len(files_in(object_store)) == 1


def test_parcel_for_the_internet_twice_in_one_cargo(identity: Certificate, object_store: Path) -> None:
    octets = for_the_internet()

    unwrap_items(identity, octets, octets)

    assert OutgoingParcel.objects.count() == ParcelRecord.objects.count() == len(files_in(object_store)) == 1


def test_newest_of_namesakes_in_one_cargo_is_kept(identity: Certificate, object_store: Path) -> None:
    newest = for_an_endpoint(identity, payload=b"newest")

    unwrap_items(identity, for_an_endpoint(identity, payload=b"older"), newest)

    assert load_object(StoredParcel.objects.get().object_key) == newest
    assert len(files_in(object_store)) == 1


def test_parcel_for_our_endpoint_replaces_its_namesake(identity: Certificate, object_store: Path) -> None:
    receive_parcel_from_peer(for_an_endpoint(identity, payload=b"older"), PEER_ID, NOW)
    newer, newest = for_an_endpoint(identity, payload=b"newer"), for_an_endpoint(identity, payload=b"newest")

    unwrap_items(identity, newer, newest)

    assert load_object(StoredParcel.objects.get().object_key) == newest
    assert len(files_in(object_store)) == 1


def test_parcel_that_another_writer_inserts_meanwhile(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = for_the_internet()
    store = store_objects

    def store_and_be_late(objects: Any) -> None:
        store(objects)
        monkeypatch.undo()
        receive_parcel_from_peer(octets, PEER_ID, NOW)

    cargo = accept(make_cargo(identity, [octets, for_the_internet("another")]))
    location = object_store  # The fixture's setting is undone with the rest.
    monkeypatch.setattr(durable_intake, "store_objects", store_and_be_late)

    unwrap(cargo)

    assert OutgoingParcel.objects.count() == ParcelRecord.objects.count() == len(files_in(location)) == 2


def test_conflict_makes_the_batch_look_again(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    original, attempts = OutgoingParcel.objects.bulk_create, [True]

    def fail_once(rows: Sequence[OutgoingParcel]) -> Sequence[OutgoingParcel]:
        if attempts.pop() if attempts else False:
            raise IntegrityError
        return original(rows)

    monkeypatch.setattr(OutgoingParcel.objects, "bulk_create", fail_once)
    cargo = unwrap_items(identity, *(for_the_internet(str(number)) for number in range(3)))

    assert (cargo.state, cargo.parcels) == ("unwrapped", 3)
    assert OutgoingParcel.objects.count() == 3


def test_row_that_changes_makes_the_batch_look_again(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    receive_parcel_from_peer(for_an_endpoint(identity, payload=b"older"), PEER_ID, NOW)
    newer = for_an_endpoint(identity, payload=b"newer")
    advance, others = StoredParcel.advance, [uuid.uuid4()]

    def advance_late(row: StoredParcel, *args: Any, **changes: Any) -> bool:
        if others:
            StoredParcel.objects.update(revision=others.pop())
        return advance(row, *args, **changes)

    monkeypatch.setattr(StoredParcel, "advance", advance_late)
    cargo = unwrap_items(identity, newer)

    assert (cargo.state, cargo.last_error) == ("unwrapped", "")
    assert load_object(StoredParcel.objects.get().object_key) == newer


# ---------------------------------------------------------------- Bad items


def nested_cargo(gateway: Certificate) -> bytes:
    return make_cargo(gateway, [for_the_internet()])


def with_flipped_octet(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


def malformed_ack(_gateway: Certificate) -> bytes:
    return b"Awala\x51\x00\x30\x00"


BAD: dict[str, tuple[Callable[[Certificate], bytes], str]] = {
    "empty": (lambda _: b"", "empty: 1"),
    "no Awala message": (lambda _: b"no Awala message at all", "unknown type: 1"),
    "header alone": (lambda _: b"Awala\x50\x00", "malformed: 1"),
    "parcel of another version": (lambda _: b"Awala\x50\x01" + for_the_internet()[7:], "unknown type: 1"),
    "cut short": (lambda _: for_the_internet()[:-1], "malformed: 1"),
    "malformed ACK": (malformed_ack, "malformed: 1"),
    "nested cargo": (nested_cargo, "nested: 1"),
    "nested CCA": (lambda _: published_vectors.read("cca.bin"), "nested: 1"),
    "tampered": (lambda _: with_flipped_octet(for_the_internet()), "bad signature: 1"),
    "expired": (lambda _: for_the_internet(ttl_seconds=59), "untimely: 1"),
    "of the future": (lambda _: for_the_internet(creation_date=NOW + timedelta(seconds=1)), "untimely: 1"),
    "under another gateway": (
        lambda _: for_an_endpoint(factories.gateway_certificate("another gateway")),
        "unauthorised: 1",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_item_is_skipped_and_does_not_hurt_the_others(identity: Certificate, object_store: Path, name: str) -> None:
    make, reason = BAD[name]

    cargo = unwrap_items(identity, for_the_internet("before"), make(identity), for_the_internet("after"))

    assert (cargo.state, cargo.items_done, cargo.parcels, cargo.skipped_items) == ("unwrapped", 3, 2, 1)
    event = Event.objects.get()
    assert (event.kind, event.detail) == (Event.Kind.CARGO_ITEMS_SKIPPED, reason)
    assert (event.subject_id, event.peer_id) == (cargo.id, PEER_ID)
    assert OutgoingParcel.objects.count() == len(files_in(object_store)) == 2


def test_fullest_set_of_empty_items_costs_few_transactions(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    cargo, commits = accept(make_cargo(identity, [b""] * 65_536)), []
    database: Any = DatabaseWrapper
    commit = database._commit  # noqa: SLF001

    def count(*args: Any) -> Any:
        commits.append(args)
        return commit(*args)

    monkeypatch.setattr(DatabaseWrapper, "_commit", count)

    unwrap(cargo)

    assert (cargo.state, cargo.skipped_items, cargo.items_done) == ("unwrapped", 65_536, 65_536)
    assert Event.objects.get().detail == "empty: 65536"
    assert len(commits) <= 10


def test_ack_with_names_that_no_database_takes(identity: Certificate) -> None:
    """PostgreSQL refuses text with a zero octet, and would do so at each attempt."""
    ack = b"Awala\x51\x00" + der.structure(b"\x00", b"\x00", b"\x00")

    cargo = unwrap_items(identity, ack, for_the_internet())

    assert (cargo.state, cargo.collection_acks, cargo.parcels) == ("unwrapped", 1, 1)


def test_fullest_cargo_is_unwrapped(identity: Certificate) -> None:
    overhead = len(for_the_internet(payload=bytes(MAX_CARGO_ITEM_SIZE - 4_000))) - (MAX_CARGO_ITEM_SIZE - 4_000)
    octets = for_the_internet(payload=bytes(MAX_CARGO_ITEM_SIZE - overhead))
    assert len(octets) == MAX_CARGO_ITEM_SIZE

    assert unwrap_items(identity, octets).parcels == 1


def test_item_that_brings_a_fault_of_ours_to_light_is_skipped(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky = for_the_internet("unlucky")

    def admit_or_fail(item: bytes, *args: Any) -> Any:
        if item == unlucky:
            raise RuntimeError
        return admit_parcel_from_peer(item, *args)

    monkeypatch.setattr(sort_cargo_items, "admit_parcel_from_peer", admit_or_fail)
    cargo = unwrap_items(identity, for_the_internet("before"), unlucky, for_the_internet("after"))

    assert (cargo.state, cargo.parcels, cargo.skipped_items) == ("unwrapped", 2, 1)
    assert Event.objects.get().detail == "unforeseen: 1"


# ---------------------------------------------------------------- Invalid cargo


def test_every_error_has_an_outcome() -> None:
    errors = message_errors() | gateway_errors() | {ObjectMissingError}
    fatal = message_errors() | {UnknownKeyError, ObjectMissingError}

    invalid = {error for error in errors if module.find_outcome(error()) == IncomingCargo.State.INVALID}
    postponed = {error for error in errors if module.find_outcome(error()) == IncomingCargo.State.PENDING}

    assert invalid == fatal
    assert postponed == errors - fatal


def test_error_that_nobody_has_foreseen_has_no_outcome() -> None:
    assert module.find_outcome(RuntimeError()) is None


def oversized_set(gateway: Certificate, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What no library of ours would encrypt: just over the ceiling for sets, just under that for payloads."""
    monkeypatch.setattr(enveloped_data, "MAX_PLAINTEXT_SIZE", MAX_PLAINTEXT_SIZE + 1)
    item = der.octet_string(bytes(MAX_PLAINTEXT_SIZE - 9))
    plaintext = der.sequence(item)
    assert len(plaintext) == MAX_PLAINTEXT_SIZE + 1
    return make_cargo(gateway, plaintext=plaintext)


def bound_to_another_peer(gateway: Certificate) -> bytes:
    return make_cargo(gateway, session_key=make_session_key(gateway, make_node_id()))


INVALID: dict[str, tuple[Callable[[Certificate, pytest.MonkeyPatch], bytes], str]] = {
    "a set over the ceiling": (oversized_set, "Cargo message set is too large"),
    "9 MiB and an octet": (lambda *_: bytes(MAX_RAMF_MESSAGE_SIZE + 1), "Message is too large"),
    "no message": (lambda *_: b"no message", "Format signature does not start with Awala"),
    "a parcel": (lambda *_: for_the_internet(), "Message is of another type or version"),
    "no encrypted payload": (lambda gateway, _: make_cargo(gateway, payload=b""), "Truncated ASN.1 element"),
    "no set inside": (lambda gateway, _: make_cargo(gateway, plaintext=b"\x04\x00"), "Expected ASN.1 identifier"),
    "an unknown key": (
        lambda gateway, _: make_cargo(gateway, session_key=generate_session_key()[0]),
        "there is no such session key",
    ),
    "another peer's key": (
        lambda gateway, _: bound_to_another_peer(gateway),
        "the session key is bound to another peer",
    ),
    "another peer's signature": (
        lambda gateway, _: make_cargo(gateway, sender="another private gateway"),
        "Cargo is signed by another peer",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_cargo_is_kept_with_its_reason(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make, reason = INVALID[name]
    octets = make(identity, monkeypatch)
    before = counter("cargoes_opened", "invalid")

    cargo = unwrap(accept(octets))

    assert (cargo.state, cargo.settled_at, cargo.lease_id) == (IncomingCargo.State.INVALID, NOW, None)
    assert cargo.last_error.startswith(reason)
    assert load_object(cargo.object_key) == octets
    event = Event.objects.get()
    assert (event.kind, event.subject_id, event.peer_id) == (Event.Kind.CARGO_INVALID, cargo.id, PEER_ID)
    assert event.detail == cargo.last_error
    assert counter("cargoes_opened", "invalid") == before + 1


def test_events_about_invalid_cargo_are_few(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_allowances", refusals.make_allowances(1))

    cargoes = [unwrap(accept(make_cargo(identity, payload=bytes(number)))) for number in range(3)]

    assert [cargo.state for cargo in cargoes] == ["invalid"] * 3
    assert Event.objects.count() == 1


def test_ciphertext_that_cannot_be_decrypted_says_nothing_of_why(identity: Certificate) -> None:
    key, _ = generate_session_key()
    _, private_key = generate_session_key()
    get_keystore().save_session_key(key.key_id, private_key, identity.node_id)

    cargo = unwrap(accept(make_cargo(identity, session_key=key)))

    assert (cargo.state, cargo.last_error) == ("invalid", "Content cannot be decrypted")


def test_nothing_is_decrypted_before_the_signature_holds(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "unwrap_payload", fail)
    cargo = unwrap(accept(with_flipped_octet(make_cargo(identity))))

    assert cargo.state == IncomingCargo.State.INVALID


def test_cargo_whose_object_is_gone_is_invalid(identity: Certificate) -> None:
    cargo = accept(make_cargo(identity))
    durable_intake.discard_object(cargo.object_key)

    assert unwrap(cargo).state == IncomingCargo.State.INVALID


def test_cargo_that_expired_since_is_unwrapped_all_the_same(identity: Certificate) -> None:
    """It was accepted. Its parcels have dates of their own."""
    cargo = accept(make_cargo(identity, [for_the_internet(ttl_seconds=10 * 86_400)]))

    assert unwrap(cargo, NOW + timedelta(days=5)).parcels == 1


# ---------------------------------------------------------------- The peer's session key


def test_key_of_the_peer_is_kept(identity: Certificate) -> None:
    peer = make_peer(node_id=PEER_ID)
    created_at = NOW - timedelta(hours=3)

    unwrap(accept(make_cargo(identity, creation_date=created_at)))

    peer.refresh_from_db()
    assert peer.session_key_created_at == created_at
    assert len(bytes(peer.session_key_id or b"")) == 8
    assert peer.session_public_key_der


def test_newest_key_by_its_date_is_kept(identity: Certificate) -> None:
    peer = make_peer(node_id=PEER_ID)
    newer, older = NOW - timedelta(hours=1), NOW - timedelta(hours=2)
    unwrap(accept(make_cargo(identity, creation_date=newer)))
    key_id = bytes(Peer.objects.get().session_key_id or b"")

    unwrap(accept(make_cargo(identity, creation_date=older)))

    peer.refresh_from_db()
    assert (peer.session_key_created_at, bytes(peer.session_key_id or b"")) == (newer, key_id)


def test_cargo_of_a_peer_that_is_not_on_record(identity: Certificate) -> None:
    assert unwrap(accept(make_cargo(identity))).state == IncomingCargo.State.UNWRAPPED
    assert not Peer.objects.exists()


def test_key_of_a_cargo_that_cannot_be_unwrapped_is_not_kept(identity: Certificate) -> None:
    peer = make_peer(node_id=PEER_ID)

    unwrap(accept(make_cargo(identity, session_key=generate_session_key()[0])))

    peer.refresh_from_db()
    assert peer.session_key_id is None


# ---------------------------------------------------------------- Leases


def test_lease_covers_the_work(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[IncomingCargo] = []
    cargo = accept(make_cargo(identity))
    monkeypatch.setattr(module, "_settle", lambda *_: seen.append(IncomingCargo.objects.get()))

    unwrap(cargo)

    assert (seen[0].state, seen[0].attempts) == ("pending", 1)
    assert seen[0].lease_id is not None
    assert seen[0].leased_until == NOW + timedelta(seconds=60)
    assert seen[0].next_attempt_at == NOW + timedelta(seconds=62)


def test_cargo_that_kills_its_workers_comes_back_ever_later(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_args: object) -> None:
        raise Killed

    monkeypatch.setattr(module, "_open", die)
    cargo = accept(make_cargo(identity))
    delays = []
    for _ in range(15):
        now = IncomingCargo.objects.get().next_attempt_at
        with pytest.raises(Killed):
            unwrap(cargo, now)
        delays.append((IncomingCargo.objects.get().next_attempt_at - now).total_seconds() - 60)

    assert delays[:4] == [2, 4, 8, 16]
    assert delays[-2:] == [3_600, 3_600]


def test_cargo_that_is_not_due_is_left_alone(identity: Certificate) -> None:
    cargo = accept(make_cargo(identity), next_attempt_at=NOW + timedelta(seconds=1))

    assert unwrap(cargo).attempts == 0


def test_second_worker_leaves_leased_cargo_alone(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo = accept(make_cargo(identity, [for_the_internet()]))
    announce, leases = record_parcels.announce, []

    def announce_amid_another_worker(recorded: Any) -> None:
        unwrap_cargo(cargo.id, lambda: NOW + timedelta(seconds=59))
        leases.append(IncomingCargo.objects.get().attempts)
        announce(recorded)

    monkeypatch.setattr(module, "announce", announce_amid_another_worker)
    unwrap(cargo)

    assert leases == [1]
    assert OutgoingParcel.objects.count() == 1


def test_second_worker_that_saw_the_same_row_gets_no_lease(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked, and find the cargo due; the other one is faster."""
    cargo = accept(make_cargo(identity))

    def be_late(write: Callable[[], object]) -> object:
        IncomingCargo.objects.update(lease_id=uuid.uuid4())
        return write()

    monkeypatch.setattr("gateway.services.lease_cargo.commit_together", be_late)

    assert unwrap(cargo).attempts == 0


def test_worker_that_lost_its_lease_stops(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_ITEMS", 2)
    cargo = accept(make_cargo(identity, [for_the_internet(str(number)) for number in range(6)]))
    announce = record_parcels.announce

    def announce_and_be_overtaken(recorded: Any) -> None:
        announce(recorded)
        monkeypatch.setattr(module, "announce", announce)
        IncomingCargo.objects.update(lease_id=other_lease_id)

    other_lease_id = uuid.uuid4()
    monkeypatch.setattr(module, "announce", announce_and_be_overtaken)
    unwrap(cargo)

    assert (cargo.state, cargo.items_done, cargo.lease_id) == ("pending", 2, other_lease_id)
    assert OutgoingParcel.objects.count() == len(files_in(object_store)) - 1 == 2


def test_worker_that_takes_over_finishes_the_work(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_ITEMS", 2)
    cargo = accept(make_cargo(identity, [*(for_the_internet(str(number)) for number in range(5)), b""]))
    announce = record_parcels.announce

    def announce_and_sleep_too_long(recorded: Any) -> None:
        announce(recorded)
        monkeypatch.setattr(module, "announce", announce)
        unwrap_cargo(cargo.id, lambda: NOW + timedelta(minutes=2))

    monkeypatch.setattr(module, "announce", announce_and_sleep_too_long)
    unwrap(cargo)

    assert (cargo.state, cargo.items_done, cargo.parcels, cargo.attempts) == ("unwrapped", 6, 5, 2)
    assert OutgoingParcel.objects.count() == 5
    assert Event.objects.count() == 1


def test_lease_lost_before_the_end_settles_nothing(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo = accept(make_cargo(identity))
    settle = module._settle  # noqa: SLF001

    def settle_late(*args: Any) -> None:
        IncomingCargo.objects.update(lease_id=uuid.uuid4())
        settle(*args)

    monkeypatch.setattr(module, "_settle", settle_late)

    assert unwrap(cargo).state == IncomingCargo.State.PENDING
    assert has_object(cargo.object_key)


# ---------------------------------------------------------------- Failures of ours


def fail_with(error: Exception) -> Callable[..., Any]:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    return fail


FAILURES: dict[str, tuple[Any, str, Exception]] = {
    "the store cannot read": (module, "load_object", StorageUnavailableError("the object store failed")),
    "the store cannot write": (durable_intake, "store_objects", StorageUnavailableError("the object store failed")),
    "the key store is down": (DatabaseKeyStore, "load_session_key", RecordUnavailableError("the database failed")),
    "the database fails": (OutgoingParcel.objects, "bulk_create", OperationalError("disk I/O error")),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_of_ours_puts_the_cargo_off(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    owner, function, error = FAILURES[name]
    cargo = accept(make_cargo(identity, [for_the_internet()]))
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, fail_with(error))
        unwrap(cargo)

    assert (cargo.state, cargo.lease_id, cargo.leased_until) == (IncomingCargo.State.PENDING, None, None)
    assert cargo.next_attempt_at == NOW + timedelta(seconds=2)
    assert cargo.last_error in {"the object store failed", "the database failed"}
    assert not Event.objects.exists()
    assert len(files_in(object_store)) == 1

    assert unwrap(cargo, NOW + timedelta(seconds=2)).parcels == 1


def test_keys_that_we_cannot_open_put_the_cargo_off(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo = accept(make_cargo(identity))
    StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).update(sealed=b"sealed under another key")

    unwrap(cargo)

    assert cargo.state == IncomingCargo.State.PENDING
    assert "KEYSTORE_KEY" in cargo.last_error


def test_failing_identity_is_not_the_items_fault(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.services.admit_parcel.load_identity", fail_with(KeyUnavailableError("no key")))

    cargo = unwrap_items(identity, for_an_endpoint(identity))

    assert (cargo.state, cargo.skipped_items, cargo.last_error) == ("pending", 0, "no key")


def test_failures_put_the_cargo_off_ever_longer(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_object", fail_with(StorageUnavailableError("the object store failed")))
    cargo, delays = accept(make_cargo(identity)), []
    for _ in range(10):
        now = cargo.next_attempt_at
        delays.append((unwrap(cargo, now).next_attempt_at - now).total_seconds())

    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_unforeseen_errors_are_raised_and_put_the_cargo_off(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "sort_items", fail_with(RuntimeError("quotes what must not be kept")))
    cargo = accept(make_cargo(identity, [b"item"]))
    before = counter("cargoes_opened", "failed")

    with pytest.raises(RuntimeError):
        unwrap_cargo(cargo.id, lambda: NOW)

    cargo.refresh_from_db()
    assert (cargo.state, cargo.last_error) == ("pending", "RuntimeError")
    assert counter("cargoes_opened", "failed") == before + 1


def test_database_that_stays_down_leaves_the_lease_to_end(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    cargo = accept(make_cargo(identity))
    with monkeypatch.context() as patch:
        patch.setattr(module, "load_object", fail_with(StorageUnavailableError("the object store failed")))
        patch.setattr("gateway.services.lease_cargo.change_leased_cargo", fail_with(OperationalError("gone")))
        unwrap(cargo)

    assert cargo.lease_id is not None
    assert unwrap(cargo, NOW + timedelta(seconds=62)).state == IncomingCargo.State.UNWRAPPED


def test_commit_that_seemed_to_fail_doubles_nothing(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose commit fails is done again, though it may have been carried out."""
    octets, stored = for_the_internet(), for_an_endpoint(identity)
    cargo = accept(make_cargo(identity, [octets, stored]))
    keep = commit_together

    def commit_and_seem_to_fail(write: Callable[[], object], *rows: Any) -> object:
        monkeypatch.setattr(durable_intake, "commit_together", keep)
        keep(write, *rows)
        raise IntegrityError

    monkeypatch.setattr(durable_intake, "commit_together", commit_and_seem_to_fail)
    unwrap(cargo)

    assert (cargo.state, cargo.items_done, cargo.parcels) == ("unwrapped", 2, 2)
    assert load_object(OutgoingParcel.objects.get().object_key) == octets
    assert load_object(StoredParcel.objects.get().object_key) == stored
    assert not Event.objects.exists()


# ---------------------------------------------------------------- Crashes


class Killed(BaseException):
    """Nothing handles it, as nothing handles `kill -9`."""


class Steps:
    """Counts the steps of a run, before and after each function that changes something; kills it at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fatal_step: int) -> None:
        self.taken = 0
        self._fatal_step = fatal_step
        for owner, name in (
            (module, "lease_cargo"),
            (module, "load_object"),
            (module, "remember_peer_key"),
            (durable_intake, "store_objects"),
            (module, "change_leased_cargo"),
            (module, "apply_collection_acks"),
            (module, "record_parcels"),
            (module, "announce"),
            (module, "note_refusal"),
            (module, "discard_object"),
            (DatabaseWrapper, "_commit"),
        ):
            self._watch(monkeypatch, owner, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._take()
            result = function(*args, **kwargs)
            self._take()
            return result

        monkeypatch.setattr(owner, name, watched)

    def _take(self) -> None:
        self.taken += 1
        if self.taken == self._fatal_step:
            raise Killed


def test_crash_between_any_two_steps_loses_and_doubles_nothing(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_ITEMS", 2)
    make_peer(node_id=PEER_ID)
    collected = factories.private_parcel(message_id="collected")
    outgoing = [for_the_internet(f"out {number}") for number in range(2)]
    stored = [for_an_endpoint(identity, f"in {number}") for number in range(2)]
    items = [outgoing[0], b"", stored[0], collection_ack(collected), outgoing[1], stored[1], b"bad"]
    octets = make_cargo(identity, items)
    fatal_step, has_crashed = 0, True
    while has_crashed:
        fatal_step += 1
        for model in (IncomingCargo, OutgoingParcel, StoredParcel, ParcelRecord):
            model._default_manager.all().delete()
        waiting = store_parcel(collected, PEER_ID)
        cargo = accept(octets)

        has_crashed = unwrap_with_crash(cargo, fatal_step)
        unwrap(cargo, NOW + timedelta(minutes=2))

        assert (cargo.state, cargo.items_done) == (IncomingCargo.State.UNWRAPPED, 7)
        assert (cargo.parcels, cargo.collection_acks, cargo.skipped_items) == (4, 1, 2)
        waiting.refresh_from_db()
        assert waiting.state == StoredParcel.State.COLLECTED
        keys = [row.object_key for row in OutgoingParcel.objects.all()]
        keys += [row.object_key for row in StoredParcel.objects.filter(state="queued")]
        assert sorted(load_object(key) for key in keys) == sorted(outgoing + stored)
        assert ParcelRecord.objects.count() == 4
    assert fatal_step > 50


def unwrap_with_crash(cargo: IncomingCargo, fatal_step: int) -> bool:
    """Whether the step came."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        Steps(monkeypatch, fatal_step)
        try:
            unwrap_cargo(cargo.id, lambda: NOW)
        except Killed:
            connection.rollback()
            return True
    return False


def test_restart_goes_on_after_the_last_batch(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_ITEMS", 2)
    cargo = accept(make_cargo(identity, [b"", *(for_the_internet(str(number)) for number in range(5)), b""]))
    sort = sort_cargo_items.sort_items
    sorted_items: list[Sequence[bytes]] = []

    def sort_or_die(items: Sequence[bytes], *args: Any) -> Any:
        if len(sorted_items) == 2:
            sorted_items.clear()
            raise Killed
        sorted_items.append(items)
        return sort(items, *args)

    monkeypatch.setattr(module, "sort_items", sort_or_die)
    with pytest.raises(Killed):
        unwrap_cargo(cargo.id, lambda: NOW)
    unwrap(cargo, NOW + timedelta(minutes=2))

    assert [len(items) for items in sorted_items] == [2]
    assert (cargo.state, cargo.items_done, cargo.parcels, cargo.skipped_items) == ("unwrapped", 7, 5, 2)
    assert Event.objects.get().detail == "before an interruption: 1, empty: 1"


# ---------------------------------------------------------------- What the deployed libraries made


def save_published_key(name: str, gateway: Certificate, peer_id: str | None = None) -> None:
    key_id = bytes.fromhex(published_vectors.key_facts(name)["keyIdHex"])
    get_keystore().save_session_key(key_id, published_vectors.session_private_key(name), gateway.node_id, peer_id)


def test_cargo_of_the_javascript_library(vector_identity: Certificate) -> None:
    vector = next(vector for vector in published_vectors.of_type("Cargo") if vector.file == "cargo_to_gateway.bin")
    peer = make_peer(node_id=published_vectors.certificate("private_gateway_a").node_id)
    save_published_key("gw_session_bound_pg_a", vector_identity, peer.node_id)

    cargo = unwrap(accept(vector.octets, peer_id=peer.node_id), vector.verify_at + timedelta(days=1_000))

    assert (cargo.state, cargo.attempts) == (IncomingCargo.State.UNWRAPPED, 1)
    assert cargo.items_done > 0
    peer.refresh_from_db()
    assert bytes(peer.session_key_id or b"").hex() == vector.facts["originatorKeyIdHex"]
    assert peer.session_key_created_at == published_vectors.time_of(vector.facts["creationDate"])


def test_what_the_javascript_library_put_into_cargo(vector_identity: Certificate) -> None:
    """Trap 1 and section 6: its message set is read item by item, whatever each is worth to us."""
    items = CargoMessageSet.deserialize(published_vectors.read("cargo_message_set.der")).items
    octets = accept_from_javascript(vector_identity, items)

    cargo = unwrap(octets, published_vectors.VERIFY_AT)

    assert (cargo.state, cargo.items_done) == (IncomingCargo.State.UNWRAPPED, len(items))
    assert cargo.parcels + cargo.collection_acks > 0
    assert cargo.skipped_items == 0


def test_valid_parcels_of_both_libraries_in_one_cargo(vector_identity: Certificate) -> None:
    vectors = [
        vector
        for vector in published_vectors.of_type("Parcel")
        if vector.is_valid and vector.verify_at == published_vectors.VERIFY_AT
    ]
    assert {"jvm_parcel.bin", "parcel_internet.bin"} <= {vector.file for vector in vectors}

    cargo = unwrap(
        accept_from_javascript(vector_identity, [vector.octets for vector in vectors]), published_vectors.VERIFY_AT
    )

    assert (cargo.parcels, cargo.skipped_items) == (len(vectors), 0)
    assert OutgoingParcel.objects.count() == 1


def test_payload_of_the_jvm_library_is_decrypted(vector_identity: Certificate) -> None:
    """There is no cargo of that library among the vectors; what it encrypted is a CCA's content, and so no set."""
    peer = make_peer(node_id=PEER_ID)
    save_published_key("gw_session_bound_pg_a", vector_identity)
    octets = make_cargo(
        factories.gateway_certificate(),
        payload=published_vectors.read("jvm_enveloped.der"),
        session_key=generate_session_key()[0],
    )

    cargo = unwrap(accept(octets))

    assert cargo.last_error == "Expected ASN.1 identifier 0x24, got 0x80"
    peer.refresh_from_db()
    assert peer.session_key_created_at is not None


def accept_from_javascript(gateway: Certificate, items: Sequence[bytes]) -> IncomingCargo:
    """A cargo with the items, signed by a peer of ours: only the content is that library's."""
    session_key = make_session_key(gateway)
    return accept(make_cargo(factories.gateway_certificate(), items, session_key=session_key))
