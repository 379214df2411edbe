"""The page of what the gateway does by itself, and when it did so last."""

from django.contrib import admin
from django.db.models import Q

from gateway.admin import columns, formats
from gateway.admin.record import RecordAdmin
from gateway.admin.site import console
from gateway.models import MaintenanceJob


def _result() -> columns.Column:
    return columns.column(
        lambda has_failed: formats.badge("failed") if has_failed else formats.badge("ok"), "has_failed", "result"
    )


@admin.register(MaintenanceJob, site=console)
class MaintenanceJobAdmin(RecordAdmin):
    list_display = (
        columns.column(str, "name"),
        _result(),
        columns.column(str, "last_outcome", "what it did last"),
        columns.moment("last_started_at", "last started"),
        columns.moment("last_finished_at", "last finished"),
        columns.moment("due_at", "due"),
    )
    ordering = ("name",)
    search_fields = ("name",)
    search_help_text = "A job's name."
    lines = (
        "name",
        _result(),
        columns.column(str, "last_outcome", "what it did last"),
        columns.whole_moment("last_started_at", "last started"),
        columns.whole_moment("last_finished_at", "last finished"),
        columns.whole_moment("due_at", "due"),
        columns.whole_id("run_id", "run"),
    )

    def match(self, term: str) -> Q:
        return Q(name=term)
