"""Keeps the history of a run, from many threads, and finds in it what contradicts the gateway's promises."""

import hashlib
import threading
import time
from collections.abc import Iterable

from awala.registration import Registration
from tests.torture.history import ACCEPTED, Attempt, Connection, Parcel, Version, Violation

# An acknowledgement on its way when the gateway is asked to end may arrive too late to be read.
TRANSIT_SECONDS = 1.0


class Ledger:
    def __init__(self) -> None:
        self.started_at = time.monotonic()
        self.parcels: list[Parcel] = []
        self.violations: list[Violation] = []
        self.registrations: list[tuple[str, str]] = []
        """The node id and the session key's id of each registration that was answered."""
        self.accepted = self.unanswered = self.unavailable = self.deliveries = self.duplicates = self.overrides = 0
        self._versions: dict[str, Version] = {}
        self._waiting: set[Parcel] = set()
        self._connections: set[Connection] = set()
        self._is_draining = False
        self._lock = threading.RLock()

    # ------------------------------------------------------------ intake

    def add_parcel(self, parcel: Parcel) -> None:
        with self._lock:
            self.parcels.append(parcel)

    def add_version(self, parcel: Parcel, octets: bytes) -> Version:
        sha256 = hashlib.sha256(octets).hexdigest()
        with self._lock:
            version = Version(parcel=parcel, number=len(parcel.versions) + 1, sha256=sha256, size=len(octets))
            parcel.versions.append(version)
            self._versions[sha256] = version
            return version

    def begin(self, version: Version) -> Attempt:
        with self._lock:
            attempt = Attempt(version=version, began_at=time.monotonic())
            version.parcel.attempts.append(attempt)
            version.parcel.note(f"version {version.number} ({version.size} octets) is sent")
            return attempt

    def end(self, attempt: Attempt, status: int | None) -> None:
        parcel = attempt.version.parcel
        with self._lock:
            attempt.ended_at, attempt.status = time.monotonic(), status
            parcel.note(f"version {attempt.version.number} got {status or 'no answer'}")
            if status == ACCEPTED:
                self.accepted += 1
                self.overrides += attempt.version.number > 1
                if not parcel.is_internet_bound and not parcel.is_collected:
                    self._waiting.add(parcel)
            elif status is None:
                self.unanswered += 1
            elif status == 503:
                self.unavailable += 1
            else:
                self.violate(f"a valid parcel was answered {status}", parcel)

    def add_registration(self, registration: Registration) -> None:
        assert registration.session_key is not None
        with self._lock:
            self.registrations.append((registration.node_certificate.node_id, registration.session_key.key_id.hex()))

    # ------------------------------------------------------------ collection

    def open_connection(self, name: str, peer_id: str, *, is_keep_alive: bool) -> Connection:
        now = time.monotonic()
        connection = Connection(name=name, peer_id=peer_id, is_keep_alive=is_keep_alive, opened_at=now, reads_since=now)
        with self._lock:
            self._connections.add(connection)
        return connection

    def establish(self, connection: Connection) -> None:
        connection.established_at = time.monotonic()

    def deliver(self, connection: Connection, octets: bytes) -> None:
        """Note what arrived; that it did means that what was acknowledged before it on the connection is settled."""
        sha256 = hashlib.sha256(octets).hexdigest()
        now = time.monotonic()
        with self._lock:
            self._settle(connection)
            version = self._versions.get(sha256)
            connection.in_hand = version
            self.deliveries += 1
            if version is None:
                self.violate(f"{connection.name} was sent {len(octets)} octets that nobody had sent")
                return
            parcel = version.parcel
            parcel.note(f"version {version.number} reaches {connection.name}")
            self._judge_delivery(connection, version)
            self.duplicates += version.deliveries > 0
            version.deliveries += 1
            version.last_delivered_at = now
            if parcel.is_collected:
                self._waiting.discard(parcel)

    def acknowledge(self, connection: Connection) -> None:
        """Note that the acknowledgement of what is in hand is about to be sent."""
        version, now = connection.in_hand, time.monotonic()
        if version is None:
            return
        with self._lock:
            version.parcel.note(f"version {version.number} is acknowledged by {connection.name}")
            connection.acknowledged.append((version, now, connection.reads_since))
            connection.reads_since, connection.in_hand = now, None

    def end_connection(self, connection: Connection, close_code: int | None) -> None:
        """Note how the connection ended: the server's code, or None where the collector left by itself."""
        with self._lock:
            connection.ended_at, connection.close_code = time.monotonic(), close_code
            if close_code == 1000:
                self._settle(connection)
                if connection.is_keep_alive:
                    self.violate(f"{connection.name}: a keep-alive collection was closed with 1000")
            elif close_code not in {None, 1006, 4000}:
                self.violate(f"{connection.name} was closed with {close_code}")

    def _settle(self, connection: Connection) -> None:
        now = time.monotonic()
        for version, _, read_since in connection.acknowledged:
            version.settled_at, version.settled_read_at = now, read_since
            version.parcel.note(f"version {version.number} is settled: the acknowledgement was acted on")
        connection.acknowledged.clear()

    def _judge_delivery(self, connection: Connection, version: Version) -> None:
        parcel = version.parcel
        if connection.peer_id != parcel.peer_id:
            self.violate(f"{connection.name} was sent a parcel for another private gateway", parcel)
        if (
            version.settled_at is not None
            and version.settled_at < connection.opened_at
            and not parcel.was_sent_since(version, version.settled_read_at)
        ):
            self.violate(f"version {version.number} came back after its acknowledgement", parcel)
        if self._is_draining and version not in parcel.current:
            self.violate(f"version {version.number} was collected, although a newer one was accepted", parcel)

    # ------------------------------------------------------------ the gateway's life

    def forget_connections(self) -> None:
        """The gateway was killed: whether it acted on the last acknowledgements will never be known."""
        with self._lock:
            self._connections.clear()

    def stop_cleanly(self, asked_at: float) -> Iterable[Connection]:
        """The gateway ended because it was asked to; returns the collections that were open when it was."""
        with self._lock:
            was_open = [
                connection
                for connection in self._connections
                if connection.ended_at is None or connection.ended_at >= asked_at
            ]
            for connection in self._connections:
                connection.acknowledged = [
                    item for item in connection.acknowledged if item[1] < asked_at - TRANSIT_SECONDS
                ]
                self._settle(connection)
            self._connections.clear()
            return was_open

    def begin_to_drain(self) -> None:
        """From here on nothing is sent any more, so the gateway must know which version is the newest."""
        self._is_draining = True

    @property
    def waiting(self) -> list[Parcel]:
        """The parcels for private gateways that were accepted and not collected since."""
        with self._lock:
            return list(self._waiting)

    @property
    def is_backlogged(self) -> bool:
        return len(self._waiting) > 150

    @property
    def taken_in_from_peers(self) -> list[Parcel]:
        """The parcels for the Internet that were accepted."""
        with self._lock:
            return [parcel for parcel in self.parcels if parcel.is_internet_bound]

    def judge_collected(self) -> None:
        """After everything was collected: each accepted parcel must be among it."""
        for parcel in self.parcels:
            if not parcel.is_internet_bound and not parcel.is_collected:
                self.violate("it was accepted and never collected", parcel)

    def violate(self, message: str, parcel: Parcel | None = None) -> None:
        with self._lock:
            self.violations.append(Violation(message=message, parcel=parcel))
