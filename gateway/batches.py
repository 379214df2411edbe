"""Goes through many rows a few at a time, so that no transaction holds the database for long.

Every batch is read, changed and committed before the next one is read, and what is changed is no longer asked for.
So a crash leaves what was committed, and the next run finds the rest.
"""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet

from gateway.group_commit import commit_together

CheckTime = Callable[[], None]
"""Called between batches: raises once the work has had its time. What is left is for the next run."""

Row = TypeVar("Row", bound=Model)

# A deletion is one statement; a move is one for each row.
MAX_DELETED_ROWS: Final = 500
MAX_MOVED_ROWS: Final = 100
# Whoever waits for SQLite's lock looks for it now and then: back to back, batches might keep it from them.
PAUSE_SECONDS: Final = 0.01


def delete_in_batches(rows: "QuerySet[Any]", check_time: CheckTime) -> int:
    """Delete the rows, each unless it has left the query when its turn comes; returns their number."""

    def delete(primary_keys: list[Any]) -> int:
        # One statement, since nothing refers to the rows: a row that has changed meanwhile is not deleted.
        return commit_together(lambda: rows.filter(pk__in=primary_keys).delete()[0])

    return _repeat(lambda: list(rows.values_list("pk", flat=True)[:MAX_DELETED_ROWS]), delete, check_time)


def move_in_batches(rows: "QuerySet[Row]", move: Callable[[list[Row]], int], check_time: CheckTime) -> int:
    """Let `move` take the rows out of the query and return how many it took; returns the number of all."""
    return _repeat(lambda: list(rows[:MAX_MOVED_ROWS]), move, check_time)


def _repeat(read: Callable[[], list[Any]], change: Callable[[list[Any]], int], check_time: CheckTime) -> int:
    """Until nothing is read, or what is read cannot be changed."""
    total = 0
    while batch := read():
        changed = change(batch)
        total += changed
        if not changed:
            break
        check_time()
        time.sleep(PAUSE_SECONDS)
    return total
