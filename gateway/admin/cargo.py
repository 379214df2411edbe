"""Pages of cargo: what couriers have brought, and what they have come to collect."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from gateway.admin import columns, formats
from gateway.admin.record import Link, RecordAdmin, list_link
from gateway.admin.search import match_digest, match_nodes
from gateway.admin.site import console
from gateway.admin.steering import SteerableAdmin, operator_of
from gateway.models import CargoCollection, Event, IncomingCargo
from gateway.services.steer_cargo import unwrap_again


def _next_attempt(show: Callable[[datetime], columns.Shown]) -> columns.Column:
    """When cargo is to be unwrapped; what is done with keeps a time that says nothing."""

    @admin.display(description="next attempt", ordering="next_attempt_at")
    def show_next_attempt(cargo: IncomingCargo) -> columns.Shown:
        return show(cargo.next_attempt_at) if cargo.state == IncomingCargo.State.PENDING else formats.NOTHING

    return show_next_attempt


@admin.register(IncomingCargo, site=console)
class IncomingCargoAdmin(SteerableAdmin):
    actions = ("unwrap_again",)
    list_display = (
        columns.short_id("pk", "row"),
        columns.state(IncomingCargo.State),
        columns.column(str, "last_error"),
        columns.short_peer(),
        columns.size(),
        columns.column(str, "parcels"),
        columns.column(str, "collection_acks", "ACKs"),
        columns.column(str, "skipped_items", "skipped"),
        _next_attempt(formats.moment),
        columns.column(str, "attempts"),
    )
    list_filter = ("state",)
    # By an index: what was unwrapped last comes first, then what waits.
    ordering = ("-state", "-next_attempt_at")
    search_fields = ("pk", "peer_id", "cargo_id_sha256")
    search_help_text = "A row's id; the id of a peer, or how it begins; a cargo's id."
    lines = (
        columns.whole_id("pk", "row"),
        columns.state(IncomingCargo.State),
        columns.whole_peer(),
        columns.whole_id("cargo_id_sha256", "SHA-256 of the cargo's id"),
        columns.whole_id("sha256", "SHA-256 of the cargo"),
        columns.size(),
        columns.whole_moment("received_at", "received"),
        columns.whole_moment("expires_at", "expires"),
        columns.column(str, "items_done", "items done with"),
        columns.column(str, "parcels"),
        columns.column(str, "collection_acks", "collection ACKs"),
        columns.column(str, "skipped_items", "skipped items"),
        columns.column(str, "attempts"),
        _next_attempt(formats.whole_moment),
        columns.whole_moment("leased_until", "leased until"),
        "last_error",
        columns.whole_moment("settled_at", "settled"),
        columns.whole_id("object_key", "object key"),
    )

    @admin.action(permissions=["steer"], description="Unwrap invalid cargo again")
    def unwrap_again(self, request: HttpRequest, queryset: "QuerySet[IncomingCargo]") -> None:
        operator, now = operator_of(request), timezone.now()
        self.steer(request, queryset, lambda cargo: unwrap_again(cargo, operator, now), "to be unwrapped again")

    def match(self, term: str) -> Q:
        return match_nodes(term, ("peer_id",)) | match_digest(term, "cargo_id_sha256")

    def get_links(self, row: Any) -> Iterable[Link]:
        yield list_link("Events", Event, subject_id=row.pk)


@admin.register(CargoCollection, site=console)
class CargoCollectionAdmin(RecordAdmin):
    list_display = (
        columns.short_id("pk", "row"),
        columns.state(CargoCollection.State),
        columns.short_peer(),
        columns.column(str, "cargoes"),
        columns.column(str, "acknowledged_cargoes", "acknowledged"),
        columns.size("octets"),
        columns.moment("claimed_at", "claimed"),
        columns.moment("fulfilled_at", "fulfilled"),
        columns.moment("expires_at", "authorisation expires", ordering="expires_at"),
    )
    ordering = ("-expires_at",)
    search_fields = ("pk", "peer_id", "cca_id_sha256")
    search_help_text = "A row's id; the id of a peer, or how it begins; the id of a collection authorisation."
    lines = (
        columns.whole_id("pk", "row"),
        columns.state(CargoCollection.State),
        columns.whole_peer(),
        columns.whole_id("cca_id_sha256", "SHA-256 of the authorisation's id"),
        columns.column(str, "cargoes", "cargoes sent"),
        columns.column(str, "acknowledged_cargoes", "cargoes acknowledged"),
        columns.size("octets", "sent"),
        columns.whole_moment("claimed_at", "claimed"),
        columns.whole_moment("claimed_until", "claimed until"),
        columns.whole_moment("fulfilled_at", "fulfilled"),
        columns.whole_moment("expires_at", "authorisation expires"),
    )

    def match(self, term: str) -> Q:
        return match_nodes(term, ("peer_id",)) | match_digest(term, "cca_id_sha256")

    def get_links(self, row: Any) -> Iterable[Link]:
        yield list_link("Events", Event, subject_id=row.pk)
