from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import StorageUnavailableError
from gateway.models import Event, StoredParcel
from gateway.services import collect_parcels as module
from gateway.services.collect_parcels import acknowledge_parcel, list_queued_parcels, load_parcel
from gateway.storage import load_object, store_object
from tests.unit.gateway.factories import make_node_id, make_stored_parcel

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PEER = make_node_id()


def make_parcel(peer_id: str = PEER, *, minutes: int = 0, octets: bytes = b"octets", **values: object) -> StoredParcel:
    received_at = NOW + timedelta(minutes=minutes)
    parcel = make_stored_parcel(peer_id=peer_id, received_at=received_at, **{"expires_at": LATER, **values})
    store_object(parcel.object_key, octets)
    return parcel


# ---------------------------------------------------------------- Listing


def test_oldest_come_first() -> None:
    parcels = [make_parcel(minutes=minutes) for minutes in (3, 1, 2)]

    listed = list_queued_parcels({PEER}, NOW)

    assert listed == sorted(parcels, key=lambda parcel: parcel.received_at)


def test_parcels_of_several_peers() -> None:
    another = make_node_id()
    parcels = [make_parcel(), make_parcel(another, minutes=1)]
    make_parcel(make_node_id())

    assert list_queued_parcels({PEER, another}, NOW) == parcels


def test_only_what_is_queued_and_unexpired() -> None:
    make_parcel(expires_at=NOW)
    make_parcel(state=StoredParcel.State.COLLECTED)
    good = make_parcel(expires_at=NOW + timedelta(microseconds=1))

    assert list_queued_parcels({PEER}, NOW) == [good]


def test_a_page_at_the_most() -> None:
    parcels = [make_parcel(minutes=minutes) for minutes in range(34)]

    assert list_queued_parcels({PEER}, NOW) == parcels[:32]


def test_parcels_in_flight_are_left_out_and_do_not_shorten_the_page() -> None:
    parcels = [make_parcel(minutes=minutes) for minutes in range(34)]

    assert list_queued_parcels({PEER}, NOW, excluding=parcels[:2]) == parcels[2:]


# ---------------------------------------------------------------- Loading


def test_parcel_is_loaded() -> None:
    assert load_parcel(make_parcel(octets=b"one"), NOW) == b"one"


@pytest.mark.parametrize("moment", [LATER, LATER + timedelta(days=1)])
def test_parcel_that_expired_since_it_was_listed(moment: datetime) -> None:
    parcel = make_parcel()

    assert load_parcel(parcel, moment) is None

    assert StoredParcel.objects.get().state == StoredParcel.State.QUEUED


def test_parcel_that_was_acknowledged_since_it_was_listed() -> None:
    make_parcel()
    listed = StoredParcel.objects.get()
    acknowledge_parcel(StoredParcel.objects.get(), NOW)

    assert load_parcel(listed, NOW) is None

    assert StoredParcel.objects.get().state == StoredParcel.State.COLLECTED


def test_parcel_whose_object_was_removed_is_discarded(object_store: Path) -> None:
    parcel = make_parcel()
    (object_store / parcel.object_key).unlink()

    assert load_parcel(parcel, NOW) is None

    row = StoredParcel.objects.get()
    assert (row.state, row.settled_at) == (StoredParcel.State.DISCARDED, NOW)
    assert Event.objects.get().kind == Event.Kind.PARCEL_DISCARDED


def test_failing_storage_discards_nothing(object_store: Path) -> None:
    parcel = make_parcel()
    path = object_store / parcel.object_key
    path.unlink()
    path.mkdir()

    with pytest.raises(StorageUnavailableError):
        load_parcel(parcel, NOW)

    assert StoredParcel.objects.get().state == StoredParcel.State.QUEUED


# ---------------------------------------------------------------- Acknowledging


def test_acknowledged_parcel_is_settled_and_its_object_gone(object_store: Path) -> None:
    parcel = make_parcel()

    acknowledge_parcel(parcel, NOW)

    row = StoredParcel.objects.get()
    assert (row.state, row.settled_at) == (StoredParcel.State.COLLECTED, NOW)
    assert not (object_store / parcel.object_key).exists()


def test_acknowledging_twice_does_no_harm() -> None:
    make_parcel()
    one, same = StoredParcel.objects.get(), StoredParcel.objects.get()

    acknowledge_parcel(one, NOW)
    acknowledge_parcel(same, LATER)

    assert StoredParcel.objects.get().settled_at == NOW


def test_acknowledgement_of_an_older_version_leaves_the_newer() -> None:
    make_parcel()
    older, row = StoredParcel.objects.get(), StoredParcel.objects.get()
    newer_key = StoredParcel.make_object_key(PEER)
    store_object(newer_key, b"newer")
    row.advance(StoredParcel.State.QUEUED, revision=make_stored_parcel().revision, object_key=newer_key)

    acknowledge_parcel(older, NOW)

    assert StoredParcel.objects.get(id=older.id).state == StoredParcel.State.QUEUED
    assert load_object(newer_key) == b"newer"


def test_object_that_cannot_be_deleted_is_left_for_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_key: str) -> None:
        raise StorageUnavailableError

    monkeypatch.setattr(module, "delete_object", fail)
    parcel = make_parcel()

    acknowledge_parcel(parcel, NOW)

    assert StoredParcel.objects.get().state == StoredParcel.State.COLLECTED
