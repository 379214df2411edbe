"""What every task does around its own work: figures, log lines that name it, connections that are alive."""

import time
from typing import Any

import celery
import structlog
from django.db import close_old_connections
from structlog.contextvars import bound_contextvars

from gateway.metrics import observe_task

_log = structlog.get_logger(__name__)


class BaseTask(celery.Task[Any, None]):
    """A hint carried out. Acknowledged afterwards, and by then it is done or has failed: the sweep brings it again."""

    abstract = True
    acks_late = True
    reject_on_worker_lost = True
    acks_on_failure_or_timeout = True
    ignore_result = True
    store_errors_even_if_ignored = False

    def __call__(self, *arguments: Any, **options: Any) -> None:
        started_at = time.perf_counter()
        outcome = "failed"
        with bound_contextvars(task=self.name, task_id=self.request.id):
            close_old_connections()
            try:
                self.run(*arguments, **options)
                outcome = "done"
            except Exception:  # noqa: BLE001  # The database still says that it is due, and Celery would log it again.
                _log.exception("task_failed")
            finally:
                close_old_connections()
                observe_task(task=str(self.name), outcome=outcome, seconds=time.perf_counter() - started_at)
