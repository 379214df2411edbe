"""Threads that send parcels and register nodes as fast as they are answered, whatever becomes of the gateway."""

import http.client
import random
import threading
import time
from collections import deque
from urllib.parse import urlsplit

from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway
from tests.torture.gate import Gate
from tests.torture.history import ACCEPTED
from tests.torture.ledger import Ledger
from tests.torture.plan import Plan, Shipment

# Made while the gateway is down, so that making parcels does not slow their sending.
STOCK = 40
RESENDS = 0.6
ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.02


class Sender(threading.Thread):
    """Sends what its plan says over one connection; some of what got no answer it sends again."""

    def __init__(self, *, plan: Plan, gate: Gate, url: str, path: str) -> None:
        super().__init__(name=plan.name, daemon=True)
        self._plan = plan
        self._gate = gate
        self._path = path
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)
        self._stock: deque[Shipment] = deque()

    def run(self) -> None:
        while self._gate.wait(self._stock_up):
            if self._plan.ledger.is_backlogged:
                time.sleep(PAUSE_SECONDS)
            else:
                self._send(self._stock.popleft() if self._stock else self._plan.make_shipment())
        self._connection.close()

    def _stock_up(self) -> bool:
        if len(self._stock) >= STOCK:
            return False
        self._stock.append(self._plan.make_shipment())
        return True

    def _send(self, shipment: Shipment) -> None:
        ledger = self._plan.ledger
        attempt = ledger.begin(shipment.version)
        status = self._post(shipment)
        ledger.end(attempt, status)
        if status != ACCEPTED:
            time.sleep(PAUSE_SECONDS)
            # Before anything else, since what follows may be a newer version of the same parcel.
            if self._plan.random.random() < RESENDS:
                self._stock.appendleft(shipment)

    def _post(self, shipment: Shipment) -> int | None:
        try:
            self._connection.request("POST", self._path, shipment.octets, shipment.headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        return response.status


class Registrar(threading.Thread):
    """Registers a few private gateways over and over."""

    def __init__(self, *, process: GatewayProcess, ledger: Ledger, gate: Gate, seed: str) -> None:
        super().__init__(name="registrar", daemon=True)
        self._process = process
        self._ledger = ledger
        self._gate = gate
        self._random = random.Random(seed)

    def run(self) -> None:
        while self._gate.wait():
            try:
                registered = PrivateGateway.register(self._process, f"phone {self._random.randint(1, 3)}")
            except (OSError, http.client.HTTPException):
                pass
            else:
                self._ledger.add_registration(registered)
            time.sleep(self._random.uniform(0.02, 0.2))
