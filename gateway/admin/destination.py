"""Pages of the Internet addresses that parcels leave for."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from gateway.admin import columns, formats
from gateway.admin.record import Link, list_link
from gateway.admin.site import console
from gateway.admin.steering import SteerableAdmin, operator_of
from gateway.models import Destination, Event, OutgoingParcel
from gateway.services.steer_destination import pause_destination, resume_destination


def _circuit() -> columns.Column:
    return columns.column(lambda state: formats.state_badge(state, Destination.State), "state", "circuit")


def _paused() -> columns.Column:
    return columns.column(lambda is_paused: formats.badge("paused") if is_paused else "no", "is_paused", "paused")


@admin.display(description="parcels that wait")
def _backlog(destination: Destination) -> str:
    parcels = OutgoingParcel.objects.filter(destination=destination.internet_address)
    waiting = parcels.filter(state=OutgoingParcel.State.PENDING).count()
    held = parcels.filter(state=OutgoingParcel.State.HELD).count()
    return f"{waiting:,}, and {held:,} held"


class PausedFilter(admin.SimpleListFilter):
    """In words of its own: beside the circuit's states, yes and no would not tell of what."""

    title = "paused"
    parameter_name = "is_paused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("1", "Paused"), ("0", "Not paused")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":  # noqa: ARG002
        return queryset.filter(is_paused=self.value() == "1") if self.value() else queryset


@admin.register(Destination, site=console)
class DestinationAdmin(SteerableAdmin):
    actions = ("pause", "resume")
    list_display = (
        columns.column(str, "internet_address", "Internet address"),
        _circuit(),
        _paused(),
        columns.column(str, "consecutive_failures", "failures"),
        columns.moment("failing_since", "failing since"),
        columns.moment("next_attempt_at", "next attempt", ordering="next_attempt_at"),
        columns.column(str, "last_error"),
    )
    list_filter = ("state", PausedFilter)
    # By an index: those that take nothing at the moment come first.
    ordering = ("-state", "-next_attempt_at")
    search_fields = ("pk", "internet_address")
    search_help_text = "An Internet address, or a row's id."
    lines = (
        columns.column(formats.whole_id, "internet_address", "Internet address"),
        _circuit(),
        _paused(),
        _backlog,
        columns.column(str, "consecutive_failures", "failures in a row"),
        columns.whole_moment("failing_since", "failing since"),
        columns.column(lambda seconds: f"{seconds:,} s", "retry_interval_seconds", "time between attempts"),
        columns.whole_moment("next_attempt_at", "next attempt"),
        columns.whole_moment("last_success_at", "last success"),
        columns.whole_moment("last_failure_at", "last failure"),
        "last_error",
        columns.whole_id("pk", "row"),
    )

    @admin.action(permissions=["steer"], description="Pause: let no parcel leave")
    def pause(self, request: HttpRequest, queryset: "QuerySet[Destination]") -> None:
        operator = operator_of(request)
        self.steer(request, queryset, lambda destination: pause_destination(destination, operator), "paused")

    @admin.action(permissions=["steer"], description="Resume: let parcels leave again")
    def resume(self, request: HttpRequest, queryset: "QuerySet[Destination]") -> None:
        operator = operator_of(request)
        self.steer(request, queryset, lambda destination: resume_destination(destination, operator), "resumed")

    def match(self, term: str) -> Q:
        return Q(internet_address=term.rstrip(".").lower())

    def get_links(self, row: Any) -> Iterable[Link]:
        state = OutgoingParcel.State.PENDING
        yield list_link("Waiting parcels", OutgoingParcel, destination=row.internet_address, state=state)
        yield list_link("All parcels", OutgoingParcel, destination=row.internet_address)
        yield list_link("Events", Event, subject_id=row.pk)
