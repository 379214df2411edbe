"""Rows that operators may move besides reading them: by actions that call services and tell what these did."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst

from gateway.admin.record import RecordAdmin

# Each row is moved by itself; more than these take longer than a request may.
MAX_ROWS_AT_ONCE = 500


class SteerableAdmin(RecordAdmin):
    """Actions that name the permission "steer" are for those who may change such rows."""

    def has_steer_permission(self, request: HttpRequest) -> bool:
        codename = get_permission_codename("change", self.opts)
        may_steer: bool = request.user.has_perm(f"{self.opts.app_label}.{codename}")
        return may_steer

    def steer(self, request: HttpRequest, rows: "QuerySet[Any]", move: Callable[[Any], bool], outcome: str) -> None:
        """Move each row, and say how many of them could be moved; `outcome` completes "3 parcels …"."""
        chosen = list(rows[: MAX_ROWS_AT_ONCE + 1])
        if len(chosen) > MAX_ROWS_AT_ONCE:
            refusal = f"Nothing was done: choose at most {MAX_ROWS_AT_ONCE} {self.opts.verbose_name_plural} at once."
            self.message_user(request, refusal, messages.ERROR)
            return
        moved = sum(move(row) for row in chosen)
        if moved:
            self.message_user(request, f"{capfirst(self._count(moved))} {outcome}.", messages.SUCCESS)
        if left := len(chosen) - moved:
            self.message_user(request, f"{capfirst(self._count(left))} left unchanged.", messages.WARNING)

    def _count(self, number: int) -> str:
        return f"{number} {self.opts.verbose_name if number == 1 else self.opts.verbose_name_plural}"


def operator_of(request: HttpRequest) -> str:
    """Who acts, as events and the log name them."""
    return request.user.get_username()
