"""The Celery application: which work goes by which queue, and what is done by the clock.

`celery -A gateway worker` and `celery -A gateway beat` find it here. The database decides what is due: messages are
hints, so nothing of what is configured here has to keep them.
"""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from celery import Celery, signals
from django.apps import apps
from django.conf import settings
from kombu import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from gateway import stopping
from gateway.redis_url import redis_broker_url, redis_tls

# Celery's command has the working directory on the path while it looks for this module, and then no longer.
sys.path.append(str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")  # noqa: TID251 - as Django's own entry points

SWEEP_SECONDS = 10
MAINTAIN_SECONDS = 60
EXPIRY_SECONDS = 120
VISIBILITY_SECONDS = 300
"""After how long Redis gives a message to another worker: longer than any task, or those would run again and again."""
TASK_SECONDS = 240
"""What a worker of processes allows a task; one of threads cannot end what it has started."""

_CONNECT_SECONDS = 3
# Longer than the second for which a worker asks Redis to hold its answer back.
_SOCKET_SECONDS = 5
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def concurrency_of(queues: Iterable[str]) -> int:
    """How many threads a worker on these queues needs, so that each reaches its limit."""
    return sum(QUEUE_LIMITS[queue] for queue in queues)


def _transport_options() -> dict[str, Any]:
    if not settings.REDIS_URL:
        return {"queue_limits": QUEUE_LIMITS}
    return {
        "queue_limits": QUEUE_LIMITS,
        "visibility_timeout": VISIBILITY_SECONDS,
        # Otherwise kombu looks for overdue messages in every hundredth second or so only.
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_timeout": _SOCKET_SECONDS,
        "socket_keepalive": True,
        "client_name": "awala-gateway",
    }


def _scheduled(task: str, seconds: int) -> dict[str, Any]:
    return {
        "task": task,
        "schedule": seconds,
        # What no worker took in time is no news any more, and the next one says the same. By the worker's clock,
        # so that it must bear some difference to that of whoever sends.
        "options": {"expires": EXPIRY_SECONDS},
        # Due at once: whatever was due while nothing ran must not wait.
        "last_run_at": _LONG_AGO,
    }


QUEUE_LIMITS = {"crc": settings.UNWRAPPING_THREADS, "pdc": settings.DELIVERY_THREADS, "maintenance": 1}
"""How many tasks of each queue a worker of threads runs at once."""
QUEUES = tuple(QUEUE_LIMITS)

TRANSPORT_ALIASES.update(
    inprocess="gateway.broker:Transport",
    redis="gateway.redis_broker:Transport",
    rediss="gateway.redis_broker:Transport",
)
# Without Celery's fixup for Django, which checks the whole project at the start of a worker, and closes every
# connection to the database after each task.
app = Celery("gateway", task_cls="gateway.base_task:BaseTask", fixups=[])
# For every thread. Otherwise the threads of a worker would run tasks under another application, as tasks of no class.
app.set_default()
app.conf.update(
    broker_url=redis_broker_url(settings.REDIS_URL) if settings.REDIS_URL else "inprocess://here",
    broker_transport_options=_transport_options(),
    broker_use_ssl=redis_tls(settings.REDIS_URL),
    broker_connection_timeout=_CONNECT_SECONDS,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    imports=("tasks.crc", "tasks.maintenance", "tasks.pdc"),
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    task_routes={f"tasks.{name}.*": {"queue": name} for name in QUEUES},
    task_default_queue="maintenance",
    task_create_missing_queues=False,
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_publish_retry=False,
    task_time_limit=TASK_SECONDS,
    worker_pool="threads",
    worker_concurrency=concurrency_of(QUEUES),
    worker_prefetch_multiplier=1,
    # Nothing of ours asks workers anything; whoever reaches Redis could otherwise stop them or change their limits.
    worker_enable_remote_control=False,
    worker_disable_rate_limits=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    enable_utc=True,
    beat_scheduler="gateway.scheduler:Scheduler",
    beat_schedule={
        "sweep": _scheduled("tasks.maintenance.sweep", SWEEP_SECONDS),
        "maintain": _scheduled("tasks.maintenance.maintain", MAINTAIN_SECONDS),
    },
)


@signals.import_modules.connect(sender=app, weak=False)
def _set_django_up(**_: object) -> None:
    """Before tasks are imported, which need models. Also sets our logs up."""
    if not apps.ready:
        django.setup()


@signals.setup_logging.connect(weak=False)
def _keep_our_logs(**_: object) -> None:
    """That somebody listens is enough for Celery to leave logging alone."""


@signals.worker_shutting_down.connect(weak=False)
def _note_stop(**_: object) -> None:
    stopping.note_stop()
