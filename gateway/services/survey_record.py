"""Counts what the gateway holds, for the console and the metrics."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from gateway.errors import KeyUnavailableError, RecordUnavailableError
from gateway.keystores import get_keystore
from gateway.models import (
    Destination,
    IncomingCargo,
    MaintenanceJob,
    OutgoingParcel,
    OwnCertificate,
    Peer,
    StoredParcel,
    record_errors,
)
from gateway.shared_call import SharedCall

LIMIT_SECONDS = 3.0
# Counting a million rows takes a second or so: a survey serves for this long, and the longer the more it took.
_MIN_AGE_SECONDS = 2.0
_AGE_PER_SECOND = 20.0


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Parcels or cargo that wait: how many, their octets, and when the oldest came in."""

    number: int
    octets: int
    oldest_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class DestinationSurvey:
    """How many Internet addresses take nothing at the moment, and how many an operator has paused."""

    in_trouble: int
    paused: int


@dataclass(frozen=True, kw_only=True)
class UpkeepSurvey:
    """When a job of the gateway's upkeep ended last, and how many have failed at their last run."""

    finished_at: datetime | None
    failed_jobs: int


@dataclass(frozen=True, kw_only=True)
class RecordSurvey:
    surveyed_at: datetime
    queued: Backlog
    outgoing: Backlog
    cargo: Backlog
    invalid_cargo: int
    destinations: DestinationSurvey
    upkeep: UpkeepSurvey
    peers: int
    certificate_expires_at: datetime | None
    session_key_created_at: datetime | None


# The last survey, and until when it serves by the monotonic clock. Replaced whole, so that threads need no lock.
_latest: tuple[RecordSurvey, float] | None = None


def survey_record(now: datetime, *, limit_seconds: float = LIMIT_SECONDS) -> RecordSurvey:
    """A survey that is a few seconds old at the most, or as old as it must be to cost little.

    Raises `RecordUnavailableError`, also where counting takes longer than the limit; it then goes on for the next
    who asks.
    """
    if _latest is not None and time.monotonic() < _latest[1]:
        return _latest[0]
    try:
        return _CALL.start(now).result(timeout=limit_seconds)
    except TimeoutError as exc:
        raise RecordUnavailableError(f"the database did not count within {limit_seconds:g} s") from exc


def forget_survey() -> None:
    """Count anew at the next use."""
    global _latest  # noqa: PLW0603 - a cache of one
    _latest = None


def _survey(now: datetime) -> RecordSurvey:
    global _latest  # noqa: PLW0603 - a cache of one
    started_at = time.monotonic()
    with record_errors():
        certificate = OwnCertificate.objects.order_by("-sequence").first()
        survey = RecordSurvey(
            surveyed_at=now,
            queued=_count(StoredParcel.objects.filter(state=StoredParcel.State.QUEUED, expires_at__gt=now)),
            outgoing=_count(OutgoingParcel.objects.filter(state=OutgoingParcel.State.PENDING, expires_at__gt=now)),
            cargo=_count(IncomingCargo.objects.filter(state=IncomingCargo.State.PENDING, expires_at__gt=now)),
            invalid_cargo=IncomingCargo.objects.filter(state=IncomingCargo.State.INVALID).count(),
            destinations=_survey_destinations(),
            upkeep=_survey_upkeep(),
            peers=Peer.objects.count(),
            certificate_expires_at=certificate.expires_at if certificate else None,
            session_key_created_at=_find_session_key_time(certificate.node_id) if certificate else None,
        )
    ended_at = time.monotonic()
    _latest = survey, ended_at + max(_MIN_AGE_SECONDS, (ended_at - started_at) * _AGE_PER_SECOND)
    return survey


def _count(waiting: "QuerySet[Any]") -> Backlog:
    row = waiting.aggregate(number=Count("pk"), octets=Sum("size"), oldest_at=Min("received_at"))
    return Backlog(number=row["number"], octets=row["octets"] or 0, oldest_at=row["oldest_at"])


def _survey_destinations() -> DestinationSurvey:
    is_in_trouble = ~Q(state=Destination.State.CLOSED)
    row = Destination.objects.aggregate(
        in_trouble=Count("pk", filter=is_in_trouble), paused=Count("pk", filter=Q(is_paused=True))
    )
    return DestinationSurvey(**row)


def _survey_upkeep() -> UpkeepSurvey:
    row = MaintenanceJob.objects.aggregate(
        finished_at=Max("last_finished_at"), failed_jobs=Count("pk", filter=Q(has_failed=True))
    )
    return UpkeepSurvey(**row)


def _find_session_key_time(node_id: str) -> datetime | None:
    try:
        entry = get_keystore().find_latest_unbound_session_key(node_id)
    except KeyUnavailableError:
        return None
    return entry.created_at if entry else None


_CALL: Final = SharedCall(_survey)
