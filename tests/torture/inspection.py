"""Looks at what a gateway that is not running has on its disk: rows, objects, and whether they agree."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.history import Parcel
from tests.torture.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """Files without a row. They harm nobody and wait for a sweep."""

    objects: int
    temporary_files: int


@dataclass(kw_only=True)
class Inspector:
    """Inspects a data folder again and again; objects are immutable, so each is read only once."""

    data_dir: Path
    ledger: Ledger
    _known_outgoing: set[str] = field(default_factory=set)
    _known_registrations: int = 0

    def inspect(self) -> None:
        with closing(self._open()) as database:
            self._inspect_stored(database)
            self._inspect_outgoing(database)
            self._inspect_registrations(database)

    def inspect_structure(self) -> None:
        """Let SQLite check its own file."""
        with closing(self._open()) as database:
            (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                self.ledger.violate(f"the database is damaged: {verdict}")

    def count_queued(self) -> int:
        with closing(self._open()) as database:
            query = "SELECT count(*) FROM gateway_storedparcel WHERE state = 'queued'"
            return int(database.execute(query).fetchone()[0])

    def find_leftovers(self) -> Leftovers:
        objects = self.data_dir / "objects"
        with closing(self._open()) as database:
            named = {
                key
                for table, state in (("storedparcel", "queued"), ("outgoingparcel", "pending"))
                for (key,) in database.execute(
                    f"SELECT object_key FROM gateway_{table} WHERE state = ?",  # noqa: S608 - names of our own
                    (state,),
                )
            }
        files = {str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file()}
        temporary = {name for name in files if name.startswith("tmp/")}
        return Leftovers(objects=len(files - temporary - named), temporary_files=len(temporary))

    def _open(self) -> sqlite3.Connection:
        # Reading rebuilds the index of the write-ahead log in shared memory, as any process that opens the database
        # first does; the database and its log stay as the kill left them.
        return sqlite3.connect(f"file:{self.data_dir / 'gateway.sqlite3'}?mode=ro", uri=True)

    def _inspect_stored(self, database: sqlite3.Connection) -> None:
        query = "SELECT peer_id, parcel_id_sha256, object_key, size FROM gateway_storedparcel WHERE state = 'queued'"
        queued = set()
        for peer_id, id_sha256, key, size in database.execute(query):
            queued.add((peer_id, id_sha256))
            self._check_object("stored", key, size)
        for parcel in self.ledger.waiting:
            if (parcel.peer_id, parcel.id_sha256) not in queued:
                self.ledger.violate("it was accepted and not collected, but is not queued any more", parcel)

    def _inspect_outgoing(self, database: sqlite3.Connection) -> None:
        query = "SELECT peer_id, parcel_id_sha256, object_key, size FROM gateway_outgoingparcel WHERE state = 'pending'"
        rows: dict[tuple[str, str], str] = {}
        for peer_id, id_sha256, key, size in database.execute(query):
            self._check_object("outgoing", key, size)
            if rows.setdefault((peer_id, id_sha256), key) != key:
                self.ledger.violate(f"the outgoing parcel {id_sha256} was queued twice")
        recorded = set(database.execute("SELECT peer_id, parcel_id_sha256 FROM gateway_parcelrecord"))
        for parcel in self.ledger.taken_in_from_peers:
            place = (parcel.sending_peer_id, parcel.id_sha256)
            if (place in rows) != (place in recorded):
                self.ledger.violate("its outgoing row and its record do not go together", parcel)
            if place in rows:
                self._check_outgoing_octets(parcel, rows[place])
            elif parcel.first_accepted is not None:
                self.ledger.violate("it was accepted for the Internet, and there is no row of it", parcel)

    def _check_outgoing_octets(self, parcel: Parcel, key: str) -> None:
        path = self.data_dir / "objects" / key
        if key in self._known_outgoing or not path.exists():
            return
        self._known_outgoing.add(key)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 not in {version.sha256 for version in parcel.queueable}:
            self.ledger.violate("what was queued for the Internet is not what was sent first", parcel)

    def _check_object(self, kind: str, key: str, size: int) -> None:
        path = self.data_dir / "objects" / key
        if not path.is_file():
            self.ledger.violate(f"the {kind} row with the object {key} has none")
        elif path.stat().st_size != size:
            self.ledger.violate(f"the object {key} has {path.stat().st_size} octets instead of {size}")

    def _inspect_registrations(self, database: sqlite3.Connection) -> None:
        answered = self.ledger.registrations[self._known_registrations :]
        self._known_registrations += len(answered)
        peers = {node_id for (node_id,) in database.execute("SELECT node_id FROM gateway_peer")}
        keys = set(database.execute("SELECT peer_id, key_id FROM gateway_storedkey WHERE kind = 'session'"))
        for node_id, key_id in answered:
            if node_id not in peers or (node_id, key_id) not in keys:
                self.ledger.violate(f"a registration of {node_id} was answered, and is not on record")
