import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage, default_storage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from gateway.errors import ObjectMissingError, StorageUnavailableError
from gateway.models import IncomingCargo, OutgoingParcel, StoredParcel
from gateway.services import remove_garbage as module
from gateway.services.remove_garbage import remove_orphaned_objects, remove_temporary_files
from gateway.storage import load_object, store_object
from tests.unit.gateway.factories import (
    make_incoming_cargo,
    make_node_id,
    make_outgoing_parcel,
    make_stored_parcel,
)

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
PEER_ID = make_node_id()

Row = StoredParcel | OutgoingParcel | IncomingCargo

KEYS = [
    StoredParcel.make_object_key(PEER_ID),
    OutgoingParcel.make_object_key(),
    IncomingCargo.make_object_key(),
    "health/probe",
]
NEEDED: list[tuple[Callable[..., Row], str]] = [
    (make_stored_parcel, "queued"),
    (make_outgoing_parcel, "pending"),
    (make_outgoing_parcel, "held"),
    (make_incoming_cargo, "pending"),
    (make_incoming_cargo, "invalid"),
]
SETTLED: list[tuple[Callable[..., Row], str]] = [
    *((make_stored_parcel, state) for state in ("collected", "expired", "discarded")),
    *((make_outgoing_parcel, state) for state in ("delivered", "rejected", "expired", "discarded")),
    *((make_incoming_cargo, state) for state in ("unwrapped", "expired")),
]

pytestmark = pytest.mark.django_db


def check_time() -> None:
    pass


def exists(key: str) -> bool:
    try:
        return bool(load_object(key))
    except ObjectMissingError:
        return False


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.split("/")[0])
def test_object_without_a_row_goes_after_a_day(key: str) -> None:
    store_object(key, b"octets")
    now = timezone.now()

    assert remove_orphaned_objects(now + DAY - MINUTE, check_time) is None
    assert exists(key)

    assert remove_orphaned_objects(now + DAY + MINUTE, check_time) == "1 objects removed"
    assert not exists(key)
    assert remove_orphaned_objects(now + DAY + MINUTE, check_time) is None


@pytest.mark.parametrize(("make", "state"), NEEDED)
def test_object_that_a_row_needs_stays(make: Callable[..., Row], state: str) -> None:
    row = make(state=state)
    store_object(row.object_key, b"octets")

    assert remove_orphaned_objects(timezone.now() + 30 * DAY, check_time) is None
    assert exists(row.object_key)


@pytest.mark.parametrize(("make", "state"), SETTLED)
def test_object_of_a_settled_row_goes(make: Callable[..., Row], state: str) -> None:
    row = make(state=state)
    store_object(row.object_key, b"octets")

    assert remove_orphaned_objects(timezone.now() + 2 * DAY, check_time) == "1 objects removed"
    assert not exists(row.object_key)


def test_other_peers_and_objects_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 3)
    needed, garbage = [], []
    for _ in range(3):
        peer_id = make_node_id()
        rows = [make_stored_parcel(peer_id=peer_id) for _ in range(5)]
        needed += [row.object_key for row in rows]
        garbage += [StoredParcel.make_object_key(peer_id) for _ in range(5)]
    for key in needed + garbage:
        store_object(key, b"octets")

    assert remove_orphaned_objects(timezone.now() + 2 * DAY, check_time) == "15 objects removed"

    assert all(exists(key) for key in needed)
    assert not any(exists(key) for key in garbage)


def test_empty_store_has_no_garbage() -> None:
    assert remove_orphaned_objects(timezone.now(), check_time) is None


def test_time_is_looked_at_while_objects_go() -> None:
    for _ in range(3):
        store_object(OutgoingParcel.make_object_key(), b"octets")
    checks: list[None] = []

    remove_orphaned_objects(timezone.now() + 2 * DAY, lambda: checks.append(None))

    assert len(checks) > 3


def test_crash_in_the_middle_leaves_the_rest_for_the_next_run() -> None:
    keys = [OutgoingParcel.make_object_key() for _ in range(3)]
    for key in keys:
        store_object(key, b"octets")
    later = timezone.now() + 2 * DAY

    def crash_soon() -> None:
        if sum(map(exists, keys)) == 1:
            raise SystemExit

    with pytest.raises(SystemExit):
        remove_orphaned_objects(later, crash_soon)

    assert remove_orphaned_objects(later, check_time) == "1 objects removed"


def test_two_at_once_do_not_disturb_each_other(object_store: Path) -> None:
    for _ in range(200):
        store_object(f"health/{make_node_id()}", b"octets")
    later = timezone.now() + 2 * DAY
    together = threading.Barrier(2)

    def run() -> None:
        together.wait(5)
        # The rows are none of this test's business: its threads do not see its transaction.
        module._remove_orphans("health", StoredParcel.objects.none(), later, check_time)  # noqa: SLF001
        connection.close()

    with ThreadPoolExecutor(2) as threads:
        for ended in [threads.submit(run) for _ in range(2)]:
            ended.result(30)

    assert not any((object_store / "health").iterdir())


def test_other_stores_are_cleaned_as_well(settings: Settings) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    assert isinstance(default_storage, InMemoryStorage)
    row = make_stored_parcel()
    for key in (*KEYS, row.object_key):
        store_object(key, b"octets")

    assert remove_orphaned_objects(timezone.now() + 2 * DAY, check_time) == "4 objects removed"
    assert exists(row.object_key)
    assert remove_temporary_files(timezone.now(), check_time) is None


def test_store_that_is_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(os, "scandir", fail)

    with pytest.raises(StorageUnavailableError):
        remove_orphaned_objects(timezone.now(), check_time)


def test_stale_temporary_files_go(object_store: Path) -> None:
    store_object("health/probe", b"octets")
    stale, fresh = object_store / "tmp" / "stale", object_store / "tmp" / "fresh"
    for path in (stale, fresh):
        path.touch()
    two_hours_ago = datetime.now(tz=UTC).timestamp() - 7_200
    os.utime(stale, (two_hours_ago, two_hours_ago))

    assert remove_temporary_files(timezone.now(), check_time) == "1 files removed"
    assert (stale.exists(), fresh.exists()) == (False, True)
    assert remove_temporary_files(timezone.now(), check_time) is None
