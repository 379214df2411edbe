"""What a gateway that runs has on record about the work of its queues, in PostgreSQL or SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_OBJECT_ROWS = (
    ("storedparcel", ("queued",)),
    ("outgoingparcel", ("pending", "held")),
    ("incomingcargo", ("pending", "invalid")),
)


@dataclass(frozen=True, kw_only=True)
class CargoRow:
    peer_id: str
    sha256: str
    state: str
    items_done: int
    parcels: int
    collection_acks: int
    skipped_items: int
    attempts: int
    last_error: str


@dataclass(frozen=True, kw_only=True)
class GatewayRecord:
    """Names of tables and columns are our own, so queries are put together."""

    data_dir: Path
    database_url: str = ""
    """Of PostgreSQL; without one it is SQLite."""

    def count_work(self) -> dict[str, int]:
        """How much there is to be done of each kind."""
        return {
            "cargoes pending": self._count("incomingcargo", "pending"),
            "parcels for the Internet pending": self._count("outgoingparcel", "pending"),
            "parcels for devices queued": self._count("storedparcel", "queued"),
        }

    def describe_work(self) -> list[str]:
        """The rows that are still to be done, and when."""
        lines: list[str] = []
        for table in ("incomingcargo", "outgoingparcel"):
            query = (
                "SELECT id, attempts, received_at, leased_until, next_attempt_at, last_error"  # noqa: S608
                f" FROM gateway_{table} WHERE state = 'pending' ORDER BY next_attempt_at"
            )
            lines.extend(f"  {table} {', '.join(map(str, row))}" for row in self._select(query)[:20])
        lines.extend(f"  destination {', '.join(map(str, row))}" for row in self._select(_DESTINATIONS))
        return lines

    def list_cargoes(self) -> list[CargoRow]:
        columns = tuple(CargoRow.__dataclass_fields__)
        rows = self._select(f"SELECT {', '.join(columns)} FROM gateway_incomingcargo")  # noqa: S608
        return [CargoRow(**dict(zip(columns, row, strict=True))) for row in rows]

    def count_outgoing(self) -> dict[str, int]:
        """How many parcels for the Internet there are in each state."""
        return dict(self._select("SELECT state, count(*) FROM gateway_outgoingparcel GROUP BY state"))

    def find_destinations(self) -> list[tuple[Any, ...]]:
        return self._select(_DESTINATIONS)

    def count_leftovers(self) -> int:
        """Objects that no row needs; they harm nobody and wait for upkeep."""
        needed = set[str]()
        for table, states in _OBJECT_ROWS:
            listed = ", ".join(f"'{state}'" for state in states)
            query = f"SELECT object_key FROM gateway_{table} WHERE state IN ({listed})"  # noqa: S608
            needed.update(key for (key,) in self._select(query))
        objects = self.data_dir / "objects"
        files = {str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file()}
        return len({name for name in files if not name.startswith("tmp/")} - needed)

    def _count(self, table: str, state: str) -> int:
        query = f"SELECT count(*) FROM gateway_{table} WHERE state = '{state}'"  # noqa: S608
        return int(self._select(query)[0][0])

    def _select(self, query: str) -> list[tuple[Any, ...]]:
        with self._open() as connection:
            return list(connection.execute(query).fetchall())

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if self.database_url:
            with psycopg.connect(self.database_url) as connection:
                yield connection
        else:
            path = f"file:{self.data_dir / 'gateway.sqlite3'}?mode=ro"
            with closing(sqlite3.connect(path, uri=True, timeout=30)) as database:
                yield database


_DESTINATIONS = (
    "SELECT internet_address, state, consecutive_failures, failing_since, next_attempt_at, last_error"
    " FROM gateway_destination"
)
