"""What the console's first page tells: how much waits, and whether all is well."""

from dataclasses import dataclass
from datetime import datetime

from django.template.defaultfilters import filesizeformat

from gateway.admin import formats
from gateway.admin.columns import Shown
from gateway.admin.record import Link, list_link
from gateway.errors import UnavailableError
from gateway.models import Destination, IncomingCargo, MaintenanceJob, OutgoingParcel, Peer, StoredParcel
from gateway.services.check_health import Health, check_health
from gateway.services.survey_record import Backlog, DestinationSurvey, UpkeepSurvey, survey_record


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A figure, what it counts, a word more, and where the rows are."""

    title: str
    figure: Shown
    remark: Shown
    url: str
    is_bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Overview:
    tiles: tuple[Tile, ...]
    health: Health


def make_overview(now: datetime) -> Overview:
    return Overview(tiles=_make_tiles(now), health=check_health(now))


def _make_tiles(now: datetime) -> tuple[Tile, ...]:
    """The figures; none where the database cannot be counted, which the checks then tell about."""
    try:
        survey = survey_record(now)
    except UnavailableError:
        return ()
    queued = list_link("Parcels queued", StoredParcel, state=StoredParcel.State.QUEUED)
    outgoing = list_link("Parcels for the Internet", OutgoingParcel, state=OutgoingParcel.State.PENDING)
    cargo = list_link("Cargo to be unwrapped", IncomingCargo, state=IncomingCargo.State.PENDING)
    text, url = list_link("Peers", Peer)
    return (
        _make_backlog_tile(queued, survey.queued),
        _make_backlog_tile(outgoing, survey.outgoing),
        _make_backlog_tile(cargo, survey.cargo),
        _make_invalid_cargo_tile(survey.invalid_cargo),
        _make_destinations_tile(survey.destinations),
        _make_upkeep_tile(survey.upkeep),
        Tile(title=text, figure=f"{survey.peers:,}", remark="registered private gateways", url=url),
    )


def _make_backlog_tile(link: Link, backlog: Backlog) -> Tile:
    remark = (
        formats.join(filesizeformat(backlog.octets), " · oldest ", formats.moment(backlog.oldest_at))
        if backlog.number
        else "none waits"
    )
    text, url = link
    return Tile(title=text, figure=f"{backlog.number:,}", remark=remark, url=url)


def _make_invalid_cargo_tile(number: int) -> Tile:
    text, url = list_link("Invalid cargo", IncomingCargo, state=IncomingCargo.State.INVALID)
    remark = "kept for a week at most" if number else "all could be unwrapped"
    return Tile(title=text, figure=f"{number:,}", remark=remark, url=url, is_bad=number > 0)


def _make_destinations_tile(destinations: DestinationSurvey) -> Tile:
    # The list has those in trouble first.
    text, url = list_link("Destinations in trouble", Destination)
    remark = f"{destinations.paused:,} paused" if destinations.paused else "none paused"
    figure = f"{destinations.in_trouble:,}"
    return Tile(title=text, figure=figure, remark=remark, url=url, is_bad=destinations.in_trouble > 0)


def _make_upkeep_tile(upkeep: UpkeepSurvey) -> Tile:
    text, url = list_link("Last upkeep", MaintenanceJob)
    if upkeep.finished_at is None:
        return Tile(title=text, figure="never", remark="no job has ended yet", url=url)
    failed = upkeep.failed_jobs
    remark = f"{failed:,} {'job' if failed == 1 else 'jobs'} failed" if failed else "no job failed"
    return Tile(title=text, figure=formats.moment(upkeep.finished_at), remark=remark, url=url, is_bad=failed > 0)
