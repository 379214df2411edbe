"""Pages of the gateway's own certificates and keys. What a key is sealed in is never even read."""

import hashlib
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from awala.pki.certificate import Certificate
from gateway.admin import columns, formats
from gateway.admin.record import RecordAdmin
from gateway.admin.search import match_nodes
from gateway.admin.site import console
from gateway.models import OwnCertificate, StoredKey


@admin.display(description="validity")
def _show_validity(row: OwnCertificate) -> SafeString:
    now = timezone.now()
    if now >= row.expires_at:
        return formats.badge("expired")
    if now < row.starts_at:
        return formats.badge("held", "not yet valid")
    if now >= row.starts_at + (row.expires_at - row.starts_at) / 2:
        return formats.badge("warning", "past half of its life")
    return formats.badge("ok", "valid")


@admin.display(description="days left")
def _show_days_left(row: OwnCertificate) -> str:
    return str(max(timedelta(), row.expires_at - timezone.now()).days)


def _show_fingerprint(certificate_der: bytes) -> columns.Shown:
    return formats.whole_id(hashlib.sha256(certificate_der).hexdigest())


def _show_serial_number(certificate_der: bytes) -> columns.Shown:
    return formats.whole_id(f"{Certificate.parse(bytes(certificate_der)).serial_number:x}")


@admin.register(OwnCertificate, site=console)
class OwnCertificateAdmin(RecordAdmin):
    list_display = (
        columns.column(str, "sequence", ordering="sequence"),
        _show_validity,
        _show_days_left,
        columns.moment("starts_at", "valid from"),
        columns.moment("expires_at", "expires", ordering="expires_at"),
        columns.column(
            lambda der: formats.short_id(hashlib.sha256(der).hexdigest()), "certificate_der", "SHA-256 fingerprint"
        ),
    )
    ordering = ("-sequence",)
    lines = (
        "sequence",
        _show_validity,
        _show_days_left,
        columns.whole_moment("starts_at", "valid from"),
        columns.whole_moment("expires_at", "expires"),
        columns.whole_moment("created_at", "issued"),
        columns.whole_id("node_id", "node id"),
        columns.column(_show_serial_number, "certificate_der", "serial number"),
        columns.column(_show_fingerprint, "certificate_der", "SHA-256 fingerprint"),
    )


def _show_users(peer_id: str) -> columns.Shown:
    return formats.peer_link(peer_id, formats.short_id(peer_id)) if peer_id else "all"


@admin.register(StoredKey, site=console)
class StoredKeyAdmin(RecordAdmin):
    list_display = (
        columns.short_id("key_id", "key id"),
        columns.column(str, "kind"),
        columns.column(_show_users, "peer_id", "peer"),
        columns.moment("created_at", "made"),
    )
    list_filter = ("kind",)
    ordering = ("kind", "node_id", "peer_id", "created_at")
    search_fields = ("key_id", "peer_id")
    search_help_text = "A key's id; the id of a peer, or how it begins."
    lines = (
        columns.whole_id("key_id", "key id"),
        "kind",
        columns.column(_show_users, "peer_id", "peer"),
        columns.whole_id("node_id", "identity"),
        columns.whole_moment("created_at", "made"),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        keys: QuerySet[Any] = super().get_queryset(request).defer("sealed")
        return keys

    def match(self, term: str) -> Q:
        return Q(key_id=term.lower()) | match_nodes(term, ("peer_id",))
