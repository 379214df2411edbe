import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, models
from django.utils import timezone

from gateway.models import Lifecycle, OutgoingParcel, Peer, StatefulModel, StoredParcel
from tests.unit.gateway.factories import make_outgoing_parcel, make_peer, make_stored_parcel

QUEUED, COLLECTED = StoredParcel.State.QUEUED, StoredParcel.State.COLLECTED


class Light(models.TextChoices):
    RED = "red"
    GREEN = "green"


def test_every_state_declares_its_moves() -> None:
    with pytest.raises(ValueError, match="every state"):
        Lifecycle(states=Light, moves={Light.RED: frozenset({Light.GREEN})})


def test_moves_lead_to_declared_states() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        Lifecycle(states=Light, moves={Light.RED: frozenset({"blue"}), Light.GREEN: frozenset()})


@pytest.mark.parametrize("model", [Peer, StoredParcel, OutgoingParcel])
def test_every_state_fits_its_column(model: type[StatefulModel]) -> None:
    assert max(len(value) for value in model.lifecycle.states.values) <= 16


@pytest.mark.parametrize("model", [StoredParcel, OutgoingParcel])
def test_unsettled_rows_can_be_settled(model: type[StatefulModel]) -> None:
    for state in model.lifecycle.states.values:
        assert state in model.lifecycle.settled or model.lifecycle.moves[state] & model.lifecycle.settled


@pytest.mark.django_db
def test_row_advances_with_its_changes() -> None:
    parcel = make_stored_parcel()
    now = timezone.now()

    assert parcel.advance(COLLECTED, settled_at=now)

    assert (parcel.state, parcel.settled_at) == (COLLECTED, now)
    parcel.refresh_from_db()
    assert (parcel.state, parcel.settled_at) == (COLLECTED, now)


@pytest.mark.django_db
def test_second_of_two_workers_changes_nothing() -> None:
    parcel = make_stored_parcel()
    stale = StoredParcel.objects.get(pk=parcel.pk)
    parcel.advance(StoredParcel.State.EXPIRED, settled_at=timezone.now())

    assert not stale.advance(COLLECTED, settled_at=None)

    assert stale.state == QUEUED
    assert StoredParcel.objects.get().state == StoredParcel.State.EXPIRED


@pytest.mark.django_db
def test_acknowledgement_of_replaced_octets_changes_nothing() -> None:
    parcel = make_stored_parcel()
    acknowledged = StoredParcel.objects.get(pk=parcel.pk)
    assert parcel.advance(QUEUED, revision=uuid.uuid4(), object_key="parcels/new")

    assert not acknowledged.advance(COLLECTED, settled_at=timezone.now())

    assert StoredParcel.objects.get().state == QUEUED
    assert StoredParcel.objects.get().object_key == "parcels/new"


@pytest.mark.django_db
def test_instance_need_not_come_from_a_query() -> None:
    parcel = make_stored_parcel()

    assert StoredParcel(pk=parcel.pk, revision=parcel.revision, state=QUEUED).advance(COLLECTED)

    assert StoredParcel.objects.get().state == COLLECTED


@pytest.mark.django_db
def test_illegal_move_is_a_mistake_of_ours() -> None:
    parcel = make_outgoing_parcel(state=OutgoingParcel.State.DELIVERED)

    with pytest.raises(ValueError, match="may not go from delivered to pending"):
        parcel.advance(OutgoingParcel.State.PENDING)


@pytest.mark.django_db
def test_deleted_row_does_not_advance() -> None:
    peer = make_peer()
    Peer.objects.all().delete()

    assert not peer.advance(Peer.State.SUSPENDED)


@pytest.mark.django_db
def test_only_rows_settled_long_ago_are_past_their_retention() -> None:
    now = timezone.now()
    old = make_stored_parcel(state=COLLECTED, settled_at=now - timedelta(hours=2))
    make_stored_parcel(state=COLLECTED, settled_at=now)
    make_stored_parcel()

    assert list(StoredParcel.settled_before(now - timedelta(hours=1))) == [old]


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_advances() -> None:
    parcel = make_stored_parcel()
    barrier = Barrier(4)

    def advance(_worker: int) -> bool:
        try:
            instance = StoredParcel.objects.get(pk=parcel.pk)
            barrier.wait()
            return instance.advance(COLLECTED)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(advance, range(4))) == [False, False, False, True]
