"""What a gateway keeps, seen from outside it: the rows of its database and the files of its object store."""

import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.functional.gateway_process import GatewayProcess


@dataclass(frozen=True, kw_only=True)
class State:
    """How many rows every table has, and which files there are."""

    rows: Mapping[str, int]
    objects: tuple[Path, ...]


def state_of(process: GatewayProcess) -> State:
    with closing(_open(process)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        # But for the upkeep's own rows, which come at times of its choice.
        rows = {name: _count(database, name) for name in names if name != "gateway_maintenancejob"}
    return State(rows=rows, objects=tuple(process.objects))


def rows_of(process: GatewayProcess, table: str, **values: object) -> list[dict[str, Any]]:
    """The rows of a table whose columns have these values."""
    condition = " AND ".join(f"{name} = ?" for name in values) or "1"
    with closing(_open(process)) as database:
        database.row_factory = sqlite3.Row
        query = f"SELECT * FROM gateway_{table} WHERE {condition}"  # noqa: S608 - names of our own
        return [dict(row) for row in database.execute(query, tuple(values.values()))]


def add_row(process: GatewayProcess, table: str, **values: object) -> uuid.UUID:
    """Add a row with an id of its own, to a table whose rows take hours of failures, or what is rare, to come about."""
    row_id = uuid.uuid4()
    columns = {"id": row_id, **values}
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    with closing(sqlite3.connect(process.database_path, timeout=30)) as database, database:
        query = f"INSERT INTO gateway_{table} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own
        database.execute(query, tuple(_as_stored(value) for value in columns.values()))
    return row_id


def _as_stored(value: object) -> object:
    """Return a value as Django keeps it in SQLite."""
    match value:
        case uuid.UUID():
            return value.hex
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        case _:
            return value


def _open(process: GatewayProcess) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{process.database_path}?mode=ro", uri=True)


def _count(database: sqlite3.Connection, table: str) -> int:
    (count,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608 - as above
    return int(count)
