"""The timeline of what happened to parcels and private gateways."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q

from gateway.admin import columns, formats
from gateway.admin.record import Link, RecordAdmin, list_link
from gateway.admin.search import NOTHING, match_nodes
from gateway.admin.site import console
from gateway.models import Event

_KINDS = dict(Event.Kind.choices)


def _show_kind(kind: str) -> columns.Shown:
    return formats.badge(kind, _KINDS.get(kind, kind).capitalize())


@admin.register(Event, site=console)
class EventAdmin(RecordAdmin):
    list_display = (
        columns.column(formats.exact_moment, "at", "time", ordering="at"),
        columns.column(_show_kind, "kind", "what"),
        columns.short_id("subject_id", "row"),
        columns.short_peer(),
        columns.column(str, "detail"),
    )
    list_filter = ("kind",)
    ordering = ("-at",)
    search_fields = ("subject_id", "peer_id")
    search_help_text = "The id of a row, such as a parcel's; the id of a peer, or how it begins."
    lines = (
        columns.whole_moment("at", "time"),
        columns.column(_show_kind, "kind", "what"),
        columns.whole_id("subject_id", "row"),
        columns.whole_peer(),
        "detail",
    )

    def match(self, term: str) -> Q:
        return _match_subject(term) | match_nodes(term, ("peer_id",))

    def get_links(self, row: Any) -> Iterable[Link]:
        if row.subject_id:
            yield list_link("Events of this row", Event, subject_id=row.subject_id)
        if row.peer_id:
            yield list_link("Events of this peer", Event, peer_id=row.peer_id)


def _match_subject(term: str) -> Q:
    try:
        return Q(subject_id=uuid.UUID(term))
    except ValueError:
        return NOTHING
