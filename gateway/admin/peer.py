"""Pages of the private gateways."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from gateway.admin import columns, formats
from gateway.admin.record import Link, RecordAdmin, list_link
from gateway.admin.search import match_nodes
from gateway.admin.site import console
from gateway.models import CargoCollection, Event, IncomingCargo, OutgoingParcel, ParcelRecord, Peer, StoredParcel
from gateway.models.sizes import NODE_ID_LENGTH


@admin.register(Peer, site=console)
class PeerAdmin(RecordAdmin):
    list_display = (
        columns.short_id("node_id", "node id"),
        columns.state(Peer.State),
        columns.moment("first_seen_at", "first seen"),
        columns.moment("last_seen_at", "last seen", ordering="last_seen_at"),
        columns.moment("certificate_expires_at", "certificate expires"),
    )
    list_filter = ("state",)
    ordering = ("-last_seen_at",)
    search_fields = ("node_id",)
    search_help_text = "A node id, or how one begins."
    lines = (
        columns.whole_id("node_id", "node id"),
        columns.state(Peer.State),
        columns.whole_moment("first_seen_at", "first seen"),
        columns.whole_moment("last_seen_at", "last seen"),
        columns.whole_moment("certificate_expires_at", "certificate expires"),
        columns.column(lambda key_id: formats.whole_id(bytes(key_id or b"").hex()), "session_key_id", "session key"),
        columns.whole_moment("session_key_created_at", "session key made"),
    )

    def match(self, term: str) -> Q:
        return match_nodes(term, ("node_id",))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Peer | None:
        """Find a peer by its node id too, which is all that other rows know of it."""
        if len(object_id) == NODE_ID_LENGTH:
            from_field = "node_id"
        peer: Peer | None = super().get_object(request, object_id, from_field)
        return peer

    def get_links(self, row: Any) -> Iterable[Link]:
        yield list_link("Queued parcels", StoredParcel, peer_id=row.node_id, state=StoredParcel.State.QUEUED)
        yield list_link("Outgoing parcels", OutgoingParcel, peer_id=row.node_id)
        yield list_link("Incoming cargo", IncomingCargo, peer_id=row.node_id)
        yield list_link("Cargo collections", CargoCollection, peer_id=row.node_id)
        yield list_link("Parcel records", ParcelRecord, peer_id=row.node_id)
        yield list_link("Events", Event, peer_id=row.node_id)
