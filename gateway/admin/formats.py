"""How values are shown: short in lists, with the whole value where the pointer rests."""

import uuid
from datetime import UTC, datetime

from django.db.models import Choices
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

_SHORT_LENGTH = 13
NOTHING = "-"


def short_id(value: str | uuid.UUID | None) -> SafeString | str:
    """The beginning of an id, enough to tell it from others."""
    text = str(value or "")
    if len(text) <= _SHORT_LENGTH:
        return whole_id(text)
    return format_html('<code title="{}">{}…</code>', text, text[:_SHORT_LENGTH])


def whole_id(value: str | uuid.UUID | None) -> SafeString | str:
    return format_html('<code class="id">{}</code>', value) if value else NOTHING


def peer_link(node_id: str, shown: SafeString | str) -> SafeString | str:
    """A link to the page of a private gateway, which is found by its node id too."""
    if not node_id:
        return NOTHING
    return format_html('<a href="{}">{}</a>', reverse("admin:gateway_peer_change", args=(node_id,)), shown)


def size(octets: int) -> SafeString:
    return format_html('<span title="{} octets">{}</span>', octets, filesizeformat(octets))


def moment(at: datetime | None) -> SafeString | str:
    """How long ago it was, or how soon it will be."""
    if at is None:
        return NOTHING
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), _write(at), _distance(at))


def exact_moment(at: datetime) -> SafeString | str:
    """When it was, to the second; for timelines."""
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), _distance(at), _write(at))


def whole_moment(at: datetime | None) -> SafeString | str:
    if at is None:
        return NOTHING
    return format_html(
        '<time datetime="{}">{} <span class="quiet">({})</span></time>', at.isoformat(), _write(at), _distance(at)
    )


def badge(value: str, label: str = "") -> SafeString:
    """A word in a colour of its own, which console.css knows."""
    return format_html('<span class="badge badge-{}">{}</span>', value, label or value)


def state_badge(value: str, choices: type[Choices]) -> SafeString:
    return badge(value, dict(choices.choices).get(value, value).lower())


def _write(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _distance(at: datetime) -> str:
    now = timezone.now()
    if at > now:
        return f"in {timesince(now, at, depth=1)}"
    # Django counts in whole minutes, so that less is none.
    return "just now" if (now - at).total_seconds() < 60 else f"{timesince(at, now, depth=1)} ago"  # noqa: PLR2004


def join(*parts: SafeString | str) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))
