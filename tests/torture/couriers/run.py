"""One run: kills under load, then a wait until the queues have emptied by themselves, and the judgement."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.torture.couriers.deployments import UNSTEADY, Deployment
from tests.torture.couriers.history import Kind, SentCargo
from tests.torture.couriers.ledger import CourierLedger
from tests.torture.couriers.load import register_and_load
from tests.torture.couriers.record import CargoRow
from tests.torture.couriers.victims import Striker
from tests.torture.history import ViolationError

COURIERS = 3
# A killed worker's lease of a cargo takes a minute to run out, and some more after each further death.
DRAIN_SECONDS = 150.0
# What a killed worker had taken from Redis comes back to the queue after this time, and is found to be done.
VISIBILITY_SECONDS = 300.0
_VISIBILITY_MARGIN_SECONDS = 60.0
_POLL_SECONDS = 0.5
_QUEUES = ("crc", "pdc", "maintenance")


@dataclass(kw_only=True)
class CourierRun:
    """Works on a deployment that runs; its ledger holds what the load saw."""

    name: str
    deployment: Deployment
    seed: int
    say: Callable[[str], None]
    awaits_redelivery: bool = False
    """Whether to wait until Redis has given back what killed workers had taken: five minutes."""
    ledger: CourierLedger = field(default_factory=CourierLedger)
    drain_seconds: float = 0.0
    redelivery_seconds: float = 0.0
    leftovers: int = 0
    seconds_of_kills: float = 0.0

    def __post_init__(self) -> None:
        self.striker = Striker(
            victims=self.deployment.victims,
            ledger=self.ledger,
            random=random.Random(f"{self.seed} strikes on {self.name}"),
            say=lambda line: self.say(f"{self.name}: {line}"),
            redis=self.deployment.redis,
        )

    def carry_out(self, kills: int) -> None:
        """Raises ViolationError at the first promise that is found broken."""
        with register_and_load(
            self.deployment, self.ledger, self.seed, couriers=COURIERS, unreliable=[UNSTEADY]
        ) as load:
            began_at = time.monotonic()
            self.striker.carry_out(kills)
            self.seconds_of_kills = time.monotonic() - began_at
            self.striker.revive()
            load.stop_sending()
            self._drain()
            self._await_redelivery()
        self._judge()

    # ------------------------------------------------------------ the end

    def _drain(self) -> None:
        began_at = time.monotonic()
        said_at = began_at
        while left := self._find_work():
            self.drain_seconds = time.monotonic() - began_at
            if self.drain_seconds > DRAIN_SECONDS:
                self._complain(left)
            if time.monotonic() - said_at > 20:
                said_at = time.monotonic()
                self.say(f"{self.name}: after {self.drain_seconds:.0f} s there are {_list(left)}")
            time.sleep(_POLL_SECONDS)
        self.drain_seconds = time.monotonic() - began_at
        self.say(f"{self.name}: everything was empty after {self.drain_seconds:.0f} s")

    def _find_work(self) -> dict[str, int]:
        work = self.deployment.record.count_work() | {"parcels to arrive": len(self.ledger.outstanding)}
        if self.deployment.redis:
            work |= {f"hints in {queue}": int(str(self.deployment.redis.client.llen(queue))) for queue in _QUEUES}
        return {kind: number for kind, number in work.items() if number}

    def _complain(self, left: dict[str, int]) -> None:
        rows = "\n".join(self.deployment.record.describe_work())
        late = self.ledger.outstanding
        self.ledger.violate(
            f"{DRAIN_SECONDS:.0f} s after everything ran again there were {_list(left)}:\n{rows}",
            late[0] if late else None,
        )
        raise ViolationError(self.ledger.violations[-1].message)

    def _await_redelivery(self) -> None:
        redis = self.deployment.redis
        if redis is None or not self.awaits_redelivery:
            return
        began_at = time.monotonic()
        while taken := redis.client.hlen("unacked"):
            self.redelivery_seconds = time.monotonic() - began_at
            if self.redelivery_seconds > VISIBILITY_SECONDS + _VISIBILITY_MARGIN_SECONDS:
                self.ledger.violate(f"after {self.redelivery_seconds:.0f} s Redis keeps {taken} hints of dead workers")
                return
            time.sleep(_POLL_SECONDS)
        self.redelivery_seconds = time.monotonic() - began_at

    # ------------------------------------------------------------ judgement

    def _judge(self) -> None:
        self.ledger.judge_arrivals()
        self._judge_cargoes()
        self._judge_outgoing()
        self.leftovers = self.deployment.record.count_leftovers()
        if self.ledger.violations:
            raise ViolationError(self.ledger.violations[0].message)

    def _judge_cargoes(self) -> None:
        rows = {(row.peer_id, row.sha256): row for row in self.deployment.record.list_cargoes()}
        if len(rows) != len(self.ledger.cargoes):
            self.ledger.violate(f"there are {len(rows)} rows of {len(self.ledger.cargoes)} cargoes")
        for cargo in self.ledger.cargoes:
            row = rows.get((cargo.peer_id, cargo.sha256))
            if row is None:
                self.ledger.violate("there is no row of it", cargo)
            elif (found := _count_row(row)) != (expected := _count_cargo(cargo)):
                self.ledger.violate(f"its row says {found} instead of {expected}: {row}", cargo)

    def _judge_outgoing(self) -> None:
        sent = sum(1 for parcel in self.ledger.parcels.values() if parcel.is_internet_bound)
        if (states := self.deployment.record.count_outgoing()) != {"delivered": sent}:
            self.ledger.violate(f"of {sent} parcels for the Internet the rows say {states}")

    # ------------------------------------------------------------ figures

    def summarize(self) -> list[str]:
        ledger, striker = self.ledger, self.striker
        delays = ledger.delays or [0.0]
        median, late = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        given_back = f"; the last hint came back {self.redelivery_seconds:.0f} s later" * self.awaits_redelivery
        starting = f"{striker.kills_while_starting} of these while starting"
        failed = f"{ledger.failed_calls} of {ledger.calls} calls failed"
        return [
            f"kills                {striker.kills} in {self.seconds_of_kills:.0f} s, {starting}",
            f"killed               {_list(ledger.count_strikes(Kind.KILL))}",
            f"flushes of Redis     {striker.flushes}",
            f"outages              {_list(ledger.count_strikes(Kind.OUTAGE))}",
            f"slowest start        {striker.slowest_start:.1f} s",
            f"cargoes              {len(ledger.cargoes)}, brought again {ledger.repeated} times; {failed}",
            f"collections cut      {ledger.count_strikes(Kind.CUT).total()}",
            f"for the Internet     {_describe_arrivals(ledger.count_arrivals(internet_bound=True))}",
            f"for devices          {_describe_arrivals(ledger.count_arrivals(internet_bound=False))}",
            f"in several cargoes   {ledger.repeated_parcels} other parcels",
            f"from ACK to arrival  median {median:.1f} s, 99% {late:.1f} s, longest {delays[-1]:.1f} s",
            f"drained              {self.drain_seconds:.0f} s after everything ran again{given_back}",
            f"objects left over    {self.leftovers}",
            f"violations           {len(ledger.violations)}",
        ]

    def describe_violations(self) -> Iterator[str]:
        for violation in self.ledger.violations[:5]:
            yield from violation.describe(self.ledger.began_at, self.ledger.strikes)


def _count_row(row: CargoRow) -> tuple[str, int, int, int, int]:
    return row.state, row.items_done, row.parcels, row.collection_acks, row.skipped_items


def _count_cargo(cargo: SentCargo) -> tuple[str, int, int, int, int]:
    return "unwrapped", cargo.items, len(cargo.parcels), cargo.collection_acks, cargo.bad_items


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


def _describe_arrivals(counts: Counter[int]) -> str:
    times = ", ".join(f"{number} {times} times" for times, number in sorted(counts.items()) if times != 1)
    return f"{counts.total()} parcels, {counts[1]} arrived once" + (f", {times}" if times else "")
