"""Pages of the parcels: stored for private gateways, on their way to the Internet, and on record."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from gateway.admin import columns
from gateway.admin.record import Link, RecordAdmin, list_link
from gateway.admin.search import match_nodes, match_parcel_id
from gateway.admin.site import console
from gateway.admin.steering import SteerableAdmin, operator_of
from gateway.models import Destination, Event, OutgoingParcel, ParcelRecord, StoredParcel
from gateway.services.steer_parcel import hold_parcel, release_parcel

_NODES = ("peer_id", "recipient_id", "sender_id")


@admin.register(StoredParcel, site=console)
class StoredParcelAdmin(RecordAdmin):
    list_display = (
        columns.short_id("pk", "row"),
        columns.state(StoredParcel.State),
        columns.short_peer(),
        columns.short_id("recipient_id", "recipient"),
        columns.short_id("sender_id", "sender"),
        columns.size(),
        columns.moment("received_at", "received"),
        columns.moment("expires_at", "expires", ordering="expires_at"),
    )
    list_filter = ("state",)
    # By an index: queued ones first, of those the ones that came last, as far as they live for the same time.
    ordering = ("-state", "-expires_at")
    search_fields = ("pk", *_NODES)
    search_help_text = "A row's id; the id of a peer, recipient or sender, or how it begins; a parcel's id."
    lines = (
        columns.whole_id("pk", "row"),
        columns.state(StoredParcel.State),
        columns.whole_peer(),
        columns.whole_id("recipient_id", "recipient"),
        columns.whole_id("sender_id", "sender"),
        columns.whole_id("parcel_id_sha256", "SHA-256 of the parcel's id"),
        columns.size(),
        columns.whole_moment("received_at", "received"),
        columns.whole_moment("expires_at", "expires"),
        columns.whole_moment("settled_at", "settled"),
        columns.whole_id("object_key", "object key"),
    )

    def match(self, term: str) -> Q:
        return match_nodes(term, _NODES) | match_parcel_id(term)

    def get_links(self, row: Any) -> Iterable[Link]:
        yield list_link("Events", Event, subject_id=row.pk)


@admin.register(OutgoingParcel, site=console)
class OutgoingParcelAdmin(SteerableAdmin):
    actions = ("hold", "release")
    list_display = (
        columns.short_id("pk", "row"),
        columns.state(OutgoingParcel.State),
        columns.column(str, "destination"),
        columns.short_peer(),
        columns.size(),
        columns.column(str, "attempts"),
        columns.moment("next_attempt_at", "next attempt", ordering="next_attempt_at"),
        columns.moment("expires_at", "expires", ordering="expires_at"),
    )
    list_filter = ("state",)
    # By an index: those that were rejected first, then those that wait.
    ordering = ("-state", "-next_attempt_at")
    search_fields = ("pk", "destination", *_NODES)
    search_help_text = (
        "A row's id; a destination; the id of a peer, recipient or sender, or how it begins; a parcel's id."
    )
    lines = (
        columns.whole_id("pk", "row"),
        columns.state(OutgoingParcel.State),
        columns.column(str, "destination"),
        columns.whole_peer(),
        columns.whole_id("recipient_id", "recipient"),
        columns.whole_id("sender_id", "sender"),
        columns.whole_id("parcel_id_sha256", "SHA-256 of the parcel's id"),
        columns.size(),
        columns.whole_moment("received_at", "received"),
        columns.whole_moment("expires_at", "expires"),
        columns.column(str, "attempts"),
        columns.whole_moment("next_attempt_at", "next attempt"),
        columns.whole_moment("leased_until", "leased until"),
        "last_error",
        columns.whole_moment("settled_at", "settled"),
        columns.whole_id("object_key", "object key"),
    )

    @admin.action(permissions=["steer"], description="Hold: do not deliver")
    def hold(self, request: HttpRequest, queryset: "QuerySet[OutgoingParcel]") -> None:
        operator, now = operator_of(request), timezone.now()
        self.steer(request, queryset, lambda parcel: hold_parcel(parcel, operator, now), "held")

    @admin.action(permissions=["steer"], description="Release: deliver what is held")
    def release(self, request: HttpRequest, queryset: "QuerySet[OutgoingParcel]") -> None:
        operator, now = operator_of(request), timezone.now()
        self.steer(request, queryset, lambda parcel: release_parcel(parcel, operator, now), "released")

    def match(self, term: str) -> Q:
        is_named = Q(destination=term.rstrip(".").lower()) | Q(recipient_id=term)
        return is_named | match_nodes(term, _NODES) | match_parcel_id(term)

    def get_links(self, row: Any) -> Iterable[Link]:
        yield list_link("Destination", Destination, internet_address=row.destination)
        yield list_link("Events", Event, subject_id=row.pk)


@admin.register(ParcelRecord, site=console)
class ParcelRecordAdmin(RecordAdmin):
    list_display = (
        columns.short_id("pk", "row"),
        columns.short_peer(),
        columns.short_id("recipient_id", "recipient"),
        columns.short_id("sender_id", "sender"),
        columns.moment("received_at", "received"),
        columns.moment("expires_at", "expires", ordering="expires_at"),
    )
    ordering = ("-expires_at",)
    search_fields = ("pk", *_NODES)
    search_help_text = StoredParcelAdmin.search_help_text
    lines = (
        columns.whole_id("pk", "row"),
        columns.whole_peer(),
        columns.whole_id("recipient_id", "recipient"),
        columns.whole_id("sender_id", "sender"),
        columns.whole_id("parcel_id_sha256", "SHA-256 of the parcel's id"),
        columns.whole_moment("received_at", "received"),
        columns.whole_moment("expires_at", "expires"),
    )

    def match(self, term: str) -> Q:
        return Q(recipient_id=term) | match_nodes(term, _NODES) | match_parcel_id(term)
