import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from gateway.errors import StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import Event, IncomingCargo, OutgoingParcel, StoredParcel
from gateway.services import expire_messages
from gateway.services.expire_messages import expire_invalid_cargo, expire_outgoing_parcels, expire_stored_parcels
from gateway.storage import store_object
from tests.unit.gateway.factories import make_incoming_cargo, make_outgoing_parcel, make_stored_parcel

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PAST = {"expires_at": NOW - SECOND}

Row = StoredParcel | OutgoingParcel | IncomingCargo
Expire = Callable[..., str | None]

# What each job is for, and a row in the state that it looks for.
JOBS: list[tuple[Expire, Callable[..., Row], str]] = [
    (expire_stored_parcels, make_stored_parcel, "queued"),
    (expire_outgoing_parcels, make_outgoing_parcel, "pending"),
    (expire_outgoing_parcels, make_outgoing_parcel, "held"),
    (expire_invalid_cargo, make_incoming_cargo, "invalid"),
]
NOT_TO_EXPIRE: list[tuple[Expire, Callable[..., Row], str]] = [
    *((expire_stored_parcels, make_stored_parcel, state) for state in StoredParcel.State.values if state != "queued"),
    *(
        (expire_outgoing_parcels, make_outgoing_parcel, state)
        for state in OutgoingParcel.State.values
        if state not in {"pending", "held"}
    ),
    *((expire_invalid_cargo, make_incoming_cargo, state) for state in IncomingCargo.State.values if state != "invalid"),
]

pytestmark = pytest.mark.django_db


def check_time() -> None:
    pass


def keep(make: Callable[..., Row], **values: Any) -> Row:
    """A row and its object."""
    row = make(**values)
    store_object(row.object_key, b"octets")
    return row


def has_object(row: Row, object_store: Path) -> bool:
    return (object_store / row.object_key).exists()


def state_of(row: Row) -> str:
    row.refresh_from_db()
    return str(row.state)


@pytest.mark.parametrize(("expire", "make", "state"), JOBS)
def test_what_is_past_its_expiry_expires(
    object_store: Path, expire: Expire, make: Callable[..., Row], state: str
) -> None:
    row = keep(make, state=state, **PAST)

    outcome = expire(NOW, check_time)

    assert outcome is not None
    assert outcome.startswith("1 ")
    assert (state_of(row), row.settled_at) == ("expired", NOW)
    assert not has_object(row, object_store)


@pytest.mark.parametrize(("expire", "make", "state"), JOBS)
def test_what_has_not_expired_stays(object_store: Path, expire: Expire, make: Callable[..., Row], state: str) -> None:
    row = keep(make, state=state, expires_at=NOW)

    assert expire(NOW, check_time) is None

    assert state_of(row) == state
    assert has_object(row, object_store)


@pytest.mark.parametrize(("expire", "make", "state"), NOT_TO_EXPIRE)
def test_other_states_stay(object_store: Path, expire: Expire, make: Callable[..., Row], state: str) -> None:
    """Above all cargo that waits to be unwrapped: it was accepted."""
    row = keep(make, state=state, **PAST)

    assert expire(NOW, check_time) is None

    assert state_of(row) == state
    assert has_object(row, object_store)


@pytest.mark.parametrize(("expire", "make", "state"), JOBS)
def test_second_run_finds_nothing(expire: Expire, make: Callable[..., Row], state: str) -> None:
    row = keep(make, state=state, **PAST)
    expire(NOW, check_time)

    assert expire(NOW + SECOND, check_time) is None
    row.refresh_from_db()
    assert row.settled_at == NOW


def test_invalid_cargo_is_kept_for_a_week_at_most(object_store: Path) -> None:
    row = keep(make_incoming_cargo, state="invalid", settled_at=NOW, expires_at=NOW + timedelta(days=180))

    assert expire_invalid_cargo(NOW + timedelta(days=7), check_time) is None
    assert has_object(row, object_store)

    assert expire_invalid_cargo(NOW + timedelta(days=7) + SECOND, check_time) == "1 cargoes expired"
    assert state_of(row) == "expired"
    assert not has_object(row, object_store)
    assert not Event.objects.exists()


def test_parcel_that_is_being_delivered_does_not_expire(object_store: Path) -> None:
    leased = {"lease_id": uuid.uuid4(), "leased_until": NOW + SECOND}
    row = keep(make_outgoing_parcel, **leased, **PAST)

    assert expire_outgoing_parcels(NOW, check_time) is None
    assert has_object(row, object_store)

    assert expire_outgoing_parcels(NOW + SECOND, check_time) is not None
    assert state_of(row) == "expired"


def test_parcel_that_a_worker_has_just_taken_does_not_expire(
    object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = keep(make_outgoing_parcel, **PAST)

    def lease_first(write: Callable[[], Any]) -> Any:
        OutgoingParcel.objects.update(lease_id=uuid.uuid4(), leased_until=NOW + SECOND)
        return commit_together(write)

    monkeypatch.setattr(expire_messages, "commit_together", lease_first)

    assert expire_outgoing_parcels(NOW, check_time) is None
    assert state_of(row) == "pending"
    assert has_object(row, object_store)


def test_parcel_that_was_just_replaced_does_not_expire(object_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = keep(make_stored_parcel, **PAST)
    new_key = StoredParcel.make_object_key(str(row.peer_id))
    store_object(new_key, b"newer")

    def replace_first(write: Callable[[], Any]) -> Any:
        StoredParcel.objects.update(revision=uuid.uuid4(), object_key=new_key, expires_at=NOW + SECOND)
        return commit_together(write)

    monkeypatch.setattr(expire_messages, "commit_together", replace_first)

    assert expire_stored_parcels(NOW, check_time) is None
    assert state_of(row) == "queued"
    assert has_object(row, object_store)


@pytest.mark.parametrize(("expire", "make", "state"), JOBS)
def test_crash_leaves_rows_that_name_nothing_needed(
    monkeypatch: pytest.MonkeyPatch, expire: Expire, make: Callable[..., Row], state: str
) -> None:
    """The rows are settled before any object goes: a row that waits never lacks its object."""
    rows = [keep(make, state=state, **PAST) for _ in range(3)]

    def crash(_key: str) -> None:
        raise SystemExit

    monkeypatch.setattr(expire_messages, "delete_object", crash)
    with pytest.raises(SystemExit):
        expire(NOW, check_time)
    monkeypatch.undo()

    assert [state_of(row) for row in rows] == ["expired"] * 3
    assert expire(NOW, check_time) is None


def test_store_that_is_down_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(make_stored_parcel, **PAST)

    def fail(_key: str) -> None:
        raise StorageUnavailableError("the object store failed")

    monkeypatch.setattr(expire_messages, "delete_object", fail)
    with pytest.raises(StorageUnavailableError):
        expire_stored_parcels(NOW, check_time)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("expire", "make", "state"), JOBS)
def test_two_at_once_expire_each_row_once(
    object_store: Path, expire: Expire, make: Callable[..., Row], state: str
) -> None:
    rows = [keep(make, state=state, **PAST) for _ in range(150)]
    together = threading.Barrier(2)

    def run() -> int:
        together.wait(5)
        try:
            outcome = expire(NOW, check_time)
        finally:
            connection.close()
        return int(outcome.split()[0]) if outcome else 0

    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(run) for _ in range(2)]
        assert sum(run.result(30) for run in runs) == len(rows)

    assert {state_of(row) for row in rows} == {"expired"}
    assert not any(has_object(row, object_store) for row in rows)
