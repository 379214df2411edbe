"""Celery's schedule, kept nowhere: what is due lies in the database, and two beats do no harm."""

from typing import Any

from celery import beat
from celery.schedules import schedstate

from gateway.publisher import Publisher


class Scheduler(beat.Scheduler):
    """Sends by a publisher that gives up soon and says once that the broker is down."""

    # Celery's connection for sending, which would wait for the broker for ever.
    producer = None  # type: ignore[assignment]

    def __init__(self, app: Any, **options: Any) -> None:
        self._publisher = Publisher()
        super().__init__(app, **options)

    def is_due(self, entry: beat.ScheduleEntry) -> Any:
        """As Celery says, but for a clock that was set back: nothing must wait until it has caught up."""
        if entry.last_run_at is not None and entry.last_run_at > entry.default_now():
            return schedstate(is_due=True, next=float(self.max_interval or 0))
        return super().is_due(entry)

    def apply_entry(self, entry: beat.ScheduleEntry, producer: object = None) -> None:  # noqa: ARG002
        task, options = str(entry.task), entry.options or {}
        self._publisher.send(task, about=task, expires=options.get("expires"))
