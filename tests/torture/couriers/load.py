"""The load: couriers that bring cargo, devices that collect, and Internet endpoints, one of them with its weather."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException

from awala.clients.cogrpc import CogRPCClient
from awala.clients.errors import ClientError, ServerUnavailableError
from tests import factories
from tests.functional.collector import Collector, sha256_of
from tests.functional.internet_endpoint import InternetEndpoint
from tests.functional.private_gateway import PrivateGateway
from tests.torture.couriers.cargo_plan import CargoPlan, Shipment
from tests.torture.couriers.deployments import Deployment
from tests.torture.couriers.history import Kind
from tests.torture.couriers.ledger import CourierLedger

GATEWAYS = 3
MOST_CARGOES_IN_CALL = 4
BROUGHT_AGAIN = 0.15
PAUSE_SECONDS = 1.2
RETRY_SECONDS = 0.4
JOIN_SECONDS = 60.0
_LONGEST_FINE = 15.0
_LONGEST_FOUL = 8.0


class LoadThread(threading.Thread, ABC):
    """Works until it is told to end; an error that it did not expect ends it, and is a violation."""

    def __init__(self, *, name: str, ledger: CourierLedger, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self._ledger = ledger
        self._random = random.Random(f"{seed} {name}")
        self._over = threading.Event()

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self.work()
            self.finish()
        except Exception as error:  # noqa: BLE001 - whatever it was, the run must not go on without this thread unnoticed
            self._ledger.violate(f"{self.name} failed: {error!r}")

    def end(self) -> None:
        self._over.set()

    @abstractmethod
    def work(self) -> None:
        """Do one piece of work."""

    def finish(self) -> None:
        """Do what must not be left undone."""

    def rest(self, longest: float) -> None:
        self._over.wait(self._random.uniform(0, longest))


class Courier(LoadThread):
    """Brings each cargo until it is acknowledged, and some of it again."""

    def __init__(self, *, plan: CargoPlan, address: str, ledger: CourierLedger, seed: int) -> None:
        super().__init__(name=plan.name, ledger=ledger, seed=seed)
        self._plan = plan
        self._address = address
        self._bag: list[Shipment] = []
        self._acknowledged: deque[Shipment] = deque(maxlen=5)

    def work(self) -> None:
        if not self._ledger.is_backlogged:
            missing = self._random.randint(1, MOST_CARGOES_IN_CALL) - len(self._bag)
            self._bag.extend(self._plan.make() for _ in range(missing))
            if self._acknowledged and self._random.random() < BROUGHT_AGAIN:
                self._bag.append(self._random.choice(self._acknowledged))
        self._bring()
        self.rest(PAUSE_SECONDS)

    def finish(self) -> None:
        deadline = time.monotonic() + JOIN_SECONDS
        while self._bag and not self._ledger.violations and time.monotonic() < deadline:
            self._bring()

    def _bring(self) -> None:
        shipments = {str(number): shipment for number, shipment in enumerate(self._bag)}
        if not shipments:
            return
        self._ledger.begin_call(shipment.cargo for shipment in shipments.values())
        try:
            with CogRPCClient(self._address, tls=False) as client:
                for delivery_id in client.deliver_cargo((key, each.octets) for key, each in shipments.items()):
                    shipment = shipments[delivery_id]
                    self._bag.remove(shipment)
                    self._acknowledged.append(shipment)
                    self._ledger.acknowledge(shipment.cargo)
        except ClientError as error:
            self._ledger.fail_call((shipment.cargo for shipment in self._bag), str(error))
            if not isinstance(error, ServerUnavailableError):
                self._ledger.violate(f"a call was answered as it should not be: {error!r}", self._bag[0].cargo)
            time.sleep(self._random.uniform(0, RETRY_SECONDS))


class Device(LoadThread):
    """Collects what comes for a private gateway, and acknowledges each parcel."""

    def __init__(self, *, gateway: PrivateGateway, ledger: CourierLedger, seed: int) -> None:
        super().__init__(name=f"device {gateway.name}", ledger=ledger, seed=seed)
        self._gateway = gateway

    def work(self) -> None:
        has_begun = False
        try:
            with Collector(self._gateway.process.collection_url, self._gateway) as collector:
                has_begun = True
                while not self._over.is_set():
                    self._take_one(collector)
        except (OSError, EOFError, WebSocketException):
            if has_begun:
                self._ledger.strike(self._gateway.node_id, Kind.CUT)
            self.rest(RETRY_SECONDS)

    def _take_one(self, collector: Collector) -> None:
        try:
            delivery = collector.take(0.3)
        except TimeoutError:
            return
        (sha256,) = sha256_of([delivery.parcel_serialized])
        self._ledger.arrive(sha256, self._gateway.node_id)
        collector.acknowledge(delivery)


class Weather(LoadThread):
    """Takes an endpoint down and up again, or has it answer that it cannot serve now."""

    def __init__(self, *, address: str, endpoint: InternetEndpoint, ledger: CourierLedger, seed: int) -> None:
        super().__init__(name=f"weather of {address}", ledger=ledger, seed=seed)
        self._address = address
        self._endpoint = endpoint

    def work(self) -> None:
        self.rest(_LONGEST_FINE)
        if self._random.random() < 0.5:
            self._endpoint.answer(503)
        else:
            self._ledger.strike(self._address, Kind.OUTAGE)
            self._endpoint.go_down()
        self.rest(_LONGEST_FOUL)
        self.finish()

    def finish(self) -> None:
        self._endpoint.accept()
        self._endpoint.come_back()


class Postman(LoadThread):
    """Notes what arrives at the endpoints."""

    def __init__(self, *, endpoints: Mapping[str, InternetEndpoint], ledger: CourierLedger) -> None:
        super().__init__(name="postman", ledger=ledger, seed=0)
        self._endpoints = endpoints
        self._seen = dict.fromkeys(endpoints, 0)

    def work(self) -> None:
        self._over.wait(0.3)
        self.finish()

    def finish(self) -> None:
        for address, endpoint in self._endpoints.items():
            received = endpoint.received
            for parcel in received[self._seen[address] :]:
                if parcel.is_accepted:
                    self._ledger.arrive(parcel.sha256, address, parcel.received_at)
            self._seen[address] = len(received)


@dataclass(kw_only=True)
class CourierLoad:
    """Works from the moment it is made until it is ended, in two steps."""

    gateways: Sequence[PrivateGateway]
    endpoints: Mapping[str, InternetEndpoint]
    unreliable: Sequence[str]
    """The addresses whose endpoint has its weather."""
    cogrpc_address: str
    ledger: CourierLedger
    seed: int
    couriers: int
    _sources: list[LoadThread] = field(default_factory=list)
    _sinks: list[LoadThread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sinks += [Device(gateway=gateway, ledger=self.ledger, seed=self.seed) for gateway in self.gateways]
        self._sinks.append(Postman(endpoints=self.endpoints, ledger=self.ledger))
        for number in range(self.couriers):
            self._sources.append(self._make_courier(f"courier-{number}"))
        for address in self.unreliable:
            self._sources.append(
                Weather(address=address, endpoint=self.endpoints[address], ledger=self.ledger, seed=self.seed)
            )
        for thread in (*self._sinks, *self._sources):
            thread.start()

    def _make_courier(self, name: str) -> Courier:
        plan = CargoPlan(
            name=name,
            gateways=self.gateways,
            internet_addresses=list(self.endpoints),
            ledger=self.ledger,
            random=random.Random(f"{self.seed} plan of {name}"),
        )
        return Courier(plan=plan, address=self.cogrpc_address, ledger=self.ledger, seed=self.seed)

    def stop_sending(self) -> None:
        """Have couriers bring what they have, and endpoints come back; to be called when everything runs."""
        _end(self._sources)

    def finish(self) -> None:
        _end(self._sources)
        _end(self._sinks)


def _end(threads: Sequence[LoadThread]) -> None:
    for thread in threads:
        thread.end()
    for thread in threads:
        thread.join(JOIN_SECONDS)


@contextmanager
def register_and_load(
    deployment: Deployment, ledger: CourierLedger, seed: int, *, couriers: int, unreliable: Sequence[str]
) -> Iterator[CourierLoad]:
    """A load of private gateways that register on a deployment that runs."""
    factories.id_of("internet endpoint")  # Threads that asked for the same new key at once would get several.
    load = CourierLoad(
        gateways=[PrivateGateway.register(deployment.poweb, f"gateway {number}") for number in range(GATEWAYS)],
        endpoints=deployment.endpoints,
        unreliable=unreliable,
        cogrpc_address=deployment.cogrpc.cogrpc_address,
        ledger=ledger,
        seed=seed,
        couriers=couriers,
    )
    try:
        yield load
    finally:
        load.finish()
