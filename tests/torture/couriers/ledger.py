"""Keeps, from many threads, the history of what couriers brought, and holds the gateway's promises against it."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

from tests.torture.couriers.history import Kind, SentCargo, SentParcel, Strike, Violation

BACKLOG = 1_500
_RECENT = 60


class CourierLedger:
    def __init__(self) -> None:
        self.began_at = time.time()
        self.cargoes: list[SentCargo] = []
        self.violations: list[Violation] = []
        self.strikes: list[Strike] = []
        self.parcels: dict[str, SentParcel] = {}
        self.calls = self.failed_calls = self.repeated = 0
        self._lock = threading.RLock()
        self._outstanding: set[SentParcel] = set()
        self._recent: dict[str, deque[SentParcel]] = defaultdict(lambda: deque(maxlen=_RECENT))

    # ------------------------------------------------------------ couriers

    def add_cargo(self, cargo: SentCargo) -> None:
        with self._lock:
            self.cargoes.append(cargo)
            for parcel in cargo.parcels:
                self.parcels[parcel.sha256] = parcel
                parcel.cargoes.append(cargo)

    def begin_call(self, cargoes: Iterable[SentCargo]) -> None:
        now = time.time()
        with self._lock:
            self.calls += 1
            for cargo in cargoes:
                self.repeated += cargo.acknowledged_at is not None
                cargo.log.append((now, "a courier brings it"))

    def acknowledge(self, cargo: SentCargo) -> None:
        now = time.time()
        with self._lock:
            cargo.log.append((now, "it is acknowledged"))
            cargo.acknowledged_at = cargo.acknowledged_at or now
            self._outstanding.update(parcel for parcel in cargo.parcels if not parcel.arrivals)

    def fail_call(self, unanswered: Iterable[SentCargo], reason: str) -> None:
        now = time.time()
        with self._lock:
            self.failed_calls += 1
            for cargo in unanswered:
                cargo.log.append((now, f"it gets no answer: {reason[:200]}"))

    # ------------------------------------------------------------ destinations

    def arrive(self, sha256: str, place: str, at: float | None = None) -> None:
        with self._lock:
            parcel = self.parcels.get(sha256)
            if parcel is None:
                self.violate(f"{place} was given octets ({sha256[:16]}) that are no parcel that was sent")
                return
            if parcel.place != place:
                self.violate(f"it arrived at {place}", parcel)
            parcel.arrivals.append(at or time.time())
            self._outstanding.discard(parcel)
            self._recent[place].append(parcel)

    def find_recent_arrivals(self, place: str) -> list[SentParcel]:
        with self._lock:
            return list(self._recent[place])

    @property
    def outstanding(self) -> list[SentParcel]:
        """The parcels of acknowledged cargo that have not arrived."""
        with self._lock:
            return list(self._outstanding)

    @property
    def is_backlogged(self) -> bool:
        return len(self._outstanding) > BACKLOG

    # ------------------------------------------------------------ strikes

    def strike(self, victim: str, kind: Kind) -> None:
        with self._lock:
            self.strikes.append(Strike(at=time.time(), victim=victim, kind=kind))

    def count_strikes(self, kind: Kind) -> Counter[str]:
        with self._lock:
            return Counter(strike.victim for strike in self.strikes if strike.kind is kind)

    def describe_progress(self) -> str:
        acknowledged = sum(cargo.acknowledged_at is not None for cargo in self.cargoes)
        return f"{acknowledged} cargoes acknowledged, {len(self._outstanding)} parcels of them to arrive"

    # ------------------------------------------------------------ judgement

    def violate(self, message: str, subject: SentParcel | SentCargo | None = None) -> None:
        with self._lock:
            self.violations.append(Violation(message=message, subject=subject))

    def judge_arrivals(self) -> None:
        """To be called once all queues are empty."""
        with self._lock:
            for cargo in self.cargoes:
                if cargo.acknowledged_at is None:
                    self.violate("it was never acknowledged, although it was brought to the end", cargo)
            for parcel in self.parcels.values():
                if not parcel.arrivals:
                    if parcel.is_acknowledged:
                        self.violate("it was in acknowledged cargo, and never arrived", parcel)
                elif len(parcel.arrivals) > (allowed := parcel.count_allowed(self.strikes)):
                    self.violate(f"it arrived {len(parcel.arrivals)} times instead of {allowed} at the most", parcel)

    def count_arrivals(self, *, internet_bound: bool) -> Counter[int]:
        """How many of the parcels that were in one cargo alone arrived how often."""
        with self._lock:
            return Counter(
                len(parcel.arrivals)
                for parcel in self.parcels.values()
                if parcel.is_internet_bound is internet_bound and parcel.is_acknowledged and len(parcel.cargoes) == 1
            )

    @property
    def repeated_parcels(self) -> int:
        """Parcels that were in several cargoes."""
        with self._lock:
            return sum(1 for parcel in self.parcels.values() if len(parcel.cargoes) > 1)

    @property
    def delays(self) -> list[float]:
        """From the first acknowledgement of a parcel's cargo to its first arrival, which may come before it."""
        with self._lock:
            return sorted(
                parcel.arrivals[0] - min(cargo.acknowledged_at or parcel.arrivals[0] for cargo in parcel.cargoes)
                for parcel in self.parcels.values()
                if parcel.arrivals
            )
