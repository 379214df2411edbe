"""Hints to the workers that something is due; each may be lost, since the database is the truth."""

import os
import threading
import uuid
from collections import OrderedDict
from typing import NamedTuple

from gateway.import_lock import CELERY_IMPORTS
from gateway.metrics import count_hint

MAX_WAITING = 10_000


class _Hint(NamedTuple):
    task: str
    argument: str


def hint_cargo(cargo_id: uuid.UUID) -> None:
    """Hint from any thread that a cargo waits to be unwrapped; returns at once and never raises."""
    hint_sender.submit(f"cargo {cargo_id}", _Hint("tasks.crc.unwrap_cargo", str(cargo_id)))


def hint_outgoing_parcel(parcel_id: uuid.UUID, destination: str) -> None:
    """Hint from any thread that a parcel is due for a destination; returns at once and never raises.

    One that waits for the same destination already is replaced: whoever takes it looks for all parcels there.
    """
    hint_sender.submit(f"destination {destination}", _Hint("tasks.pdc.deliver_parcel", str(parcel_id)))


class HintSender:
    """Sends hints from a thread of its own, so that a broker that hangs delays nobody.

    At most one hint about the same waits, and a limited number in all; a broker that fails loses those that wait.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, _Hint] = OrderedDict()
        self._thread: threading.Thread | None = None

    def submit(self, about: str, hint: _Hint) -> None:
        with self._changed:
            if about not in self._waiting and len(self._waiting) >= MAX_WAITING:
                count_hint(task=hint.task, outcome="dropped")
                return
            self._waiting[about] = hint
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="task-hints", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        # Only here, since Celery takes long to import, and processes that send no hints do not need it.
        with CELERY_IMPORTS:
            from gateway.publisher import Publisher  # noqa: PLC0415

        publisher = Publisher()
        while True:
            about, hint = self._take()
            if not publisher.send(hint.task, hint.argument, about=about):
                self._drop_waiting()

    def _take(self) -> tuple[str, _Hint]:
        """The hint that has waited longest. Taken off before it is sent: what is stored later needs another."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            return self._waiting.popitem(last=False)

    def _drop_waiting(self) -> None:
        with self._changed:
            dropped = list(self._waiting.values())
            self._waiting.clear()
        for hint in dropped:
            count_hint(task=hint.task, outcome="dropped")


hint_sender = HintSender()


def _replace_sender() -> None:
    """The child of a fork does not inherit the thread, so it needs a sender of its own."""
    global hint_sender  # noqa: PLW0603
    hint_sender = HintSender()


os.register_at_fork(after_in_child=_replace_sender)
