"""Keeps the public edges and the console apart, and accounts for every request."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, get_resolver

from gateway.http import negotiated_response
from gateway.metrics import observe_request
from gateway.servers.wsgi import EDGE

CONSOLE = "console"

_URLCONFS = {"poweb": "poweb.urls", "pohttp": "pohttp.urls"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

logger = structlog.get_logger(__name__)


class PublicEdgeMiddleware:
    """Answers requests of a public edge itself; lets only those of the console pass.

    It stands first. So a public request meets no sessions, no cookies and no console, and cannot tell that the
    console exists; and it costs a third of what the whole chain would.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started_at = time.perf_counter()
        edge = request.META.get(EDGE, CONSOLE)
        request_id = _request_id(request)
        with structlog.contextvars.bound_contextvars(edge=edge, request_id=request_id):
            response = self._get_response(request) if edge == CONSOLE else _respond(request, _URLCONFS[edge])
        response.headers[settings.REQUEST_ID_HEADER] = request_id
        observe_request(
            edge=edge,
            method=request.method or "",
            status=response.status_code,
            seconds=time.perf_counter() - started_at,
        )
        return response


def _respond(request: HttpRequest, urlconf: str) -> HttpResponseBase:
    response = _call_view(request, urlconf)
    if isinstance(response, HttpResponse):
        _describe_body(response)
    # Django would log each refusal as a warning; the metrics count them.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


def _call_view(request: HttpRequest, urlconf: str) -> HttpResponseBase:
    try:
        match = get_resolver(urlconf).resolve(request.path_info)
    except Resolver404:
        return negotiated_response(request, 404, "Not found")
    request.resolver_match = match
    try:
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    except Exception:
        # Whatever it was, the peer learns nothing of it, and tries again later.
        logger.exception("request_failed", method=request.method, path=request.path_info)
        return negotiated_response(request, 500, "Internal error")
    return response


def _describe_body(response: HttpResponse) -> None:
    """Say how long the body is, without which servers close the connection; an empty one has no media type."""
    if not response.content:
        del response.headers["Content-Type"]
    if response.status_code != 204:  # noqa: PLR2004 (No Content)
        response.headers["Content-Length"] = str(len(response.content))


def _request_id(request: HttpRequest) -> str:
    """The id that the proxy in front gave the request, or a new one."""
    given = request.headers.get(settings.REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
