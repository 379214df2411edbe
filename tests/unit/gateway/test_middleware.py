import re
from collections.abc import Iterator

import pytest
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path
from prometheus_client import REGISTRY

from gateway import middleware
from gateway.middleware import PublicEdgeMiddleware


def greet(_request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(f"Hello {name}", content_type="text/plain")


def accept(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=202)


def give_nothing(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def fail(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret")


def show_context(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(repr(structlog.contextvars.get_contextvars()), content_type="text/plain")


urlpatterns = [
    path("greet/<name>", greet),
    path("accept", accept),
    path("nothing", give_nothing),
    path("fail", fail),
    path("context", show_context),
]


@pytest.fixture(autouse=True)
def _edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_URLCONFS", {"poweb": __name__})


def call(request_path: str, *, edge: str | None = "poweb", method: str = "GET", **headers: str) -> HttpResponse:
    request = RequestFactory().generic(
        method, request_path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    if edge:
        request.META["gateway.edge"] = edge
    response = PublicEdgeMiddleware(lambda _: HttpResponse("of the console"))(request)
    assert isinstance(response, HttpResponse)
    return response


def count(method: str, status: str) -> float:
    labels = {"edge": "poweb", "method": method, "status": status}
    return REGISTRY.get_sample_value("gateway_http_requests_total", labels) or 0


def test_public_request_is_answered_by_its_edge() -> None:
    response = call("/greet/you")

    assert response.content == b"Hello you"
    assert response.headers["Content-Length"] == "9"


@pytest.mark.parametrize("edge", ["console", None])
def test_console_request_passes(edge: str | None) -> None:
    assert call("/greet/you", edge=edge).content == b"of the console"


@pytest.mark.parametrize("unknown", ["/", "/admin/", "/livez", "/greet/you/"])
def test_other_paths_do_not_exist(unknown: str) -> None:
    response = call(unknown, Accept="application/json")

    assert (response.status_code, response.content) == (404, b'{"message": "Not found"}')


def test_empty_body_has_no_media_type() -> None:
    response = call("/accept")

    assert "Content-Type" not in response.headers
    assert response.headers["Content-Length"] == "0"


def test_no_content_has_no_length() -> None:
    assert "Content-Length" not in call("/nothing").headers


def test_unforeseen_failure_is_opaque() -> None:
    response = call("/fail")

    assert (response.status_code, response.content) == (500, b"Internal error")
    assert response.headers["Content-Type"] == "text/plain"


def test_unforeseen_failure_is_logged_once() -> None:
    with structlog.testing.capture_logs() as entries:
        call("/fail")

    assert [(entry["event"], entry["path"]) for entry in entries] == [("request_failed", "/fail")]
    assert entries[0]["exc_info"]


def test_request_id_of_proxy_is_kept() -> None:
    response = call("/context", **{settings.REQUEST_ID_HEADER: "abc-1.2"})

    assert response.headers[settings.REQUEST_ID_HEADER] == "abc-1.2"
    assert b"'request_id': 'abc-1.2'" in response.content
    assert b"'edge': 'poweb'" in response.content


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é"])
def test_request_id_is_made_where_none_is_usable(given: str) -> None:
    response = call("/greet/you", **{settings.REQUEST_ID_HEADER: given})

    assert re.fullmatch(r"[0-9a-f]{32}", response.headers[settings.REQUEST_ID_HEADER])


def test_log_context_ends_with_request() -> None:
    call("/greet/you")

    assert structlog.contextvars.get_contextvars() == {}


def test_requests_are_counted() -> None:
    before = count("GET", "404")

    call("/unknown")

    assert count("GET", "404") == before + 1


def test_invented_methods_share_one_count() -> None:
    before = count("other", "200")

    call("/greet/you", method="BREW")

    assert count("other", "200") == before + 1


@pytest.fixture(autouse=True)
def _clean_log_context() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
