"""Runs the upkeep that is due: by the clock of the database's rows, so that any number of beats does each job once.

What survives a crash at each step: a job that was taken and not finished is due again when its lease ends. Every
job does its work in batches and is safe to repeat, so the next run goes on where the last one stopped.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.batches import CheckTime
from gateway.errors import GatewayError, RecordUnavailableError
from gateway.models import MaintenanceJob, record_errors
from gateway.models.sizes import EVENT_DETAIL_LENGTH
from gateway.services import expire_messages, purge_record, remove_garbage, renew_keys

# Sweeps may have to wait for the same thread, and what was lost is to be hinted within a minute.
MAX_RUN_SECONDS: Final = 20.0
# Far longer than that, so that a job that has not ended by then has died.
LEASE: Final = timedelta(minutes=10)
RETRY_INTERVAL: Final = timedelta(minutes=1)
# For a job that has more to do than fits into one run, so that it does not take half of a small machine.
REST: Final = timedelta(minutes=5)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A kind of upkeep. `run` takes the time and what ends it after its share, and returns what it did in a few words,
    or None if there was nothing to do.
    """

    name: str
    interval: timedelta
    run: Callable[[datetime, CheckTime], str | None]


_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

JOBS: Final = (
    Job(name="renew_identity", interval=_HOUR, run=renew_keys.renew_identity),
    Job(name="expire_stored_parcels", interval=_MINUTE, run=expire_messages.expire_stored_parcels),
    Job(name="expire_outgoing_parcels", interval=_MINUTE, run=expire_messages.expire_outgoing_parcels),
    Job(name="expire_invalid_cargo", interval=_MINUTE, run=expire_messages.expire_invalid_cargo),
    Job(name="purge_settled_rows", interval=_MINUTE, run=purge_record.purge_settled_rows),
    Job(name="purge_events", interval=10 * _MINUTE, run=purge_record.purge_events),
    Job(name="purge_parcel_records", interval=10 * _MINUTE, run=purge_record.purge_parcel_records),
    Job(name="purge_cargo_collections", interval=_HOUR, run=purge_record.purge_cargo_collections),
    Job(name="purge_spent_authorizations", interval=_HOUR, run=purge_record.purge_spent_authorizations),
    Job(name="purge_idle_destinations", interval=_DAY, run=purge_record.purge_idle_destinations),
    Job(name="remove_expired_certificates", interval=_DAY, run=renew_keys.remove_expired_certificates),
    Job(name="remove_old_session_keys", interval=_DAY, run=renew_keys.remove_old_session_keys),
    Job(name="remove_temporary_files", interval=_HOUR, run=remove_garbage.remove_temporary_files),
    # Last, since it takes the longest.
    Job(name="remove_orphaned_objects", interval=_DAY, run=remove_garbage.remove_orphaned_objects),
)


class _TimeOverError(GatewayError):
    """The job has had its share of time."""


def maintain(now: datetime, jobs: tuple[Job, ...] = JOBS) -> None:
    """Run each job that is due and that nobody else has taken; raises `RecordUnavailableError`.

    A job that fails is due again in a minute, and keeps none of the others from running. Where the jobs together take
    long, those that are left wait for the next call.
    """
    began_at = time.monotonic()
    for job in jobs:
        seconds = time.monotonic() - began_at
        if seconds > MAX_RUN_SECONDS:
            break
        moment = now + timedelta(seconds=int(seconds))
        if (run := _Run.take(job, moment)) is not None:
            run.finish()


class _Run:
    """One run of a job, by the process that has taken it."""

    def __init__(self, job: Job, row: MaintenanceJob, now: datetime) -> None:
        self._job = job
        self._row = row
        self._now = now
        self._due_at = row.due_at
        self._run_id = uuid.uuid4()
        self._began_at = time.monotonic()

    @classmethod
    def take(cls, job: Job, now: datetime) -> "_Run | None":
        """Take the job if it is due; None if it is not, or another process was faster."""
        with record_errors():
            row, _ = MaintenanceJob.objects.get_or_create(name=job.name, defaults={"due_at": now})
            if row.due_at > now:
                return None
            run = cls(job, row, now)
            taken = MaintenanceJob.objects.filter(name=job.name, due_at__lte=now, run_id=row.run_id)
            changes = {"run_id": run._run_id, "due_at": now + LEASE, "last_started_at": now}
            return run if taken.update(**changes) else None

    def finish(self) -> None:
        """Do the job, and write down what came of it."""
        try:
            outcome = self._job.run(self._now, self._check_time)
        except _TimeOverError:
            log.info("maintenance_job_interrupted", job=self._job.name)
            self._conclude("more is left to do", due_at=self._moment() + REST, has_failed=False)
        except Exception as error:  # Whatever it is, the other jobs have to run.
            log.exception("maintenance_job_failed", job=self._job.name)
            reason = str(error) if isinstance(error, GatewayError) else f"unforeseen {type(error).__name__}"
            self._conclude(reason, due_at=self._moment() + RETRY_INTERVAL, has_failed=True)
        else:
            if outcome is not None:
                log.info("maintenance_job_done", job=self._job.name, outcome=outcome)
            # By the clock and not by when it ran, lest each run be a little later. Missed runs are not made up for.
            next_due_at = self._due_at + self._job.interval
            moment = self._moment()
            due_at = next_due_at if next_due_at > moment else moment + self._job.interval
            self._conclude(outcome or "nothing to do", due_at=due_at, has_failed=False)

    def _check_time(self) -> None:
        if time.monotonic() - self._began_at > MAX_RUN_SECONDS:
            raise _TimeOverError("the job goes on in its next run")

    def _conclude(self, outcome: str, *, due_at: datetime, has_failed: bool) -> None:
        changes = {
            "due_at": due_at,
            "last_finished_at": self._moment(),
            "last_outcome": outcome[:EVENT_DETAIL_LENGTH],
            "has_failed": has_failed,
        }
        try:
            with record_errors():
                # Another process has begun the job anew, should this one have seemed dead.
                MaintenanceJob.objects.filter(name=self._job.name, run_id=self._run_id).update(**changes)
        except RecordUnavailableError:  # The job is due again when its lease ends.
            log.exception("maintenance_outcome_lost", job=self._job.name)

    def _moment(self) -> datetime:
        """The time by the clock that the caller goes by."""
        return self._now + timedelta(seconds=time.monotonic() - self._began_at)
