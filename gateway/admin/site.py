"""The console itself: Django's admin, on its own port, with an overview in front."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from gateway.admin.overview import make_overview
from gateway.admin.sign_in import SignInForm

# As operators think of them; kinds that are not named come last.
_ORDER = (
    "Peer",
    "StoredParcel",
    "OutgoingParcel",
    "Destination",
    "IncomingCargo",
    "CargoCollection",
    "ParcelRecord",
    "Event",
    "MaintenanceJob",
    "OwnCertificate",
    "StoredKey",
)


class ConsoleSite(admin.AdminSite):
    site_title = "Awala gateway"
    site_header = "Awala gateway"
    index_title = "Overview"
    site_url = None
    login_form = SignInForm
    index_template = "console/index.html"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "internet_address": settings.INTERNET_ADDRESS}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        overview = make_overview(timezone.now())
        return super().index(request, {**(extra_context or {}), "overview": overview})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        apps.sort(key=lambda app: app["app_label"] != "gateway")
        for app in apps:
            app["models"].sort(key=lambda model: _rank(model["object_name"]))
        return apps


def _rank(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


console = ConsoleSite(name="admin")
