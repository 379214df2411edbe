"""Kills what it is given at random instants, several at once now and then, and starts each again after a while."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.functional.gateway_process import LOG_TAIL, GatewayProcess
from tests.functional.redis_server import RedisServer
from tests.torture.couriers.history import Kind
from tests.torture.couriers.ledger import CourierLedger
from tests.torture.history import ViolationError

READY_SECONDS = 60.0
STRIKES_WHILE_STARTING = 0.1
START_UP_SECONDS = 2.0
WITH_COMPANY = 0.1
FLUSHES = 0.5
_TICK_SECONDS = 0.01
_SAY_EVERY_SECONDS = 20.0


class Server(Protocol):
    """What can be killed, and started again."""

    @property
    def is_running(self) -> bool: ...
    @property
    def is_ready(self) -> bool: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...
    def describe(self) -> str: ...


class ProcessServer:
    """A role of the gateway."""

    def __init__(self, process: GatewayProcess) -> None:
        self.process = process

    @property
    def is_running(self) -> bool:
        return self.process.is_running

    @property
    def is_ready(self) -> bool:
        return self.process.is_ready

    def start(self) -> None:
        self.process.start(wait=False)

    def kill(self) -> None:
        self.process.kill()

    def describe(self) -> str:
        return self.process.log[-LOG_TAIL:]


class Broker:
    """Redis."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis

    @property
    def is_running(self) -> bool:
        return self.redis.is_running

    @property
    def is_ready(self) -> bool:
        return self.redis.is_running

    def start(self) -> None:
        self.redis.start()

    def kill(self) -> None:
        self.redis.kill()

    def describe(self) -> str:
        return "Redis"


@dataclass(kw_only=True, eq=False)
class Victim:
    """Lives for a random time once it is ready, and is gone for another; both have their longest."""

    name: str
    server: Server
    longest_life: float
    longest_absence: float = 1.5
    started_at: float = 0.0
    strike_at: float | None = None
    back_at: float | None = None


@dataclass(kw_only=True)
class Striker:
    """Takes over servers that run; what ends without having been killed is a violation."""

    victims: Sequence[Victim]
    ledger: CourierLedger
    random: random.Random
    say: Callable[[str], None]
    redis: RedisServer | None = None
    kills: int = 0
    kills_while_starting: int = 0
    flushes: int = 0
    slowest_start: float = 0.0
    _said_at: float = field(default_factory=time.monotonic)

    def carry_out(self, kills: int) -> None:
        """Raises ViolationError once a promise is found broken."""
        while self.kills < kills:
            self._tick(kills)
        for victim in self.victims:
            victim.strike_at = None

    def revive(self) -> None:
        """Return once everything runs."""
        for victim in self.victims:
            if not victim.server.is_running:
                self._start(victim)
        for victim in self.victims:
            while not victim.server.is_ready:
                self._check(victim)
                time.sleep(_TICK_SECONDS)

    def _tick(self, kills: int) -> None:
        for victim in self.victims:
            now = time.monotonic()
            if victim.back_at is not None:
                if now >= victim.back_at:
                    self._start(victim)
            elif victim.strike_at is None:
                self._await(victim)
            elif now >= victim.strike_at and self.kills < kills:
                self._strike(victim)
        if time.monotonic() - self._said_at > _SAY_EVERY_SECONDS:
            self._said_at = time.monotonic()
            self.say(f"{self.kills} kills; {self.ledger.describe_progress()}")
        if self.ledger.violations:
            raise ViolationError(self.ledger.violations[0].message)
        time.sleep(_TICK_SECONDS)

    def _await(self, victim: Victim) -> None:
        """Draw its end once it is ready."""
        if victim.server.is_ready:
            now = time.monotonic()
            self.slowest_start = max(self.slowest_start, now - victim.started_at if victim.started_at else 0)
            victim.strike_at = now + self.random.uniform(0, victim.longest_life)
        else:
            self._check(victim)

    def _check(self, victim: Victim) -> None:
        if not victim.server.is_running:
            self.ledger.violate(f"{victim.name} ended by itself:\n{victim.server.describe()}")
        elif time.monotonic() - victim.started_at > READY_SECONDS:
            self.ledger.violate(f"{victim.name} was not ready after {READY_SECONDS} s:\n{victim.server.describe()}")
        if self.ledger.violations:
            raise ViolationError(self.ledger.violations[0].message)

    def _start(self, victim: Victim) -> None:
        victim.server.start()
        victim.back_at, victim.started_at = None, time.monotonic()
        is_hasty = self.random.random() < STRIKES_WHILE_STARTING
        victim.strike_at = victim.started_at + self.random.uniform(0, START_UP_SECONDS) if is_hasty else None

    def _strike(self, victim: Victim) -> None:
        if isinstance(victim.server, Broker) and self.random.random() < FLUSHES:
            self.ledger.strike(victim.name, Kind.FLUSH)
            victim.server.redis.flush()
            self.flushes += 1
            victim.strike_at = time.monotonic() + self.random.uniform(0, victim.longest_life)
            return
        self._kill(victim)
        if self.random.random() < WITH_COMPANY:
            for other in self.victims:
                if other.back_at is None and self.random.random() < 0.6:
                    self._kill(other)

    def _kill(self, victim: Victim) -> None:
        if not victim.server.is_running:
            self._check(victim)
        self.kills += 1
        self.kills_while_starting += not victim.server.is_ready
        self.ledger.strike(victim.name, Kind.KILL)
        victim.server.kill()
        victim.strike_at = None
        victim.back_at = time.monotonic() + self.random.uniform(0, victim.longest_absence)
