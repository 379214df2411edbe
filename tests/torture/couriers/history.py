"""What couriers brought, where it was bound, what arrived, and what was killed meanwhile, by `time.time()`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What was done to something that takes part."""

    KILL = "killed"
    FLUSH = "flushed"
    OUTAGE = "gone down"
    """An endpoint that cuts its connections may have taken a parcel whose answer is lost."""
    CUT = "cut off"
    """A collection that ended because the gateway did."""


@dataclass(frozen=True, kw_only=True)
class Strike:
    at: float
    victim: str
    kind: Kind


@dataclass(kw_only=True, eq=False)
class SentCargo:
    """A cargo, delivered until it is acknowledged, and sometimes again; what is in it by numbers."""

    number: str
    sha256: str
    peer_id: str
    parcels: "list[SentParcel]"
    collection_acks: int
    bad_items: int
    acknowledged_at: float | None = None
    log: list[tuple[float, str]] = field(default_factory=list)

    @property
    def items(self) -> int:
        return len(self.parcels) + self.collection_acks + self.bad_items

    def describe(self, since: float) -> Iterator[str]:
        yield f"  cargo {self.number} ({self.sha256[:16]}, {self.items} items):"
        yield from (f"  {at - since:10.3f} s  {text}" for at, text in self.log)


@dataclass(kw_only=True, eq=False)
class SentParcel:
    """One parcel, in one cargo or several of the same private gateway."""

    id: str
    sender_id: str
    recipient_id: str
    sha256: str
    place: str
    """The node id of a private gateway, or an Internet address."""
    is_internet_bound: bool
    cargoes: list[SentCargo] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    @property
    def is_acknowledged(self) -> bool:
        return any(cargo.acknowledged_at is not None for cargo in self.cargoes)

    def count_allowed(self, strikes: "list[Strike]") -> int:
        """How often it may arrive at most: once, and once more per strike that can have had that effect.

        If it is for a private gateway, as often as it was sent, since it takes the place of its namesake.
        """
        since, until = self.cargoes[0].log[0][0], self.arrivals[-1]
        harmful = sum(1 for strike in strikes if since <= strike.at <= until and self._is_harmed_by(strike))
        return harmful + (1 if self.is_internet_bound else len(self.cargoes))

    def _is_harmed_by(self, strike: Strike) -> bool:
        if strike.kind is Kind.KILL:
            return strike.victim in ({"worker", "gateway"} if self.is_internet_bound else {"gateway"})
        return strike.victim == self.place and strike.kind is Kind.OUTAGE

    def describe(self, since: float) -> Iterator[str]:
        yield f"  parcel {self.id} ({self.sha256[:16]}), for {self.place}"
        for cargo in self.cargoes:
            yield from cargo.describe(since)
        yield from (f"  {at - since:10.3f} s  it arrived" for at in self.arrivals)


@dataclass(frozen=True, kw_only=True)
class Violation:
    message: str
    subject: SentParcel | SentCargo | None = None

    def describe(self, ledger_began_at: float, strikes: list[Strike]) -> Iterator[str]:
        yield f"VIOLATION: {self.message}"
        if self.subject is None:
            return
        yield from self.subject.describe(ledger_began_at)
        log = (self.subject.cargoes[0] if isinstance(self.subject, SentParcel) else self.subject).log
        since = log[0][0] if log else ledger_began_at
        yield "  what was struck since:"
        for strike in strikes:
            if strike.at >= since - 1:
                yield f"  {strike.at - ledger_began_at:10.3f} s  {strike.victim} was {strike.kind}"
