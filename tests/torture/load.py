"""The load: senders and collectors of a few private gateways, all of which can be held back at once."""

import random
from dataclasses import dataclass, field

from tests import factories
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway
from tests.torture.collectors import CollectingThread
from tests.torture.gate import Gate
from tests.torture.ledger import Ledger
from tests.torture.plan import Plan
from tests.torture.senders import Registrar, Sender
from tests.torture.worker import Worker

POHTTP_SENDERS = 3
IDLE_SECONDS = 60.0


@dataclass(kw_only=True)
class Load:
    """Works against a gateway that runs, on which its private gateways are registered when this is made."""

    process: GatewayProcess
    ledger: Ledger
    seed: int
    private_gateways: int = 3
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        factories.id_of("internet endpoint")  # Threads that asked for the same new key at once would get several.
        self.gateways = [
            PrivateGateway.register(self.process, f"private gateway of the load {number}")
            for number in range(self.private_gateways)
        ]
        self._workers: list[Worker] = [
            *(self._make_sender(f"pohttp-{number}") for number in range(POHTTP_SENDERS)),
            *(self._make_sender(f"poweb-{number}", gateway) for number, gateway in enumerate(self.gateways)),
            Registrar(process=self.process, ledger=self.ledger, gate=self.gate, seed=f"{self.seed} registrar"),
        ]
        for number, gateway in enumerate(self.gateways):
            for is_keep_alive in (True, False):
                self._workers.append(self._make_collector(number, gateway, is_keep_alive=is_keep_alive))
        for worker in self._workers:
            worker.start()

    def hold_back(self) -> None:
        """Return once no thread does anything; to be called when the gateway has ended."""
        self.gate.close()
        alive = sum(worker.is_alive() for worker in self._workers)
        if not self.gate.wait_until_idle(alive, IDLE_SECONDS):
            raise TimeoutError("the load does not come to rest")

    def finish(self) -> None:
        self.gate.finish()
        for worker in self._workers:
            worker.join(IDLE_SECONDS)

    def _make_sender(self, name: str, gateway: PrivateGateway | None = None) -> Sender:
        plan = Plan(
            name=name,
            ledger=self.ledger,
            recipients=self.gateways,
            sending_gateway=gateway,
            random=random.Random(f"{self.seed} {name}"),
        )
        if gateway is None:
            return Sender(plan=plan, gate=self.gate, url=self.process.pohttp_url, path="/")
        return Sender(plan=plan, gate=self.gate, url=self.process.poweb_url, path="/v1/parcels")

    def _make_collector(self, number: int, gateway: PrivateGateway, *, is_keep_alive: bool) -> CollectingThread:
        name = f"{'keep-alive' if is_keep_alive else 'completing'} collector {number}"
        return CollectingThread(
            name=name,
            url=self.process.collection_url,
            signer=gateway,
            is_keep_alive=is_keep_alive,
            ledger=self.ledger,
            gate=self.gate,
            seed=f"{self.seed} {name}",
        )
