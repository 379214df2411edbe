"""How everything that is accepted is kept: the objects first, then the rows that name them, in one transaction.

What survives a crash at each step: before the rows are committed, at most objects that no row names, which a sweep
removes; after it, everything.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from django.db import IntegrityError
from django.db.models import Model

from gateway.errors import RecordChangedError, StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import record_errors
from gateway.storage import delete_object, store_object, store_objects

# Each attempt finds the rows over which the one before it failed.
_ATTEMPTS = 5

Result = TypeVar("Result")


def keep_durably(
    object_key: str, octets: bytes, write_more: Callable[[], Result], *rows: Model, otherwise: Callable[[], Result]
) -> Result:
    """Make the object durable, then the new rows and what `write_more` writes, in one transaction.

    Where one of these rows exists already, none is written but by `otherwise`. Leaves no object if that fails too.
    """
    store_object(object_key, octets)
    return _commit((object_key,), [(write_more, rows), (otherwise, ())])


def keep_all_durably(objects: Mapping[str, bytes], write: Callable[[], Result]) -> Result:
    """Make the objects durable, by key, then what `write` writes, in one transaction.

    `write` looks for the rows that exist already, and is called again where another writer was faster. Leaves no
    object if it fails.
    """
    try:
        store_objects(objects)
    except BaseException:
        _discard_all(objects)
        raise
    try:
        return _commit(objects, [(write, ())] * _ATTEMPTS)
    except IntegrityError as error:
        raise RecordChangedError("other writers of the same rows were always faster") from error


def discard_object(object_key: str) -> None:
    """Delete an object that no row names any more."""
    with suppress(StorageUnavailableError):  # Then it is garbage, for a sweep to collect.
        delete_object(object_key)


def _commit(object_keys: Collection[str], attempts: Sequence[tuple[Callable[[], Result], tuple[Model, ...]]]) -> Result:
    """Do the first of the attempts that meets no row of another writer."""
    may_be_committed = False

    def write(write_rows: Callable[[], Result]) -> Result:
        nonlocal may_be_committed
        result = write_rows()
        may_be_committed = True
        return result

    *hopeful, (write_last, last_rows) = attempts
    try:
        with record_errors():
            for write_rows, rows in hopeful:
                with suppress(IntegrityError, RecordChangedError):
                    return commit_together(partial(write, write_rows), *rows)
            return commit_together(partial(write, write_last), *last_rows)
    except BaseException:
        # A commit that failed may yet have been carried out, and a row must never lack its object.
        if not may_be_committed:
            _discard_all(object_keys)
        raise


def _discard_all(object_keys: Collection[str]) -> None:
    for object_key in object_keys:
        discard_object(object_key)
