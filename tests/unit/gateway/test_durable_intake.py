from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError
from django.db.backends.sqlite3.base import DatabaseWrapper

from gateway import durable_intake
from gateway.durable_intake import keep_all_durably
from gateway.errors import ObjectMissingError, RecordChangedError, RecordUnavailableError, StorageUnavailableError
from gateway.models import Event
from gateway.storage import load_object, store_object

pytestmark = pytest.mark.django_db(transaction=True)

OBJECTS = {"parcels/1": b"one", "parcels/2": b"two"}


def write() -> str:
    Event.objects.create(kind=Event.Kind.PARCEL_STORED)
    return "written"


def assert_no_object_is_left() -> None:
    for key in OBJECTS:
        with pytest.raises(ObjectMissingError):
            load_object(key)


def test_objects_are_there_before_the_rows() -> None:
    def look() -> list[bytes]:
        return [load_object(key) for key in OBJECTS]

    assert keep_all_durably(OBJECTS, look) == [b"one", b"two"]


def test_result_is_that_of_what_is_committed() -> None:
    assert keep_all_durably(OBJECTS, write) == "written"
    assert Event.objects.count() == 1


def test_faster_writers_let_it_try_again() -> None:
    failures = [IntegrityError(), RecordChangedError()]

    def write_late() -> str:
        result = write()
        if failures:
            raise failures.pop()
        return result

    assert keep_all_durably(OBJECTS, write_late) == "written"
    assert Event.objects.count() == 1


def test_rows_that_always_fail_leave_no_object() -> None:
    def fail() -> None:
        raise IntegrityError

    with pytest.raises(RecordChangedError):
        keep_all_durably(OBJECTS, fail)

    assert_no_object_is_left()


def test_failing_database_leaves_no_object() -> None:
    def fail() -> None:
        raise OperationalError("database is locked")

    with pytest.raises(RecordUnavailableError):
        keep_all_durably(OBJECTS, fail)

    assert_no_object_is_left()


def test_failing_commit_leaves_the_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows may be there nevertheless, and a row must never lack its object."""

    def fail(_self: DatabaseWrapper) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(DatabaseWrapper, "_commit", fail)
    with pytest.raises(RecordUnavailableError):
        keep_all_durably(OBJECTS, write)
    monkeypatch.undo()

    assert [load_object(key) for key in OBJECTS] == [b"one", b"two"]


def test_failing_storage_leaves_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def store_some(_objects: object) -> None:
        store_object("parcels/1", b"one")
        raise StorageUnavailableError

    monkeypatch.setattr(durable_intake, "store_objects", store_some)

    with pytest.raises(StorageUnavailableError):
        keep_all_durably(OBJECTS, write)

    assert_no_object_is_left()
    assert not Event.objects.exists()


def test_failing_storage_touches_nothing_else(object_store: Path) -> None:
    (object_store / "tmp").rmdir()

    with pytest.raises(StorageUnavailableError):
        keep_all_durably(OBJECTS, write)
