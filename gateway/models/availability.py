"""Tells failures of the database itself from everything else that may go wrong with a query."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, InternalError, OperationalError

from gateway.errors import RecordUnavailableError


@contextmanager
def record_errors() -> Iterator[None]:
    """Raise `RecordUnavailableError` where the database is locked, full, read-only, gone or too slow.

    Also a decorator. It belongs around a whole transaction: inside one, Django has not rolled back yet.
    """
    try:
        yield
    except (InterfaceError, InternalError, OperationalError) as exc:
        raise RecordUnavailableError("the database failed") from exc
