"""Kombu's transport over Redis, with a limit for each queue."""

from collections.abc import Callable
from typing import Any

import structlog
from kombu.transport import redis, virtual
from kombu.utils.scheduling import round_robin_cycle

from gateway.queue_limits import LimitedQoS, QueueLimits

# How soon a queue is asked for again that had no room when Redis was last asked, if the others bring nothing. A
# worker on one queue alone never waits like this.
_RETRY_SECONDS = 0.005


_log = structlog.get_logger(__name__)


class _QoS(LimitedQoS, redis.QoS):
    """Never fails to let go of a message: what Redis does not hear of it gives out again, and then nothing is due.

    Kombu's own raises errors here that a worker does not expect, when Redis dies while tasks run, and ends the worker.
    """

    def ack(self, delivery_tag: str) -> None:
        self._let_go(delivery_tag, lambda: super(_QoS, self).ack(delivery_tag))

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        self._let_go(delivery_tag, lambda: super(_QoS, self).reject(delivery_tag, requeue=requeue))

    def restore_unacked_once(self, stderr: Any = None) -> None:
        try:
            super().restore_unacked_once(stderr)
        except Exception as error:  # noqa: BLE001
            _log.warning("hints_not_given_back", reason=type(error).__name__)
            if self._delivered is not None:
                self._delivered.clear()

    def _let_go(self, delivery_tag: str, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001
            _log.warning("hint_not_acknowledged", reason=type(error).__name__)
            # Within this process it is done with all the same, or it would count against what may be taken.
            virtual.QoS.ack(self, delivery_tag)


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
