import sqlite3
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, InternalError, OperationalError, connection

from gateway.errors import RecordUnavailableError
from gateway.models import SpentAuthorization, record_errors
from tests.unit.gateway.factories import make_peer


@pytest.fixture
def sqlite(transactional_db: None) -> Iterator[None]:
    """A connection of its own, so that what a test does to it ends with the test."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite only")
    connection.close()
    yield
    connection.close()


def set_pragma(pragma: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}")


@pytest.mark.parametrize("error", [InterfaceError, InternalError, OperationalError])
def test_failures_of_the_database_are_translated(error: type[DatabaseError]) -> None:
    with pytest.raises(RecordUnavailableError) as failure, record_errors():
        raise error("gone")

    assert isinstance(failure.value.__cause__, error)


@pytest.mark.parametrize("error", [IntegrityError, ValueError])
def test_other_errors_pass(error: type[Exception]) -> None:
    with pytest.raises(error), record_errors():
        raise error


def test_functions_can_be_decorated() -> None:
    @record_errors()
    def query() -> None:
        raise OperationalError("gone")

    for _ in range(2):
        with pytest.raises(RecordUnavailableError):
            query()


def test_locked_database_is_unavailable(sqlite: None) -> None:
    set_pragma("busy_timeout = 20")
    other = sqlite3.connect(connection.settings_dict["NAME"])
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(RecordUnavailableError), record_errors():
        make_peer()

    other.rollback()
    other.close()
    make_peer()


def test_read_only_database_is_unavailable(sqlite: None) -> None:
    set_pragma("query_only = 1")

    with pytest.raises(RecordUnavailableError), record_errors():
        make_peer()


def test_full_disk_is_unavailable(sqlite: None) -> None:
    set_pragma("max_page_count = 1")

    with pytest.raises(RecordUnavailableError), record_errors():
        SpentAuthorization.objects.bulk_create(
            SpentAuthorization(nonce_sha256=f"{number:064}", expires_at="2030-01-01T00:00Z") for number in range(5000)
        )
