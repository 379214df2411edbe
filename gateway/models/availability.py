"""Transactions that tell failures of the database itself from everything else that may go wrong with a query."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction

from gateway.database_url import SQLITE_BUSY_SECONDS
from gateway.errors import RecordUnavailableError

# SQLite lets one connection write at a time, and the others do not queue for it but look again after ever longer
# naps, so under load an unlucky one waits for a second or more. Threads of this process therefore queue here.
# Between processes SQLite's own way remains.
_turn_to_write = threading.RLock()


@contextmanager
def record_errors() -> Iterator[None]:
    """Raise `RecordUnavailableError` where the database is locked, full, read-only, gone or too slow.

    Also a decorator. It belongs around a whole transaction: inside one, Django has not rolled back yet.
    """
    try:
        yield
    except (InterfaceError, InternalError, OperationalError) as exc:
        raise RecordUnavailableError("the database failed") from exc


@contextmanager
def record_transaction() -> Iterator[None]:
    """A transaction that writes: all of it is on stable storage once the block has ended, or none of it.

    Raises `RecordUnavailableError`. Nothing slow belongs inside: other writers of the process wait.
    """
    with record_errors(), _queue_to_write(), transaction.atomic():
        yield


@contextmanager
def _queue_to_write() -> Iterator[None]:
    if connection.vendor != "sqlite":
        yield
        return
    if not _turn_to_write.acquire(timeout=SQLITE_BUSY_SECONDS):
        raise RecordUnavailableError("the database is busy")
    try:
        yield
    finally:
        _turn_to_write.release()
