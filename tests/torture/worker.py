"""A thread of the load."""

import threading
from abc import ABC, abstractmethod

from tests.torture.gate import Gate
from tests.torture.ledger import Ledger


class Worker(threading.Thread, ABC):
    """Works whenever the gate is open; an error that it did not expect ends it, and is a violation."""

    def __init__(self, *, name: str, ledger: Ledger, gate: Gate) -> None:
        super().__init__(name=name, daemon=True)
        self._ledger = ledger
        self._gate = gate

    def run(self) -> None:
        try:
            while self._gate.wait(self.prepare):
                self.work()
        except Exception as error:  # noqa: BLE001 - whatever it was, the run must not go on without this thread unnoticed
            self._ledger.violate(f"{self.name} failed: {error!r}")

    def prepare(self) -> bool:
        """Prepare a little for the next work, while the gate is closed; False if there is nothing more to prepare."""
        return False

    @abstractmethod
    def work(self) -> None:
        """Do one piece of work, and return soon if the gateway is gone."""
