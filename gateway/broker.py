"""The broker inside one process: queues in memory, for a worker that runs beside the servers.

Kombu's own transport in memory is polled, which costs either time or the processor. Here the worker sleeps until a
message comes or one is acknowledged. Messages are hints that may be lost, so memory is bounded by dropping them, and
of those that say the same only one waits.
"""

import threading
from collections import OrderedDict
from queue import Empty
from typing import Any

from kombu.transport import virtual
from kombu.utils.scheduling import FairCycle

from gateway.queue_limits import LimitedQoS, QueueLimits

MAX_WAITING = 10_000
"""Messages per queue; what is dropped beyond comes back by the sweep."""

MERGE_HEADER = "merge"
"""Names what a message is about: a later one about the same takes the place of one that still waits."""

RawMessage = dict[str, Any]


class InProcessBroker:
    """Queues behind one lock, which is never held while a message is handled."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: dict[str, OrderedDict[str, RawMessage]] = {}
        self._changes = 0

    @property
    def changes(self) -> int:
        """What to pass to `wait`: read before looking for messages, so that none can slip in between."""
        return self._changes

    def put(self, queue: str, message: RawMessage) -> None:
        key = message["headers"].get(MERGE_HEADER) or message["properties"]["delivery_tag"]
        with self._changed:
            waiting = self._queues.setdefault(queue, OrderedDict())
            if key in waiting or len(waiting) < MAX_WAITING:
                waiting[key] = message
        self.wake()

    def take(self, queue: str) -> RawMessage:
        """The message that has waited longest; raises `queue.Empty`."""
        with self._changed:
            if waiting := self._queues.get(queue):
                return waiting.popitem(last=False)[1]
        raise Empty

    def size(self, queue: str) -> int:
        return len(self._queues.get(queue, ()))

    def purge(self, queue: str) -> int:
        with self._changed:
            return len(self._queues.pop(queue, ()))

    def wake(self) -> None:
        """Make whoever waits look again, from any thread."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def wait(self, changes: int, timeout: float | None) -> bool:
        """Until there were more changes than these; False once the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._changes != changes, timeout)


broker = InProcessBroker()


class _QoS(LimitedQoS, virtual.QoS):
    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)
        broker.wake()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        super().reject(delivery_tag, requeue=requeue)
        broker.wake()


class _Channel(virtual.Channel):
    QoS = _QoS
    body_encoding = "utf-8"  # Rather than base64: nothing leaves the process.

    def __init__(self, connection: Any, **options: Any) -> None:
        super().__init__(connection, **options)
        self.limits = QueueLimits(connection.client.transport_options.get("queue_limits", {}))

    def count_waiting(self, queue: str) -> int:
        """The messages that nobody has taken yet."""
        return self._size(queue)

    def _get(self, queue: str, timeout: float | None = None) -> RawMessage:  # noqa: ARG002 - kombu's signature
        if not self.limits.has_room(queue):
            raise Empty
        return broker.take(queue)

    def _put(self, queue: str, message: RawMessage, **_options: Any) -> None:
        broker.put(queue, message)

    def _size(self, queue: str) -> int:
        return broker.size(queue)

    def _purge(self, queue: str) -> int:
        return broker.purge(queue)


class Transport(virtual.Transport):
    Channel = _Channel
    cycle: FairCycle
    driver_type = driver_name = "inprocess"

    def driver_version(self) -> str:
        return "1"

    def drain_events(self, connection: Any, timeout: float | None = None, **_options: Any) -> None:  # noqa: ARG002
        """Deliver one message, waiting for it; raises `TimeoutError` where none came, or something else happened."""
        changes = broker.changes
        if not self._deliver_next():
            broker.wait(changes, timeout)
            if not self._deliver_next():
                raise TimeoutError

    def _deliver_next(self) -> bool:
        try:
            self.cycle.get(self._deliver)
        except Empty:
            return False
        return True
