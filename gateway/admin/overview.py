"""What the console's first page tells: how much waits, and whether all is well."""

from dataclasses import dataclass
from datetime import datetime

from django.template.defaultfilters import filesizeformat

from gateway.admin import formats
from gateway.admin.columns import Shown
from gateway.admin.record import Link, list_link
from gateway.errors import UnavailableError
from gateway.models import OutgoingParcel, Peer, StoredParcel
from gateway.services.check_health import Health, check_health
from gateway.services.survey_record import Backlog, survey_record


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A figure, what it counts, a word more, and where the rows are."""

    title: str
    figure: str
    remark: Shown
    url: str


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
    text, url = list_link("Peers", Peer)
    return (
        _make_backlog_tile(queued, survey.queued),
        _make_backlog_tile(outgoing, survey.outgoing),
        Tile(title=text, figure=f"{survey.peers:,}", remark="registered private gateways", url=url),
    )


def _make_backlog_tile(link: Link, backlog: Backlog) -> Tile:
    remark = (
        formats.join(filesizeformat(backlog.octets), " · oldest ", formats.moment(backlog.oldest_at))
        if backlog.parcels
        else "none waits"
    )
    text, url = link
    return Tile(title=text, figure=f"{backlog.parcels:,}", remark=remark, url=url)
