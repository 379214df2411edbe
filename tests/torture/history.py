"""What was sent, answered, delivered and acknowledged, as the far sides of the gateway saw it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

INTERNET = ""
"""The private gateway of parcels that are bound for the Internet."""

ACCEPTED = 202


class ViolationError(AssertionError):
    """The gateway broke a promise."""


@dataclass(kw_only=True, eq=False)
class Attempt:
    """One request that carried a version of a parcel. Without an answer, `status` is None."""

    version: "Version"
    began_at: float
    ended_at: float | None = None
    status: int | None = None


@dataclass(kw_only=True, eq=False)
class Version:
    """One sequence of octets that was sent under a parcel's id."""

    parcel: "Parcel"
    number: int
    sha256: str
    size: int
    deliveries: int = 0
    last_delivered_at: float = 0.0
    # When an acknowledgement was known to have been acted on, and the earliest time at which the gateway can have
    # read the octets that it was for: what was sent again after that may come again.
    settled_at: float | None = None
    settled_read_at: float = 0.0


@dataclass(kw_only=True, eq=False)
class Parcel:
    """One parcel id of one sender. A thread of its own sends its versions, one after the other."""

    id: str
    id_sha256: str
    peer_id: str
    sending_peer_id: str = ""
    """The private gateway that sends it over PoWeb, or nothing if it comes over PoHTTP."""
    versions: list[Version] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)

    @property
    def is_internet_bound(self) -> bool:
        return self.peer_id == INTERNET

    @property
    def first_accepted(self) -> int | None:
        """The place of the first attempt that was answered 202."""
        return next((place for place, attempt in enumerate(self.attempts) if attempt.status == ACCEPTED), None)

    @property
    def last_accepted(self) -> int | None:
        """The place of the last attempt that was answered 202."""
        places = [place for place, attempt in enumerate(self.attempts) if attempt.status == ACCEPTED]
        return places[-1] if places else None

    @property
    def current(self) -> frozenset[Version]:
        """The versions that the gateway may hold: the newest that was accepted, and those sent after it."""
        return frozenset(attempt.version for attempt in self.attempts[self.last_accepted or 0 :])

    @property
    def queueable(self) -> frozenset[Version]:
        """The versions that an Internet-bound parcel may consist of: the first one that was taken in stays."""
        first = self.first_accepted
        return frozenset(attempt.version for attempt in self.attempts[: None if first is None else first + 1])

    @property
    def is_collected(self) -> bool:
        """Whether what was accepted last, or something newer, was delivered after it was sent."""
        if self.last_accepted is None:
            return True
        began_at = self.attempts[self.last_accepted].began_at
        return any(version.deliveries and version.last_delivered_at >= began_at for version in self.current)

    def was_sent_since(self, version: Version, moment: float) -> bool:
        return any(
            attempt.version is version and (attempt.ended_at is None or attempt.ended_at >= moment)
            for attempt in self.attempts
        )

    def note(self, text: str) -> None:
        self.log.append((time.monotonic(), text))


@dataclass(kw_only=True, eq=False)
class Connection:
    """One collection."""

    name: str
    peer_id: str
    is_keep_alive: bool
    opened_at: float
    established_at: float | None = None
    ended_at: float | None = None
    close_code: int | None = None
    has_left: bool = False
    """Whether the collector cut it, and then had whatever error."""
    error: str = ""
    # Since when the gateway may have read what it sends next: the connection's opening, or its last acknowledgement.
    reads_since: float = 0.0
    in_hand: Version | None = None
    acknowledged: list[tuple[Version, float, float]] = field(default_factory=list)
    """Versions whose acknowledgement is not known to have been acted on; when it was sent; `reads_since` before."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    message: str
    parcel: Parcel | None = None

    def describe(self, started_at: float) -> Iterable[str]:
        yield f"VIOLATION: {self.message}"
        if self.parcel is not None:
            yield f"  parcel {self.parcel.id}, for {self.parcel.peer_id or 'the Internet'}:"
            yield from (f"  {at - started_at:10.3f} s  {text}" for at, text in self.parcel.log)
