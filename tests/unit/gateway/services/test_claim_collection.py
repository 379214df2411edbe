import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.db.models import Model

from awala.pki.certificate import Certificate
from awala.session_key import generate_session_key
from gateway.errors import CollectionRefusedError, CollectionUnderWayError, RecordUnavailableError
from gateway.group_commit import commit_together
from gateway.models import CargoCollection
from gateway.services import claim_collection as module
from gateway.services.authorize_collection import CollectionAuthorization
from gateway.services.claim_collection import claim_collection, fulfil_collection, prolong_claim, release_claim
from tests import factories
from tests.factories import NOW
from tests.unit.gateway.factories import make_node_id

pytestmark = pytest.mark.django_db(transaction=True)

CERTIFICATE: Certificate = factories.gateway_certificate()
A_MINUTE = timedelta(seconds=60)


def authorization(peer_id: str | None = None, cca: str = "0" * 64) -> CollectionAuthorization:
    return CollectionAuthorization(
        peer_id=peer_id or "0" + "1" * 64,
        cca_id_sha256=cca,
        expires_at=NOW + timedelta(days=1),
        sender_certificate=CERTIFICATE,
        delivery_authorization=CERTIFICATE,
        session_key=generate_session_key()[0],
    )


def fulfil(claim: CargoCollection) -> None:
    fulfil_collection(claim, NOW, cargoes=3, acknowledged_cargoes=2, octets=1_000)


def test_claim_is_on_record() -> None:
    claim_collection(authorization(), NOW)

    row = CargoCollection.objects.get()
    assert row.state == CargoCollection.State.CLAIMED
    assert (row.claimed_at, row.claimed_until, row.expires_at) == (NOW, NOW + A_MINUTE, NOW + timedelta(days=1))


def test_claimed_cca_is_refused() -> None:
    claim_collection(authorization(), NOW)

    with pytest.raises(CollectionUnderWayError, match="another call"):
        claim_collection(authorization(), NOW + timedelta(seconds=59))


def test_fulfilled_cca_is_refused_for_good() -> None:
    fulfil(claim_collection(authorization(), NOW))

    with pytest.raises(CollectionRefusedError, match="already fulfilled"):
        claim_collection(authorization(), NOW + timedelta(hours=1))


def test_ids_of_ccas_are_those_of_their_senders() -> None:
    fulfil(claim_collection(authorization(), NOW))

    claim_collection(authorization(make_node_id()), NOW)
    claim_collection(authorization(cca="1" * 64), NOW)

    assert CargoCollection.objects.count() == 3


def test_counts_are_kept() -> None:
    fulfil(claim_collection(authorization(), NOW))

    row = CargoCollection.objects.get()
    assert (row.state, row.fulfilled_at) == (CargoCollection.State.FULFILLED, NOW)
    assert (row.cargoes, row.acknowledged_cargoes, row.octets) == (3, 2, 1_000)


def test_claim_that_ran_out_is_taken_over() -> None:
    dead = claim_collection(authorization(), NOW)
    later = NOW + A_MINUTE

    claim = claim_collection(authorization(), later)

    assert claim.claim_id != dead.claim_id
    row = CargoCollection.objects.get()
    assert (row.claimed_at, row.claimed_until) == (later, later + A_MINUTE)
    with pytest.raises(CollectionUnderWayError, match="taken over"):
        prolong_claim(dead, later)
    with pytest.raises(CollectionUnderWayError, match="taken over"):
        fulfil(dead)
    release_claim(dead, later)
    assert CargoCollection.objects.get().claimed_until == later + A_MINUTE
    fulfil(claim)


def test_prolonged_claim_is_not_taken_over() -> None:
    claim = claim_collection(authorization(), NOW)
    prolong_claim(claim, NOW + timedelta(seconds=30))

    with pytest.raises(CollectionUnderWayError):
        claim_collection(authorization(), NOW + timedelta(seconds=89))

    claim_collection(authorization(), NOW + timedelta(seconds=90))


def test_released_claim_is_taken_over_at_once() -> None:
    release_claim(claim_collection(authorization(), NOW), NOW)

    claim_collection(authorization(), NOW)


def test_released_claim_of_a_fulfilled_collection_stays_fulfilled() -> None:
    claim = claim_collection(authorization(), NOW)
    seen_before = CargoCollection.objects.get()
    fulfil(claim)

    release_claim(seen_before, NOW)

    assert CargoCollection.objects.get().state == CargoCollection.State.FULFILLED


def test_of_many_calls_at_once_one_gets_the_claim() -> None:
    outcomes: list[bool] = []
    barrier = threading.Barrier(8)

    def call() -> None:
        barrier.wait()
        try:
            claim_collection(authorization(), NOW)
            outcomes.append(True)
        except CollectionUnderWayError:
            outcomes.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [False] * 7 + [True]


def test_race_for_a_claim_that_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    claim_collection(authorization(), NOW)
    monkeypatch.setattr(CargoCollection, "advance", lambda *_args, **_kwargs: False)

    with pytest.raises(CollectionUnderWayError):
        claim_collection(authorization(), NOW + A_MINUTE)


def test_row_that_is_gone_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It kept ours from being inserted, and upkeep removed it before we looked."""

    def fail(*_: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(module, "commit_together", fail)

    with pytest.raises(CollectionUnderWayError):
        claim_collection(authorization(), NOW)


def test_claim_whose_commit_seemed_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit_and_fail(write: Callable[[], object], *rows: Model) -> None:
        commit_together(write, *rows)
        raise IntegrityError

    monkeypatch.setattr(module, "commit_together", commit_and_fail)

    fulfil(claim_collection(authorization(), NOW))

    assert CargoCollection.objects.get().state == CargoCollection.State.FULFILLED


@pytest.mark.parametrize("call", [prolong_claim, release_claim, lambda claim, _: fulfil(claim)])
def test_failing_record(call: Callable[[CargoCollection, object], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> bool:
        raise OperationalError

    claim = claim_collection(authorization(), NOW)
    monkeypatch.setattr(CargoCollection, "advance", fail)

    with pytest.raises(RecordUnavailableError):
        call(claim, NOW)
