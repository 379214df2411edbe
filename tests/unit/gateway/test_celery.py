import subprocess
import sys

import pytest
from celery import current_app
from kombu import Connection

from gateway import redis_broker
from gateway.base_task import BaseTask
from gateway.celery import QUEUE_LIMITS, QUEUES, TASK_SECONDS, VISIBILITY_SECONDS, app, concurrency_of
from gateway.queue_limits import QueueLimits


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("tasks.crc.unwrap_cargo", "crc"),
        ("tasks.pdc.deliver_parcel", "pdc"),
        ("tasks.maintenance.sweep", "maintenance"),
        ("tasks.maintenance.maintain", "maintenance"),
    ],
)
def test_tasks_are_routed_by_their_names(task: str, queue: str) -> None:
    assert app.amqp.router.route({}, task)["queue"].name == queue


@pytest.mark.parametrize("task", ["tasks.crc.unwrap_cargo", "tasks.maintenance.sweep", "tasks.maintenance.maintain"])
def test_tasks_are_hints_acknowledged_afterwards(task: str) -> None:
    app.loader.import_default_modules()
    registered = app.tasks[task]

    assert isinstance(registered, BaseTask)
    assert (registered.acks_late, registered.reject_on_worker_lost, registered.ignore_result) == (True, True, True)


def test_whatever_is_sent_regularly_exists() -> None:
    app.loader.import_default_modules()

    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_every_thread_has_this_application() -> None:
    """The threads of a worker would otherwise run tasks without our class around them."""
    script = (
        "import threading, gateway.celery, celery\n"
        "thread = threading.Thread(target=lambda: print(celery.current_app.main))\n"
        "thread.start(); thread.join()"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert printed.stdout == "gateway\n"
    assert current_app.main == "gateway"


def test_tasks_end_before_redis_gives_them_to_another_worker() -> None:
    assert TASK_SECONDS < VISIBILITY_SECONDS


def test_worker_has_a_thread_for_all_that_its_queues_may_run() -> None:
    assert app.conf.worker_concurrency == sum(QUEUE_LIMITS.values())
    assert concurrency_of(["crc", "maintenance"]) == QUEUE_LIMITS["crc"] + QUEUE_LIMITS["maintenance"]
    assert set(QUEUES) == {queue.name for queue in app.conf.task_queues}


def test_only_json_is_read() -> None:
    assert app.conf.accept_content == ["json"]


@pytest.mark.parametrize("url", ["redis://127.0.0.1/0", "rediss://127.0.0.1/0", "redis+socket:///run/redis.sock"])
def test_redis_is_asked_by_our_transport(url: str) -> None:
    connection = Connection(url, ssl={"ssl_cert_reqs": None} if url.startswith("rediss") else False)

    assert connection.get_transport_cls() is redis_broker.Transport


def test_redis_is_asked_for_queues_that_have_room() -> None:
    limits = QueueLimits({"crc": 1, "pdc": 1})
    cycle = redis_broker._Cycle(limits)  # noqa: SLF001
    cycle.update(["crc", "pdc"])
    limits.enter("a", "crc")

    assert cycle.consume(2) == ["pdc"]


def test_nobody_can_command_workers_by_the_broker() -> None:
    assert app.conf.worker_enable_remote_control is False
