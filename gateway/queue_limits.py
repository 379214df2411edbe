"""How many messages of each queue a worker works on at once, so that no kind of work takes every thread.

Celery knows one limit for all queues of a worker: a backlog of cargo would leave no thread to deliver parcels.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any


class QueueLimits:
    """What was taken from each queue and not acknowledged yet; queues without a limit always have room."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._queues: dict[str, str] = {}
        self._taken: Counter[str] = Counter()

    def has_room(self, queue: str) -> bool:
        limit = self._limits.get(queue)
        return limit is None or self._taken[queue] < limit

    def enter(self, delivery_tag: str, queue: str) -> None:
        with self._lock:
            # Redis brings a message again that has been worked on for too long: it still takes one place.
            if delivery_tag not in self._queues:
                self._queues[delivery_tag] = queue
                self._taken[queue] += 1

    def leave(self, delivery_tag: str) -> None:
        with self._lock:
            queue = self._queues.pop(delivery_tag, None)
            if queue is not None:
                self._taken[queue] -= 1


class LimitedQoS:
    """Counts for the `limits` of its channel; stands before one of kombu's classes among the bases."""

    channel: Any

    def append(self, message: Any, delivery_tag: str) -> None:
        self.channel.limits.enter(delivery_tag, message.delivery_info["routing_key"])
        super().append(message, delivery_tag)  # type: ignore[misc]

    def ack(self, delivery_tag: str) -> None:
        # Even if it fails: a place that nobody leaves is lost for as long as the worker lives.
        try:
            super().ack(delivery_tag)  # type: ignore[misc]
        finally:
            self.channel.limits.leave(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        try:
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[misc]
        finally:
            self.channel.limits.leave(delivery_tag)
