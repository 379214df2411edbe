"""Gauges whose values are read from the database at each scrape."""

from collections.abc import Iterator
from datetime import datetime

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from gateway.errors import UnavailableError
from gateway.services.survey_record import Backlog, UpkeepSurvey, survey_record

log = structlog.get_logger(__name__)


def collect_record_metrics(now: datetime) -> Iterator[Metric]:
    """The gauges; without the database, one alone that says so, since the other figures are still worth having."""
    try:
        survey = survey_record(now)
    except UnavailableError as error:
        log.warning("record_not_surveyed", reason=str(error))
        yield _gauge("gateway_record_up", "Whether the database could be read.", 0)
        return
    yield _gauge("gateway_record_up", "Whether the database could be read.", 1)
    yield from _describe("queued", "parcels", "for private gateways", survey.queued, now)
    yield from _describe("outgoing", "parcels", "for the Internet", survey.outgoing, now)
    yield from _describe("incoming", "cargoes", "to be unwrapped", survey.cargo, now)
    yield _gauge("gateway_invalid_cargoes", "Cargo that could not be unwrapped.", survey.invalid_cargo)
    yield _gauge(
        "gateway_destinations_in_trouble",
        "Internet addresses that take no parcels at the moment.",
        survey.destinations.in_trouble,
    )
    yield _gauge(
        "gateway_destinations_paused", "Internet addresses that an operator has paused.", survey.destinations.paused
    )
    yield from _describe_upkeep(survey.upkeep)
    yield _gauge("gateway_peers", "Private gateways registered.", survey.peers)
    if survey.certificate_expires_at is not None:
        yield _gauge(
            "gateway_own_certificate_expiry_timestamp_seconds",
            "When the newest own certificate expires, in Unix time.",
            survey.certificate_expires_at.timestamp(),
        )
    if survey.session_key_created_at is not None:
        yield _gauge(
            "gateway_session_key_created_timestamp_seconds",
            "When the newest published session key was made, in Unix time.",
            survey.session_key_created_at.timestamp(),
        )


def _describe_upkeep(upkeep: UpkeepSurvey) -> Iterator[Metric]:
    yield _gauge("gateway_upkeep_failed_jobs", "Jobs of upkeep that failed at their last run.", upkeep.failed_jobs)
    if upkeep.finished_at is not None:
        yield _gauge(
            "gateway_upkeep_finished_timestamp_seconds",
            "When a job of upkeep ended last, in Unix time.",
            upkeep.finished_at.timestamp(),
        )


def _describe(name: str, items: str, whither: str, backlog: Backlog, now: datetime) -> Iterator[Metric]:
    age = max(0.0, (now - backlog.oldest_at).total_seconds()) if backlog.oldest_at else 0.0
    yield _gauge(f"gateway_{name}_{items}", f"{items.capitalize()} that wait, {whither}.", backlog.number)
    yield _gauge(f"gateway_{name}_bytes", f"Octets of the {items} that wait, {whither}.", backlog.octets)
    yield _gauge(
        f"gateway_{name}_oldest_age_seconds",
        f"Time since the oldest of the {items} that wait, {whither}, came in; 0 if none waits.",
        age,
    )


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)
