"""Measures what it costs that Redis is flushed while it holds hints and the worker is busy: a delay, and no more."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from awala.clients.cogrpc import CogRPCClient
from tests.torture.couriers.cargo_plan import CargoPlan, Shipment
from tests.torture.couriers.deployments import Deployment
from tests.torture.couriers.history import Kind
from tests.torture.couriers.ledger import CourierLedger
from tests.torture.couriers.load import register_and_load
from tests.torture.history import ViolationError

CARGOES = 60
CARGOES_IN_CALL = 10
DELAY_SECONDS = 60.0
# Whatever it takes on a busy machine, so that a delay is measured too where it is too long.
_PATIENCE_SECONDS = 180.0
_LOOK_SECONDS = 0.01


@dataclass(kw_only=True)
class FlushCase:
    """Works on a deployment of roles apart that runs undisturbed otherwise."""

    deployment: Deployment
    seed: int
    say: Callable[[str], None]
    ledger: CourierLedger = field(default_factory=CourierLedger)
    delays: list[float] = field(default_factory=list)

    def carry_out(self, rounds: int) -> None:
        """Raises ViolationError where something arrives late or not at all."""
        with register_and_load(self.deployment, self.ledger, self.seed, couriers=0, unreliable=()) as load:
            rng = random.Random(f"{self.seed} flushes")
            plan = CargoPlan(
                name="flushed",
                gateways=load.gateways,
                internet_addresses=list(self.deployment.endpoints),
                ledger=self.ledger,
                random=rng,
            )
            for _ in range(rounds):
                self._flush_once([plan.make() for _ in range(CARGOES)], share=rng.uniform(0, 0.5))
        self.ledger.judge_arrivals()
        if self.ledger.violations:
            raise ViolationError(self.ledger.violations[0].message)

    def _flush_once(self, shipments: list[Shipment], share: float) -> None:
        redis = self.deployment.redis
        assert redis is not None
        self._bring(shipments)
        expected = len(self.ledger.outstanding)
        self._wait(lambda: len(self.ledger.outstanding) <= expected * (1 - share), "the first parcels")
        left = len(self.ledger.outstanding)
        lost = {queue: redis.client.llen(queue) for queue in ("crc", "pdc")}
        self.ledger.strike("redis", Kind.FLUSH)
        redis.flush()
        flushed_at = time.monotonic()
        self._wait(lambda: not self.ledger.outstanding, "the rest")
        delay = time.monotonic() - flushed_at
        self.delays.append(delay)
        self.say(
            f"flush: {left} of {expected} parcels were on their way, and {lost['crc']} + {lost['pdc']} hints lost;"
            f" all had arrived {delay:.1f} s later"
        )
        if delay > DELAY_SECONDS:
            self.ledger.violate(f"a flush of Redis cost {delay:.1f} s")

    def _bring(self, shipments: list[Shipment]) -> None:
        for start in range(0, len(shipments), CARGOES_IN_CALL):
            calls = {str(number): each for number, each in enumerate(shipments[start : start + CARGOES_IN_CALL])}
            self.ledger.begin_call(each.cargo for each in calls.values())
            with CogRPCClient(self.deployment.cogrpc.cogrpc_address, tls=False, timeout=60) as client:
                for delivery_id in client.deliver_cargo((key, each.octets) for key, each in calls.items()):
                    self.ledger.acknowledge(calls[delivery_id].cargo)

    def _wait(self, is_met: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_met():
            if time.monotonic() > deadline:
                late = self.ledger.outstanding
                self.ledger.violate(f"{what} did not arrive within {_PATIENCE_SECONDS:.0f} s", late[0])
                raise ViolationError(self.ledger.violations[-1].message)
            time.sleep(_LOOK_SECONDS)
