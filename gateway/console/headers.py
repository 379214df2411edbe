"""Headers that guard the pages of the console."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Everything that a page needs comes from this very server, none of it inline; nobody may frame it.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
)


class ConsoleHeadersMiddleware:
    """Adds the headers that Django's own middleware knows nothing of to every answer of the console."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response
