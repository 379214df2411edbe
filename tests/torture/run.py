"""One run: kills and clean stops of a gateway under load, and at the end everything that is left is collected."""

import json
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from gateway.storage import DurableFileSystemStorage
from tests.functional.collector import CLOSE_UPON_COMPLETION, Collector
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway
from tests.torture.history import Connection, ViolationError
from tests.torture.inspection import Inspector, Leftovers
from tests.torture.ledger import Ledger
from tests.torture.load import Load

READY_SECONDS = 5.0
STOP_SECONDS = 10.0
KILLS_WHILE_STARTING = 0.1
START_UP_SECONDS = 0.8
# By then the gateway has verified the answer to its challenge.
HANDSHAKE_SECONDS = 0.5
# Longer than any request should take that had reached the gateway when it was asked to end.
REQUEST_SECONDS = 2.0


@dataclass(kw_only=True)
class Run:
    """Counts what it did; its ledger holds what the load saw."""

    data_dir: Path
    seed: int
    say: Callable[[str], None]
    kills: int = 0
    kills_while_starting: int = 0
    clean_stops: int = 0
    slowest_restart: float = 0.0
    slowest_stop: float = 0.0
    cut_by_clean_stops: int = 0
    leftovers: Leftovers | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed} run")
        self._process = GatewayProcess(self.data_dir, environment={"LOG_LEVEL": "warning"})
        self._inspector = Inspector(data_dir=self.data_dir, ledger=self.ledger)

    def carry_out(self, *, kills: int, clean_stops: int, seconds_between: float) -> None:
        """Raises ViolationError at the first promise that is found broken."""
        self._process.start()
        load = Load(process=self._process, ledger=self.ledger, seed=self.seed)
        try:
            while self.kills < kills:
                self._kill(load, seconds_between)
                if self.kills % 10 == 0 or self.kills >= kills:
                    self.say(f"{self.kills} kills; {self._describe_progress()}")
            for _ in range(clean_stops):
                self._stop_under_load(load, seconds_between)
            if clean_stops:
                self.say(f"{self.clean_stops} clean stops; {self._describe_progress()}")
            load.finish()
            self._collect_rest(load.gateways)
        finally:
            load.gate.finish()
            self._process.close()

    def summarize(self) -> list[str]:
        ledger, left = self.ledger, self.leftovers
        return [
            f"kills                {self.kills}, of these {self.kills_while_starting} while starting",
            f"clean stops          {self.clean_stops}, the slowest in {self.slowest_stop:.2f} s",
            f"cut by clean stops   {self.cut_by_clean_stops} requests",
            f"slowest restart      {self.slowest_restart:.2f} s",
            f"parcels accepted     {ledger.accepted}, of these {ledger.overrides} newer versions",
            f"requests unanswered  {ledger.unanswered}, and {ledger.unavailable} answered 503",
            f"registrations        {len(ledger.registrations)}",
            f"parcels collected    {ledger.deliveries}, of these {ledger.duplicates} duplicates",
            f"objects left over    {left.objects if left else '?'}",
            f"temporary files left {left.temporary_files if left else '?'}",
            f"violations           {len(ledger.violations)}",
        ]

    # ------------------------------------------------------------ kills

    def _kill(self, load: Load, seconds_between: float) -> None:
        load.gate.open()
        time.sleep(self._random.uniform(0, seconds_between))
        self._process.kill()
        self.kills += 1
        load.hold_back()
        self.ledger.forget_connections()
        self._inspect()
        while self._random.random() < KILLS_WHILE_STARTING:
            self._process.start(wait=False)
            time.sleep(self._random.uniform(0, START_UP_SECONDS))
            self._process.kill()
            self.kills += 1
            self.kills_while_starting += 1
            self._inspect()
        self._restart()

    def _restart(self) -> None:
        began_at = time.monotonic()
        self._process.start()
        seconds = time.monotonic() - began_at
        self.slowest_restart = max(self.slowest_restart, seconds)
        if seconds > READY_SECONDS:
            self.ledger.violate(f"the gateway took {seconds:.1f} s to be ready again")

    def _inspect(self) -> None:
        self._inspector.inspect()
        self._check()

    def _check(self) -> None:
        if self.ledger.violations:
            raise ViolationError(self.ledger.violations[0].message)

    def _describe_progress(self) -> str:
        ledger = self.ledger
        return f"{ledger.accepted} parcels accepted, {ledger.deliveries} collected, {len(ledger.waiting)} wait"

    # ------------------------------------------------------------ clean stops

    def _stop_under_load(self, load: Load, seconds_between: float) -> None:
        load.gate.open()
        # Long enough for collections to be under way.
        time.sleep(HANDSHAKE_SECONDS + 0.3 + self._random.uniform(0, seconds_between))
        asked_at = time.monotonic()
        self._stop()
        load.hold_back()
        self._judge_requests(asked_at)
        for connection in self.ledger.stop_cleanly(asked_at):
            self._judge_connection(connection, asked_at)
        self._inspect()
        self._restart()

    def _stop(self) -> None:
        began_at = time.monotonic()
        try:
            status = self._process.stop(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.ledger.violate(f"the gateway has not ended {STOP_SECONDS:.0f} s after SIGTERM")
            self._process.kill()
            return
        self.clean_stops += 1
        self.slowest_stop = max(self.slowest_stop, time.monotonic() - began_at)
        if status:
            self.ledger.violate(f"after SIGTERM the gateway ended with {status}")

    def _judge_requests(self, asked_at: float) -> None:
        for parcel in self.ledger.parcels:
            for attempt in parcel.attempts[-1:]:
                if attempt.status is None and attempt.ended_at is not None and attempt.began_at <= asked_at:
                    if attempt.ended_at < asked_at:
                        continue
                    self.cut_by_clean_stops += 1
                    if attempt.began_at < asked_at - REQUEST_SECONDS:
                        self.ledger.violate("a request in progress was cut off by a clean stop", parcel)

    def _judge_connection(self, connection: Connection, asked_at: float) -> None:
        since = connection.established_at
        if since is None or since > asked_at - HANDSHAKE_SECONDS or connection.close_code is None:
            return
        expected = {4000} if connection.is_keep_alive else {1000, 4000}
        if connection.close_code not in expected:
            ended = f"closed with {connection.close_code}, {(connection.ended_at or 0) - asked_at:.3f} s after SIGTERM"
            self.ledger.violate(f"{connection.name} was {ended}: {connection.error}")

    # ------------------------------------------------------------ the end

    def _collect_rest(self, gateways: list[PrivateGateway]) -> None:
        self._stop()
        self._process.start()
        self.ledger.begin_to_drain()
        for gateway in gateways:
            self._drain(gateway)
        self._stop()
        self.ledger.stop_cleanly(time.monotonic() + HANDSHAKE_SECONDS)
        self.ledger.judge_collected()
        # What was acknowledged in this life of the gateway must not come back in its next.
        self._process.start()
        for gateway in gateways:
            if self._drain(gateway):
                self.ledger.violate("parcels came back although all had been acknowledged")
        self._stop()
        self._inspect_end()
        self._check()

    def _drain(self, gateway: PrivateGateway) -> int:
        connection = self.ledger.open_connection(
            f"last collector of {gateway.name}", gateway.node_id, is_keep_alive=False
        )
        parcels = 0
        with Collector(self._process.collection_url, gateway, mode=CLOSE_UPON_COMPLETION) as collector:
            try:
                while True:
                    delivery = collector.take()
                    self.ledger.deliver(connection, delivery.parcel_serialized)
                    self.ledger.acknowledge(connection)
                    collector.acknowledge(delivery)
                    parcels += 1
            except ConnectionClosed as closed:
                self.ledger.end_connection(connection, 1006 if closed.rcvd is None else int(closed.rcvd.code))
        return parcels

    def _inspect_end(self) -> None:
        self._inspector.inspect()
        self._inspector.inspect_structure()
        if queued := self._inspector.count_queued():
            self.ledger.violate(f"{queued} rows are still queued after everything was collected")
        self.leftovers = self._inspector.find_leftovers()
        store = DurableFileSystemStorage(self.data_dir / "objects")
        store.remove_stale_temporary_files(older_than_seconds=0)
        if self._inspector.find_leftovers().temporary_files:
            self.ledger.violate("temporary files cannot be removed")
        for line in self._process.log.splitlines():
            if _is_error(line):
                self.ledger.violate(f"the gateway logged an error: {line[:600]}")
                return


def _is_error(line: str) -> bool:
    try:
        level = json.loads(line)["level"]
    except (ValueError, LookupError, TypeError):
        # What is no line of the log is a traceback, or what the command prints for people.
        return line.startswith("Traceback")
    return level in {"error", "critical"}
