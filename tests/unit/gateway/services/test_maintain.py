import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from gateway.batches import CheckTime
from gateway.errors import RecordUnavailableError, StorageUnavailableError
from gateway.models import MaintenanceJob
from gateway.services import maintain as module
from gateway.services.ensure_identity import ensure_identity
from gateway.services.load_identity import forget_identity
from gateway.services.maintain import JOBS, LEASE, REST, RETRY_INTERVAL, Job, maintain

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECONDS = 5
# Between what a job takes here and what would be another minute.
TOLERANCE = timedelta(seconds=30)

pytestmark = pytest.mark.django_db


class Runs:
    """A job that notes when it was run, and does what the test wants."""

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.moments: list[datetime] = []
        self._do = do

    def __call__(self, now: datetime, check_time: CheckTime) -> str | None:
        self.moments.append(now)
        self._do()
        check_time()
        return "3 rows removed"


def make_job(run: Callable[[datetime, CheckTime], str | None], name: str = "job") -> Job:
    return Job(name=name, interval=HOUR, run=run)


def get_row(name: str = "job") -> MaintenanceJob:
    return MaintenanceJob.objects.get(name=name)


def fail() -> None:
    raise StorageUnavailableError("the object store failed")


def crash() -> None:
    """End as a process does that is killed: nothing after it is done."""
    raise SystemExit


def test_names_of_jobs_are_unique() -> None:
    assert len({job.name for job in JOBS}) == len(JOBS)


def test_every_job_runs_on_an_empty_record() -> None:
    ensure_identity(NOW)

    maintain(NOW)

    assert not MaintenanceJob.objects.filter(has_failed=True).exists()
    assert MaintenanceJob.objects.filter(last_finished_at__isnull=False).count() == len(JOBS)
    forget_identity()


def test_job_is_run_when_its_time_has_come_and_not_before() -> None:
    job = make_job(run := Runs())

    for minutes in (0, 1, 59, 60, 61, 120):
        maintain(NOW + timedelta(minutes=minutes), (job,))

    assert run.moments == [NOW, NOW + HOUR, NOW + 2 * HOUR]


def test_what_was_done_is_written_down() -> None:
    maintain(NOW, (make_job(Runs()),))

    row = get_row()
    assert (row.last_outcome, row.has_failed) == ("3 rows removed", False)
    assert row.last_started_at is not None
    assert row.last_finished_at is not None
    assert NOW <= row.last_started_at <= row.last_finished_at < NOW + TOLERANCE


def test_nothing_to_do_is_written_down() -> None:
    maintain(NOW, (make_job(lambda _now, _check_time: None),))

    assert get_row().last_outcome == "nothing to do"


def test_runs_do_not_drift() -> None:
    """Each run is due by the last due time: a beat that is a little late does not skip every other run."""
    job = make_job(Runs())
    maintain(NOW, (job,))

    maintain(NOW + HOUR + timedelta(seconds=40), (job,))

    assert get_row().due_at == NOW + 2 * HOUR


def test_missed_runs_are_not_made_up_for() -> None:
    job = make_job(run := Runs())
    maintain(NOW, (job,))

    later = NOW + 10 * HOUR + timedelta(minutes=5)
    maintain(later, (job,))
    maintain(later + timedelta(minutes=1), (job,))

    assert len(run.moments) == 2
    assert later + HOUR <= get_row().due_at < later + HOUR + TOLERANCE


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StorageUnavailableError("the object store failed"), "the object store failed"),
        (RuntimeError("a secret"), "unforeseen RuntimeError"),
        (StorageUnavailableError("x" * 1_000), "x" * 255),
    ],
)
def test_failure_is_written_down_and_tried_again_soon(error: Exception, outcome: str) -> None:
    def break_down(_now: datetime, _check_time: CheckTime) -> None:
        raise error

    maintain(NOW, (make_job(break_down),))

    row = get_row()
    assert (row.last_outcome, row.has_failed) == (outcome, True)
    assert NOW + RETRY_INTERVAL <= row.due_at < NOW + RETRY_INTERVAL + TOLERANCE
    maintain(row.due_at, (make_job(Runs()),))
    assert not get_row().has_failed


def test_job_that_fails_keeps_none_from_running() -> None:
    others = Runs(), Runs()

    maintain(NOW, (make_job(others[0], "first"), make_job(Runs(fail), "second"), make_job(others[1], "third")))

    assert [len(run.moments) for run in others] == [1, 1]


def test_job_whose_worker_dies_is_due_again_before_long() -> None:
    with pytest.raises(SystemExit):
        maintain(NOW, (make_job(Runs(crash)),))
    job = make_job(run := Runs())

    maintain(NOW + LEASE - timedelta(seconds=1), (job,))
    assert run.moments == []

    maintain(NOW + LEASE, (job,))
    assert len(run.moments) == 1


def test_long_job_ends_after_its_share_and_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUN_SECONDS", 0.05)

    def work(_now: datetime, check_time: CheckTime) -> str:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            check_time()
        pytest.fail("the job was not interrupted")

    maintain(NOW, (make_job(work),))

    row = get_row()
    assert (row.last_outcome, row.has_failed) == ("more is left to do", False)
    assert NOW + REST <= row.due_at < NOW + REST + TOLERANCE


def test_jobs_that_are_left_wait_for_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long job must keep neither sweeps nor, for long, other jobs from running."""
    monkeypatch.setattr(module, "MAX_RUN_SECONDS", 0.05)
    run = Runs()
    jobs = (make_job(lambda _now, _check_time: time.sleep(0.1), "long"), make_job(run, "short"))

    maintain(NOW, jobs)
    assert run.moments == []

    maintain(NOW + timedelta(minutes=1), jobs)
    assert len(run.moments) == 1


def test_outcome_of_a_job_that_was_taken_over_counts_for_nothing() -> None:
    def work(now: datetime, _check_time: CheckTime) -> str:
        maintain(now + LEASE, (make_job(Runs()),))
        return "an old outcome"

    maintain(NOW, (make_job(work),))

    assert get_row().last_outcome == "3 rows removed"


def test_database_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(MaintenanceJob.objects, "get_or_create", break_down)

    with pytest.raises(RecordUnavailableError):
        maintain(NOW)


def test_outcome_that_cannot_be_written_keeps_no_job_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Runs()

    def break_database(_now: datetime, _check_time: CheckTime) -> None:
        def break_down(*_args: object, **_kwargs: object) -> None:
            monkeypatch.undo()
            raise OperationalError("gone")

        monkeypatch.setattr(MaintenanceJob.objects, "filter", break_down)

    maintain(NOW, (make_job(break_database, "first"), make_job(run, "second")))

    assert len(run.moments) == 1
    assert get_row("first").due_at == NOW + LEASE


@pytest.mark.django_db(transaction=True)
def test_beats_at_once_do_each_job_once() -> None:
    beats = 4
    runs = [Runs() for _ in range(5)]
    jobs = tuple(make_job(run, f"job {number}") for number, run in enumerate(runs))
    together = threading.Barrier(beats)

    def beat() -> None:
        together.wait(SECONDS)
        try:
            maintain(NOW, jobs)
        finally:
            connection.close()

    for _ in range(2):  # The rows are made by the first beats, and found by the next.
        with ThreadPoolExecutor(beats) as threads:
            for beaten in [threads.submit(beat) for _ in range(beats)]:
                beaten.result(SECONDS)

    assert [len(run.moments) for run in runs] == [1] * len(runs)
