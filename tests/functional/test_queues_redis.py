"""Hints by way of a real Redis, to workers in processes of their own; what dies in between costs a delay alone."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import celery
import pytest

from tests.functional.gateway_process import PROJECT, STOP_SECONDS, set_up
from tests.functional.missing import give_up
from tests.functional.redis_server import RedisMissingError, RedisServer

NOTE = "tasks.crc.toy_note"
SLEEP = "tasks.crc.toy_sleep"
# Within this time a worker has started, or come back after an outage.
PATIENCE_SECONDS = 60
# A publisher that tries as its users do: it says how long the call took, and then waits for the thread that sends.
PUBLISH = """
import os, sys, time, uuid
os.environ["DJANGO_SETTINGS_MODULE"] = "gateway.settings"
import django; django.setup()
from gateway.queues import hint_cargo, hint_outgoing_parcel
started_at = time.monotonic()
for _ in range(100):
    hint_cargo(uuid.uuid4())
    hint_outgoing_parcel(uuid.uuid4(), "pong.example.com")
print(time.monotonic() - started_at)
time.sleep(float(sys.argv[1]))
"""

pytestmark = [pytest.mark.functional, pytest.mark.timeout(240)]


class Cluster:
    """A Redis, a folder of data, and workers that are started one by one."""

    def __init__(self, folder: Path, data_dir: Path, broker: RedisServer, stack: ExitStack) -> None:
        self.broker = broker
        self.log = folder / "toy.log"
        self._folder = folder
        self._stack = stack
        self._workers = 0
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "PATH", "TMPDIR")},
            **{name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "PYTHON"))},
            "INTERNET_ADDRESS": "gateway.example.com",
            "GATEWAY_DATA_DIR": str(data_dir),
            "REDIS_URL": broker.url,
            "LOG_FORMAT": "json",
            "TOY_LOG": str(self.log),
            "TOY_SECONDS": "4",
        }

    def start(self, *command: str) -> "Process":
        self._workers += 1
        process = Process(command, self._folder / f"worker{self._workers}.log", self.environment)
        self._stack.callback(process.close)
        return process

    def start_worker(self, *options: str, app: str = "tests.functional.toy_tasks") -> "Process":
        command = ("-m", "celery", "-A", app, "worker", "--without-mingle", "--without-gossip", *options)
        worker = self.start(*command)
        worker.wait_for_line(" ready.")
        return worker

    def send(self, task: str, argument: str) -> None:
        with celery.Celery("tests", broker=self.broker.url, set_as_current=False) as sender:
            sender.send_task(task, [argument], queue="crc", ignore_result=True)

    def run(self, script: str, *arguments: str) -> str:
        command = [sys.executable, "-c", script, *arguments]
        finished = subprocess.run(
            command, cwd=PROJECT, env=self.environment, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        return finished.stdout

    def lines(self, beginning: str) -> list[str]:
        text = self.log.read_text() if self.log.exists() else ""
        return [line for line in text.splitlines() if line.startswith(beginning)]

    def wait_for(self, beginning: str, number: int = 1) -> None:
        wait_until(lambda: len(self.lines(beginning)) >= number)


class Process:
    def __init__(self, arguments: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for_line(self, text: str, number: int = 1) -> None:
        wait_until(lambda: self.log.read_text(errors="replace").count(text) >= number or not self.is_running)
        assert self.is_running, self.log.read_text(errors="replace")[-4_000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        if self.is_running:
            self.kill()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that every test may use: they are about what lies outside of it."""
    folder = tmp_path_factory.mktemp("queues") / "data"
    set_up(folder)
    return folder


