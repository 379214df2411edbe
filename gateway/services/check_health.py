"""Finds out whether this process can do its work, by doing a little of each kind.

A check that fails says that the gateway cannot serve; a warning, that an operator should look before it cannot.
Whatever is told here may be read by anyone who reaches the console's port, so it names no secrets.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Final

import structlog
from django.db import transaction

from awala.pki import keys
from gateway.errors import GatewayError, StorageUnavailableError
from gateway.first_start import is_set_up
from gateway.keystores import get_keystore
from gateway.models import IncomingCargo, MaintenanceJob, OwnCertificate, SpentAuthorization, record_errors
from gateway.services.due_destinations import find_due_destinations
from gateway.services.load_identity import load_identity
from gateway.shared_call import SharedCall
from gateway.storage import delete_object, load_object, store_object

LIMIT_SECONDS = 2.0
MAX_SESSION_KEY_AGE = timedelta(days=60)
# Some job of the upkeep is due each minute.
MAX_UPKEEP_SILENCE = timedelta(minutes=10)
MAX_OVERDUE = timedelta(minutes=5)

# One key per process: processes that probe at once do not meet, and a crash leaves one tiny object at the most.
_PROBE_KEY = f"health/{uuid.uuid4()}"
_PROBE_OCTETS = b"probe"
# Of the queue for the Internet, so that the longest does not take longer than anybody waits.
_MAX_PAGES: Final = 100

log = structlog.get_logger(__name__)


Facts = Mapping[str, str | float]


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check has found: a sentence for people, facts for programs."""

    status: Status
    detail: str
    facts: Facts = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check by name, its finding, and how long it took."""

    name: str
    finding: Finding
    seconds: float

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, kw_only=True)
class Health:
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """The worst of all."""
        return max((check.finding.status for check in self.checks), key=list(Status).index)


def check_health(now: datetime, *, limit_seconds: float = LIMIT_SECONDS) -> Health:
    """Make every check, all at once; one that takes longer than the limit counts as failed."""
    calls = {name: call.start(now) for name, call in _CALLS.items()}
    wait_for(calls.values(), timeout=limit_seconds)
    return Health(checks=tuple(_conclude(name, call, limit_seconds) for name, call in calls.items()))


def _conclude(name: str, call: "Future[tuple[Finding, float]]", limit_seconds: float) -> Check:
    if call.done():
        finding, seconds = call.result()
    else:
        finding = Finding(status=Status.FAILED, detail=f"no answer within {limit_seconds:g} s")
        seconds = limit_seconds
    if name in _ADVISORY and finding.status is Status.FAILED:
        finding = replace(finding, status=Status.WARNING)
    return Check(name=name, finding=finding, seconds=round(seconds, 4))


def _check_database(now: datetime) -> Finding:
    """Commit a row and its removal, so that a disk that is full or read-only shows."""
    with record_errors():
        if not is_set_up():
            return Finding(status=Status.FAILED, detail="its structure is not up to date: run manage.py setupgateway")
        with transaction.atomic():
            # Should only half of it happen, the row expires like any other of its kind.
            probe = SpentAuthorization(nonce_sha256=f"probe-{uuid.uuid4()}", expires_at=now)
            probe.save(force_insert=True)
            probe.delete()
    return Finding(status=Status.OK, detail="a row was written and removed")


def _check_storage(_now: datetime) -> Finding:
    store_object(_PROBE_KEY, _PROBE_OCTETS)
    octets = load_object(_PROBE_KEY)
    delete_object(_PROBE_KEY)
    if octets != _PROBE_OCTETS:
        raise StorageUnavailableError("the object store returns other octets than it was given")
    return Finding(status=Status.OK, detail="an object was written, read and removed")


def _check_identity(now: datetime) -> Finding:
    identity = load_identity(now)
    facts = {"node_id": identity.node_id, "internet_address": identity.internet_address}
    if keys.node_id(keys.spki_der(identity.private_key.public_key())) != identity.node_id:
        return Finding(status=Status.FAILED, detail="the identity key is another than was certified", facts=facts)
    return Finding(status=Status.OK, detail="the identity key could be loaded", facts=facts)


def _check_certificate(now: datetime) -> Finding:
    with record_errors():
        row = OwnCertificate.objects.order_by("-sequence").first()
    if row is None:
        return Finding(status=Status.FAILED, detail="there is none")
    facts: Facts = {
        "sequence": row.sequence,
        "expires_at": row.expires_at.isoformat(),
        "age_days": _days(now - row.starts_at),
        "days_left": _days(row.expires_at - now),
    }
    if now >= row.expires_at:
        return Finding(status=Status.FAILED, detail="it has expired", facts=facts)
    if now < row.starts_at:
        return Finding(status=Status.FAILED, detail="it is not valid yet: the clock may be wrong", facts=facts)
    if now >= row.starts_at + (row.expires_at - row.starts_at) / 2:
        detail = f"{(row.expires_at - now).days} days left: its renewal is due, which upkeep does each hour"
        return Finding(status=Status.WARNING, detail=detail, facts=facts)
    return Finding(status=Status.OK, detail=f"{(row.expires_at - now).days} days left", facts=facts)


def _check_session_key(now: datetime) -> Finding:
    entry = get_keystore().find_latest_unbound_session_key(load_identity(now).node_id)
    if entry is None:
        return Finding(status=Status.FAILED, detail="there is none")
    age = now - entry.created_at
    facts: Facts = {"created_at": entry.created_at.isoformat(), "age_days": _days(age)}
    if age > MAX_SESSION_KEY_AGE:
        detail = f"{age.days} days old, more than {MAX_SESSION_KEY_AGE.days}"
        return Finding(status=Status.WARNING, detail=detail, facts=facts)
    return Finding(status=Status.OK, detail=f"{age.days} days old", facts=facts)


def _check_upkeep(now: datetime) -> Finding:
    """Tell whether beat and workers do their regular work."""
    with record_errors():
        jobs = list(MaintenanceJob.objects.all())
    ended = [job.last_finished_at for job in jobs if job.last_finished_at is not None]
    if not jobs:
        return Finding(status=Status.OK, detail="it has not begun yet")
    if not ended or now - max(ended) > MAX_UPKEEP_SILENCE:
        detail = "nothing was done for long: a worker and beat have to run"
        return Finding(status=Status.WARNING, detail=detail)
    facts: Facts = {"last_finished_at": max(ended).isoformat()}
    if failing := sorted(job.name for job in jobs if job.has_failed):
        return Finding(status=Status.WARNING, detail=f"failing: {', '.join(failing)}", facts=facts)
    return Finding(status=Status.OK, detail="every job was done when it was due", facts=facts)


def _check_queues(now: datetime) -> Finding:
    """Tell whether what is due is also done."""
    latest = now - MAX_OVERDUE
    with record_errors():
        cargo = IncomingCargo.objects.filter(state=IncomingCargo.State.PENDING, next_attempt_at__lt=latest)
        is_cargo_overdue = cargo.exists()
        # What could have been attempted then: an address that was held back at that time has been due for less long.
        are_parcels_overdue = any(page.due for page in islice(find_due_destinations(latest), _MAX_PAGES))
    overdue = [name for name, is_so in (("cargo", is_cargo_overdue), ("parcels", are_parcels_overdue)) if is_so]
    if overdue:
        minutes = MAX_OVERDUE // timedelta(minutes=1)
        detail = f"{' and '.join(overdue)} due for more than {minutes} minutes: workers are too few, or do not run"
        return Finding(status=Status.WARNING, detail=detail)
    return Finding(status=Status.OK, detail="nothing is overdue")


def _days(duration: timedelta) -> float:
    return round(duration / timedelta(days=1), 1)


def _timed(check: Callable[[datetime], Finding]) -> Callable[[datetime], tuple[Finding, float]]:
    """Make the check tell how long it took, and tell of errors rather than raise them."""

    def run(now: datetime) -> tuple[Finding, float]:
        started_at = time.perf_counter()
        try:
            finding = check(now)
        except GatewayError as error:
            finding = Finding(status=Status.FAILED, detail=str(error))
        except Exception as error:  # Whatever it is, the other checks are still worth telling.
            log.exception("health_check_broke")
            finding = Finding(status=Status.FAILED, detail=f"unforeseen {type(error).__name__}; the log tells more")
        return finding, time.perf_counter() - started_at

    return run


_CALLS: Final = MappingProxyType(
    {
        "database": SharedCall(_timed(_check_database)),
        "storage": SharedCall(_timed(_check_storage)),
        "identity": SharedCall(_timed(_check_identity)),
        "own_certificate": SharedCall(_timed(_check_certificate)),
        "session_key": SharedCall(_timed(_check_session_key)),
        "upkeep": SharedCall(_timed(_check_upkeep)),
        "queues": SharedCall(_timed(_check_queues)),
    }
)
# They look at what other processes do. Their failure says nothing about this one, so nobody is sent elsewhere for it.
_ADVISORY: Final = frozenset({"upkeep", "queues"})
