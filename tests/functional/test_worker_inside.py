"""The worker inside the gateway's one process: it works, and its work does not keep the gateway from ending."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.functional.conftest import StartGateway
from tests.functional.gateway_process import GatewayProcess

WRAPPER = (sys.executable, "-m", "tests.functional.toy_gateway")
PATIENCE_SECONDS = 30

pytestmark = pytest.mark.functional


class Toy:
    """A gateway that has begun a task which takes some seconds."""

    def __init__(self, folder: Path, stack: ExitStack, *, seconds: float) -> None:
        self.log = folder / "toy.log"
        environment = {"TOY_LOG": str(self.log), "TOY_SECONDS": str(seconds)}
        process = GatewayProcess(folder / "data", environment=environment, wrapper=WRAPPER)
        self.process = stack.enter_context(process)
        self.wait_for("begun inside")

    def wait_for(self, beginning: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.has(beginning):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def has(self, beginning: str) -> bool:
        return self.log.exists() and any(line.startswith(beginning) for line in self.log.read_text().splitlines())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_task_is_carried_out(tmp_path: Path, stack: ExitStack) -> None:
    toy = Toy(tmp_path, stack, seconds=0)

    toy.wait_for("ended inside")


def test_task_that_runs_is_ended_before_the_process(tmp_path: Path, stack: ExitStack) -> None:
    toy = Toy(tmp_path, stack, seconds=3)
    started_at = time.monotonic()

    assert toy.process.stop() == 0

    assert toy.has("ended inside")
    assert time.monotonic() - started_at < 10


def test_task_that_hangs_does_not_keep_the_process(tmp_path: Path, stack: ExitStack) -> None:
    toy = Toy(tmp_path, stack, seconds=60)
    started_at = time.monotonic()

    assert toy.process.stop() == 0

    assert not toy.has("ended inside")
    assert time.monotonic() - started_at < 10.5


def test_upkeep_runs_by_the_clock(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    sweeps = 'gateway_tasks_total{outcome="done",task="tasks.maintenance.sweep"} '
    deadline = time.monotonic() + PATIENCE_SECONDS

    while sweeps not in (metrics := httpx.get(f"{gateway.console_url}/metrics").text):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert "task_failed" not in gateway.log
    assert 'outcome="failed",task=' not in metrics
