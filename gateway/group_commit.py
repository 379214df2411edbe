"""Group commit: requests that write at the same time share one transaction, and so one flush to the disk.

The theory: every caller puts its work in a list, then waits for its turn. Whoever gets the turn does all the work in
the list, in one transaction; when the turn comes to the others, their work is done and committed. Nobody waits for
company: a caller alone is served at once. And threads of one process never meet at the database's own lock, where
SQLite would make them sleep. New rows of one model are inserted by one statement for the whole group.

A group in which any work fails is rolled back, and each piece is then done in a transaction of its own, so that
what is wrong with one does no harm to the others. So work must be safe to do twice. Where no transaction can even
begin (the database is locked, or gone), all who wait fail together: one after another, they would wait for minutes.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import Model

Result = TypeVar("Result")


class _Work(Generic[Result]):
    """One caller's piece of work, and what came of it."""

    def __init__(self, write: Callable[[], Result], rows: Sequence[Model]) -> None:
        self.write = write
        self.rows = rows
        self.is_done = False
        self.error: BaseException | None = None
        self.result: Result

    def settle(self, error: BaseException | None = None) -> None:
        self.error, self.is_done = error, True


class GroupCommit:
    """Runs database work of many threads in common transactions."""

    def __init__(self) -> None:
        self._list_lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Work[Any]] = []

    def run(self, write: Callable[[], Result], *rows: Model) -> Result:
        """Insert the rows and call `write` in a transaction, and return its result once that is committed.

        Raises what the database or `write` raises. A caller in a transaction of its own keeps to that one.
        """
        work = _Work(write, rows)
        if connection.in_atomic_block:
            _write([work])
            return work.result
        with self._list_lock:
            self._waiting.append(work)
        with self._turn:
            if not work.is_done and (failure := _do(self._take())):
                for another in self._take():
                    another.settle(failure)
        if work.error is not None:
            raise work.error
        return work.result

    def _take(self) -> list[_Work[Any]]:
        with self._list_lock:
            taken, self._waiting = self._waiting, []
        return taken


def _do(group: list[_Work[Any]]) -> BaseException | None:
    """Do the work of a group together or, should that fail, one by one.

    Returns the error that kept a transaction from beginning, if one did.
    """
    has_begun, error = _do_together(group)
    if error is None or not has_begun or len(group) == 1:
        for work in group:
            work.settle(error)
        return None if has_begun else error
    for number, work in enumerate(group):
        has_begun, error = _do_together([work])
        if not has_begun:
            for rest in group[number:]:
                rest.settle(error)
            return error
        work.settle(error)
    return None


def _do_together(group: list[_Work[Any]]) -> tuple[bool, BaseException | None]:
    """Whether a transaction began, and the error if the work was not committed."""
    has_begun = False
    try:
        with transaction.atomic():
            has_begun = True
            _write(group)
    except BaseException as error:  # noqa: BLE001 - raised again by the threads that the work belongs to
        return has_begun, error
    return True, None


def _write(group: list[_Work[Any]]) -> None:
    rows_by_model: dict[type[Model], list[Model]] = defaultdict(list)
    for work in group:
        for row in work.rows:
            rows_by_model[type(row)].append(row)
    for model, rows in rows_by_model.items():
        model._default_manager.bulk_create(rows)
    for work in group:
        work.result = work.write()


_GROUP: Final = GroupCommit()
commit_together: Final = _GROUP.run
