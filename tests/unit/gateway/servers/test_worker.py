import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from celery.worker import state

from gateway import stopping
from gateway.broker import broker
from gateway.celery import QUEUE_LIMITS, QUEUES, app
from gateway.publisher import Publisher
from gateway.servers.worker import Worker

CRC = "tasks.crc.unit_test_worker"
PDC = "tasks.pdc.unit_test_worker"


class Work:
    """What the tasks of these tests do."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.done: list[str] = []
        self.running = 0
        self.most = 0
        self.gate = threading.Event()
        self.gate.set()

    def do(self, argument: str) -> None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(20)
        with self.lock:
            self.running -= 1
            self.done.append(argument)


work = Work()


@app.task(name=CRC)
def unwrap(argument: str) -> None:
    work.do(argument)


@app.task(name=PDC)
def deliver(argument: str) -> None:
    work.do(argument)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process has one worker, and is over when that stops: undo what remains of one."""
    global work  # noqa: PLW0603
    work = Work()
    yield
    work.gate.set()
    for queue in QUEUES:
        broker.purge(queue)
    state.should_stop = None
    stopping._told.clear()  # noqa: SLF001


@pytest.fixture
def start() -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start_worker(*, queues: tuple[str, ...] = (), with_beat: bool = False) -> Worker:
        worker = Worker(queues=queues, with_beat=with_beat)
        workers.append(worker)
        worker.start()
        assert worker.wait_until_ready(20)
        return worker

    yield start_worker
    work.gate.set()
    for worker in workers:
        worker.stop(5)
        worker.join()
        worker._worker.join(10)  # noqa: SLF001 - so that the next test starts with nothing


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_tasks_are_carried_out(start: Callable[..., Worker]) -> None:
    start()
    publisher = Publisher()
    for number in range(100):
        publisher.send(CRC, str(number), about=str(number))

    wait_until(lambda: len(work.done) == 100)
    assert set(work.done) == {str(number) for number in range(100)}


def test_one_queue_leaves_threads_to_the_others(start: Callable[..., Worker]) -> None:
    start()
    work.gate.clear()
    publisher = Publisher()
    for number in range(50):
        publisher.send(CRC, str(number), about=str(number))
    wait_until(lambda: work.running == QUEUE_LIMITS["crc"])
    time.sleep(0.1)
    assert work.running == QUEUE_LIMITS["crc"]

    publisher.send(PDC, "a parcel", about="a parcel")
    wait_until(lambda: work.running == QUEUE_LIMITS["crc"] + 1)
    work.gate.set()
    wait_until(lambda: len(work.done) == 51)


def test_worker_takes_from_its_own_queues_alone(start: Callable[..., Worker]) -> None:
    start(queues=("pdc",))
    publisher = Publisher()
    publisher.send(CRC, "a cargo", about="a cargo")
    publisher.send(PDC, "a parcel", about="a parcel")

    wait_until(lambda: work.done == ["a parcel"])
    assert broker.size("crc") == 1


def test_idle_worker_stops_at_once(start: Callable[..., Worker]) -> None:
    worker = start()
    started_at = time.monotonic()
    worker.stop(8)
    assert time.monotonic() - started_at < 0.1
    worker.join()

    assert time.monotonic() - started_at < 1
    assert stopping.is_stopping()


def test_task_that_runs_is_ended_before_it_stops(start: Callable[..., Worker]) -> None:
    worker = start()
    work.gate.clear()
    Publisher().send(CRC, "a cargo", about="a cargo")
    wait_until(lambda: work.running)
    threading.Timer(0.7, work.gate.set).start()

    worker.stop(8)
    worker.join()

    assert work.done == ["a cargo"]


def test_task_that_hangs_is_left_behind_when_its_time_is_up(start: Callable[..., Worker]) -> None:
    worker = start()
    work.gate.clear()
    Publisher().send(CRC, "a cargo", about="a cargo")
    wait_until(lambda: work.running)
    started_at = time.monotonic()

    worker.stop(0.6)
    worker.join()

    assert 0.5 < time.monotonic() - started_at < 3
    assert work.done == []


def test_nothing_is_taken_up_after_the_stop(start: Callable[..., Worker]) -> None:
    worker = start()
    worker.stop(8)
    worker.join()
    worker._worker.join(10)  # noqa: SLF001

    Publisher().send(CRC, "a cargo", about="a cargo")
    time.sleep(0.1)

    assert work.done == []
    assert broker.size("crc") == 1


def test_schedule_is_kept_beside_it(start: Callable[..., Worker]) -> None:
    start(queues=("crc",), with_beat=True)

    wait_until(lambda: broker.size("maintenance") == 2)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param('worker = Worker(queues=("nowhere",), with_beat=False)', id="worker"),
        pytest.param('app.conf.beat_schedule = {"a": 1}; worker = Worker(with_beat=True)', id="schedule"),
    ],
)
def test_process_does_not_go_on_without_its_worker(broken: str) -> None:
    script = (
        "import os, time; os.environ['DJANGO_SETTINGS_MODULE'] = 'gateway.settings'\n"
        "import django; django.setup()\n"
        "from gateway.celery import app; from gateway.servers.worker import Worker\n"
        f"{broken}; worker.start(); time.sleep(50)"
    )
    ended = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, check=False, timeout=60)

    assert ended.returncode == os.EX_SOFTWARE
    assert "worker_failed" in ended.stderr
