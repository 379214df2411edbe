"""Kombu's transport over Redis, with a limit for each queue."""

from typing import Any

from kombu.transport import redis
from kombu.utils.scheduling import round_robin_cycle

from gateway.queue_limits import LimitedQoS, QueueLimits

# How soon a queue is asked for again that had no room when Redis was last asked, if the others bring nothing. A
# worker on one queue alone never waits like this.
_RETRY_SECONDS = 0.005


class _QoS(LimitedQoS, redis.QoS):
    pass


class _Cycle(round_robin_cycle):  # type: ignore[type-arg]
    """Offers the queues that have room."""

    def __init__(self, limits: QueueLimits) -> None:
        super().__init__()
        self._limits = limits

    def consume(self, n: int) -> list[str]:  # type: ignore[override]  # As kombu's own does.
        return [queue for queue in super().consume(n) if self._limits.has_room(queue)]


class _Channel(redis.Channel):
    QoS = _QoS

    def __init__(self, connection: Any, **options: Any) -> None:
        self.limits = QueueLimits(connection.client.transport_options.get("queue_limits", {}))
        super().__init__(connection, **options)
        self._queue_cycle = _Cycle(self.limits)

    def count_waiting(self, queue: str) -> int:
        """The messages that nobody has taken yet."""
        return int(self._size(queue))

    def _brpop_start(self, timeout: float | None = None) -> None:
        is_partial = any(not self.limits.has_room(queue) for queue in self.active_queues)
        super()._brpop_start(_RETRY_SECONDS if is_partial else timeout)  # type: ignore[misc]


class Transport(redis.Transport):
    Channel = _Channel
