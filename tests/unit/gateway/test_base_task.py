from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.contextvars import get_contextvars
from structlog.typing import EventDict

from gateway import base_task
from gateway.base_task import BaseTask
from gateway.celery import app

# Each task looks after the connection to the database, whichever test has left one open.
pytestmark = pytest.mark.django_db

NAME = "tasks.crc.unit_test"


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("gateway_tasks_total", {"task": NAME, "outcome": outcome}) or 0.0


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


class Work(BaseTask):
    name = NAME
    failure: Exception | None = None

    def run(self, *arguments: object) -> None:
        self.seen = (arguments, get_contextvars())
        if self.failure:
            raise self.failure


@pytest.fixture
def work() -> Iterator[Work]:
    task = Work()
    task.bind(app)
    task.push_request(id="an id")
    yield task
    task.pop_request()


def test_work_is_done_with_its_arguments(work: Work) -> None:
    before = count("done")
    work("one", "two")
    assert work.seen[0] == ("one", "two")
    assert count("done") == before + 1


def test_log_lines_name_the_task_while_it_runs(work: Work) -> None:
    work()
    assert work.seen[1] == {"task": NAME, "task_id": "an id"}
    assert get_contextvars() == {}


def test_failure_is_counted_and_logged_once(work: Work, log: list[EventDict]) -> None:
    before, work.failure = count("failed"), RuntimeError("unforeseen")
    work()
    assert count("failed") == before + 1
    assert [(line["event"], line["task_id"]) for line in log] == [("task_failed", "an id")]


def test_dead_connections_are_replaced_before_and_after(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(base_task, "close_old_connections", lambda: steps.append("connections"))
    monkeypatch.setattr(work, "run", lambda: steps.append("work"))
    work()
    assert steps == ["connections", "work", "connections"]


def test_end_of_the_process_is_no_failure_of_the_task(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def end() -> None:
        raise SystemExit

    monkeypatch.setattr(work, "run", end)
    with pytest.raises(SystemExit):
        work()
