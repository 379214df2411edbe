"""Threads that collect parcels: in both modes, with acknowledgements late or never, and leaving when they please."""

import random
import time

from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.functional.collector import CLOSE_UPON_COMPLETION, KEEP_ALIVE, Collector
from tests.functional.private_gateway import PrivateGateway
from tests.torture.gate import Gate
from tests.torture.history import Connection
from tests.torture.ledger import Ledger
from tests.torture.worker import Worker

ABANDONS = 0.03
LEAVES = 0.2
PAUSE_SECONDS = 0.02


class CollectingThread(Worker):
    def __init__(
        self, *, name: str, url: str, signer: PrivateGateway, is_keep_alive: bool, ledger: Ledger, gate: Gate, seed: str
    ) -> None:
        super().__init__(name=name, ledger=ledger, gate=gate)
        self._url = url
        self._signer = signer
        self._is_keep_alive = is_keep_alive
        self._random = random.Random(seed)
        self._connections = 0

    def work(self) -> None:
        self._connections += 1
        connection = self._ledger.open_connection(
            f"{self.name}, connection {self._connections}", self._signer.node_id, is_keep_alive=self._is_keep_alive
        )
        code: int | None = 1006
        try:
            code = self._collect(connection)
        except (OSError, EOFError, WebSocketException) as error:
            connection.error = repr(error)
        finally:
            self._ledger.end_connection(connection, None if connection.has_left else code)
        time.sleep(PAUSE_SECONDS)

    def _collect(self, connection: Connection) -> int | None:
        """Collect until either side ends it; returns the code of the gateway's closing message, or None."""
        mode = KEEP_ALIVE if self._is_keep_alive else CLOSE_UPON_COMPLETION
        with Collector(self._url, self._signer, mode=mode) as collector:
            self._ledger.establish(connection)
            try:
                while self._take_one(collector, connection):
                    pass
            except ConnectionClosed as closed:
                connection.error = f"{closed!r} because of {closed.__cause__!r}"
                return 1006 if closed.rcvd is None else int(closed.rcvd.code)
        return None

    def _take_one(self, collector: Collector, connection: Connection) -> bool:
        """Wait for a parcel for a while; False once the collector has had enough."""
        try:
            delivery = collector.take(self._random.uniform(0.2, 2))
        except TimeoutError:
            return self._random.random() >= LEAVES
        self._ledger.deliver(connection, delivery.parcel_serialized)
        time.sleep(self._draw_delay())
        if self._random.random() < ABANDONS:
            connection.has_left = True
            collector.cut()
            return False
        self._ledger.acknowledge(connection)
        collector.acknowledge(delivery)
        return True

    def _draw_delay(self) -> float:
        (longest,) = self._random.choices((0.0, 0.03, 0.3), (75, 20, 5))
        return self._random.uniform(0, longest)