@pytest.fixture
def cluster(tmp_path: Path, data_dir: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        try:
            broker = stack.enter_context(RedisServer(tmp_path))
        except RedisMissingError as error:
            give_up("QUEUES", error)
        yield Cluster(tmp_path, data_dir, broker, stack)


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_task_is_carried_out_by_another_process(cluster: Cluster) -> None:
    worker = cluster.start_worker()

    cluster.send(NOTE, "one")

    cluster.wait_for("done one")
    assert cluster.broker.client.llen("crc") == 0
    wait_until(lambda: not cluster.broker.client.exists("unacked"))
    assert worker.terminate() == 0


def test_task_of_a_worker_that_dies_is_not_lost(cluster: Cluster) -> None:
    """It stays with Redis, which gives it out again once it is overdue; the sweep does not wait for that."""
    worker = cluster.start_worker()
    cluster.send(SLEEP, "one")
    cluster.wait_for("begun one")

    worker.kill()

    assert cluster.broker.client.hlen("unacked") == 1
    assert cluster.lines("ended") == []


def test_overdue_task_is_given_to_another_worker(cluster: Cluster) -> None:
    first = cluster.start_worker()
    cluster.send(SLEEP, "one")
    cluster.wait_for("begun one")
    first.kill()
    # As if the time for which others must not see it had gone by.
    client = cluster.broker.client
    [tag] = client.hkeys("unacked")
    client.zadd("unacked_index", {str(tag): time.time() - 3_600})

    cluster.start_worker()

    cluster.wait_for("ended one")
    assert len(cluster.lines("begun one")) == 2


def test_child_of_a_worker_of_processes_that_dies_costs_no_task(cluster: Cluster) -> None:
    worker = cluster.start_worker("-P", "processes", "-c", "1")
    cluster.send(SLEEP, "one")
    cluster.wait_for("begun one")
    child = int(cluster.lines("begun one")[0].split()[-1])

    os.kill(child, signal.SIGKILL)

    cluster.wait_for("ended one")
    assert worker.is_running


def test_worker_comes_back_to_a_redis_that_was_restarted(cluster: Cluster) -> None:
    worker = cluster.start_worker()
    cluster.send(NOTE, "one")
    cluster.wait_for("done one")

    cluster.broker.kill()
    time.sleep(2)
    cluster.broker.start()
    cluster.send(NOTE, "two")

    cluster.wait_for("done two")
    assert worker.is_running


def test_worker_that_is_busy_outlives_redis(cluster: Cluster) -> None:
    """What it has in hand when Redis dies can neither be acknowledged nor given back."""
    worker = cluster.start_worker()
    cluster.send(SLEEP, "one")
    cluster.send(SLEEP, "two")
    cluster.send(NOTE, "three")
    cluster.wait_for("begun", 2)

    cluster.broker.kill()
    cluster.wait_for("ended", 2)
    cluster.broker.start()
    cluster.send(NOTE, "four")

    cluster.wait_for("done four")
    assert worker.is_running


def test_worker_goes_on_after_redis_was_flushed(cluster: Cluster) -> None:
    cluster.start_worker()
    cluster.send(NOTE, "one")
    cluster.wait_for("done one")

    cluster.broker.client.flushall()
    cluster.send(NOTE, "two")

    cluster.wait_for("done two")


def test_schedule_outlives_redis(cluster: Cluster) -> None:
    """Both what is sent regularly and who carries it out come back by themselves."""
    beat = cluster.start("-m", "celery", "-A", "gateway", "beat")
    wait_until(lambda: cluster.broker.client.llen("maintenance") == 2)

    cluster.broker.kill()
    beat.wait_for_line("hints_failing")
    cluster.broker.start()

    beat.wait_for_line("hints_recovered")
    assert beat.log.read_text().count("hints_failing") == 1
    assert cluster.broker.client.llen("maintenance") >= 1
    assert beat.terminate() == 0


def test_hints_are_no_burden_while_redis_is_down(cluster: Cluster) -> None:
    cluster.broker.kill()

    assert float(cluster.run(PUBLISH, "0.5")) < 1


def test_hints_are_no_burden_while_redis_hangs(cluster: Cluster) -> None:
    os.kill(cluster.broker.pid, signal.SIGSTOP)

    assert float(cluster.run(PUBLISH, "0.5")) < 1


def test_hints_reach_the_queues_with_those_about_the_same_merged(cluster: Cluster) -> None:
    cluster.start("-c", PUBLISH, "60")

    wait_until(lambda: cluster.broker.client.llen("crc") == 100)
    assert 1 <= int(str(cluster.broker.client.llen("pdc"))) < 100


def test_worker_by_our_own_command_keeps_the_schedule(cluster: Cluster) -> None:
    worker = cluster.start("manage.py", "runworker", "--beat")
    worker.wait_for_line("Worker  crc, pdc, maintenance, with the schedule")
    cluster.send("tasks.crc.unwrap_cargo", str(uuid.uuid4()))
    wait_until(lambda: not cluster.broker.client.exists("crc", "maintenance", "unacked"))

    started_at = time.monotonic()
    assert worker.terminate() == 0
    assert time.monotonic() - started_at < 10
    assert "task_failed" not in worker.log.read_text()


def test_worker_ends_while_redis_is_down(cluster: Cluster) -> None:
    worker = cluster.start("manage.py", "runworker", "--beat")
    worker.wait_for_line("Connected to redis")
    cluster.broker.kill()
    worker.wait_for_line("hints_failing")

    started_at = time.monotonic()
    assert worker.terminate() == 0
    assert time.monotonic() - started_at < 10
