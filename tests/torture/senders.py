"""Threads that send parcels and register nodes as fast as they are answered, whatever becomes of the gateway."""

import http.client
import random
import time
from collections import deque
from urllib.parse import urlsplit

from awala.registration import Registration
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import complete_registration, pre_register
from tests.torture.gate import Gate
from tests.torture.history import ACCEPTED
from tests.torture.ledger import Ledger
from tests.torture.plan import Plan, Shipment
from tests.torture.worker import Worker

# Made while the gateway is down, so that making parcels does not slow their sending.
STOCK = 40
RESENDS = 0.6
ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.02


class Sender(Worker):
    """Sends what its plan says over one connection; some of what got no answer it sends again."""

    def __init__(self, *, plan: Plan, gate: Gate, url: str, path: str) -> None:
        super().__init__(name=plan.name, ledger=plan.ledger, gate=gate)
        self._plan = plan
        self._path = path
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)
        self._stock: deque[Shipment] = deque()

    def work(self) -> None:
        if self._ledger.is_backlogged:
            time.sleep(PAUSE_SECONDS)
        else:
            self._send(self._stock.popleft() if self._stock else self._plan.make_shipment())

    def prepare(self) -> bool:
        if len(self._stock) >= STOCK:
            return False
        self._stock.append(self._plan.make_shipment())
        return True

    def _send(self, shipment: Shipment) -> None:
        attempt = self._ledger.begin(shipment.version)
        status = self._post(shipment)
        self._ledger.end(attempt, status)
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


class Registrar(Worker):
    """Registers a few private gateways over and over."""

    def __init__(self, *, process: GatewayProcess, ledger: Ledger, gate: Gate, seed: str) -> None:
        super().__init__(name="registrar", ledger=ledger, gate=gate)
        self._process = process
        self._random = random.Random(seed)

    def work(self) -> None:
        name = f"phone {self._random.randint(1, 3)}"
        try:
            authorization = pre_register(self._process, name)
            answer = complete_registration(self._process, name, authorization.body)
        except (OSError, http.client.HTTPException):
            pass
        else:
            # Anything else: its ten seconds may be over, on a slow machine.
            if answer.status == 200:
                self._ledger.add_registration(Registration.deserialize(answer.body))
        time.sleep(self._random.uniform(0.02, 0.2))
