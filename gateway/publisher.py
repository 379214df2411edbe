"""Puts hints into the queues, within short time limits, from one thread at a time."""

from typing import Any

import structlog
from kombu import Connection

from gateway.broker import MERGE_HEADER
from gateway.celery import app
from gateway.metrics import count_hint

_log = structlog.get_logger(__name__)

# Whoever publishes has other ways to get the work done, so trying for long helps nobody.
_IMPATIENT = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def count_waiting(queue: str) -> int:
    """How many messages nobody has taken yet; 0 where the broker does not say."""
    try:
        with app.connection_for_write(transport_options=_IMPATIENT) as connection, connection.channel() as channel:
            count: int = channel.count_waiting(queue)  # type: ignore[attr-defined]  # Both of our transports have it.
            return count
    except Exception:  # noqa: BLE001  # Then hints cannot be sent either.
        _log.debug("queue_not_counted", queue=queue, exc_info=True)
        return 0


class Publisher:
    """Keeps one connection, and tells an outage from its first failure to its end by two log lines."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._producer: Any = None
        self._failing = False

    def send(self, task: str, *arguments: str, about: str, expires: int | None = None) -> bool:
        """Send a hint; where one `about` the same may still wait in this process, it takes its place. Never raises."""
        try:
            self._send(task, arguments, about, expires)
        except Exception:  # noqa: BLE001  # Whatever it is, the sweep will do without this hint.
            self._close()
            if not self._failing:
                _log.warning("hints_failing", task=task, exc_info=True)
            self._failing = True
        else:
            if self._failing:
                _log.info("hints_recovered", task=task)
            self._failing = False
        count_hint(task=task, outcome="dropped" if self._failing else "sent")
        return not self._failing

    def _send(self, task: str, arguments: tuple[str, ...], about: str, expires: int | None) -> None:
        if self._producer is None:
            self._connection = app.connection_for_write(transport_options=_IMPATIENT)
            self._producer = app.amqp.Producer(self._connection, auto_declare=False)
        app.send_task(
            task,
            arguments,
            producer=self._producer,
            expires=expires,
            headers={MERGE_HEADER: about},
            ignore_result=True,
            retry=False,
            # Without these, Celery declares the queue anew each time, and describes the arguments at length.
            declare=[],
            argsrepr=repr(arguments),
            kwargsrepr="{}",
        )

    def _close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.collect(socket_timeout=0.1)
            except Exception:  # noqa: BLE001  # It is given up in any case.
                _log.debug("broker_connection_not_closed", exc_info=True)
