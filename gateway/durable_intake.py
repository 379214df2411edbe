"""How everything that is accepted is kept: the object first, then the rows that name it, in one transaction.

What survives a crash at each step: before the rows are committed, at most an object that no row names, which a sweep
removes; after it, everything.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from django.db import IntegrityError
from django.db.models import Model

from gateway.errors import StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import record_errors
from gateway.storage import delete_object, store_object

Result = TypeVar("Result")


def keep_durably(
    object_key: str, octets: bytes, write_more: Callable[[], Result], *rows: Model, otherwise: Callable[[], Result]
) -> Result:
    """Make the object durable, then the new rows and what `write_more` writes, in one transaction.

    Where one of these rows exists already, none is written but by `otherwise`. Leaves no object if that fails too.
    """
    store_object(object_key, octets)
    may_be_committed = False

    def write(write_rows: Callable[[], Result]) -> Result:
        nonlocal may_be_committed
        result = write_rows()
        may_be_committed = True
        return result

    try:
        with record_errors():
            try:
                return commit_together(lambda: write(write_more), *rows)
            except IntegrityError:
                return commit_together(lambda: write(otherwise))
    except BaseException:
        # A commit that failed may yet have been carried out, and a row must never lack its object.
        if not may_be_committed:
            discard_object(object_key)
        raise


def discard_object(object_key: str) -> None:
    """Delete an object that no row names any more."""
    with suppress(StorageUnavailableError):  # Then it is garbage, for a sweep to collect.
        delete_object(object_key)
