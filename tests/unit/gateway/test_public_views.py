import json
from io import BytesIO
from types import MappingProxyType

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from structlog.testing import capture_logs

from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError
from gateway.errors import GatewayError, KeyUnavailableError, RecordUnavailableError, StorageUnavailableError
from gateway.public_views import (
    UNAVAILABLE,
    RefusedRequestError,
    accepted,
    find_status,
    public_view,
    read_body,
    require_media_type,
)

REQUESTS = RequestFactory()
TABLE = MappingProxyType({MalformedMessageError: 400, InvalidMessageError: 422, **UNAVAILABLE})


def view_raising(error: Exception) -> HttpResponse:
    @public_view("POST", errors=TABLE)
    def view(_request: HttpRequest) -> HttpResponse:
        raise error

    return view(REQUESTS.post("/", headers={"Accept": "application/json"}))


@public_view("GET", "HEAD")
def greet(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello", content_type="text/plain")


# ---------------------------------------------------------------- Methods


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_permitted_methods(method: str) -> None:
    assert greet(REQUESTS.generic(method, "/")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE", "PROPFIND"])
def test_other_methods(method: str) -> None:
    response = greet(REQUESTS.generic(method, "/"))

    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, GET, HEAD")
    assert response.headers["Content-Type"] == "text/plain"


def test_options() -> None:
    response = greet(REQUESTS.options("/"))

    assert (response.status_code, response.headers["Allow"], response.content) == (204, "OPTIONS, GET, HEAD", b"")
    assert "Content-Type" not in response.headers


# ---------------------------------------------------------------- Errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedMessageError("why"), 400),
        (InvalidSignatureError("why"), 422),
        (InvalidMessageError("why"), 422),
        (StorageUnavailableError("why"), 503),
        (RecordUnavailableError("why"), 503),
        (KeyUnavailableError("why"), 503),
    ],
)
def test_errors_by_their_nearest_class(error: Exception, status: int) -> None:
    assert view_raising(error).status_code == status


def test_peers_learn_what_is_wrong_with_their_message() -> None:
    response = view_raising(MalformedMessageError("It is too short"))

    assert json.loads(response.content) == {"message": "It is too short"}
    assert response.headers["Content-Type"] == "application/json"


def test_peers_do_not_learn_what_is_wrong_with_us() -> None:
    with capture_logs() as logs:
        response = view_raising(StorageUnavailableError("the disk of rack 7"))

    assert response.headers["Retry-After"] == "30"
    assert b"rack 7" not in response.content
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("service_unavailable", "the disk of rack 7")]


def test_refused_request_says_so_itself() -> None:
    response = view_raising(RefusedRequestError(401, "Sign it", {"WWW-Authenticate": "Scheme"}))

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Scheme")
    assert json.loads(response.content) == {"message": "Sign it"}


@pytest.mark.parametrize("error", [ValueError("bug"), GatewayError("not in the table")])
def test_errors_that_nobody_foresaw_are_left_to_the_middleware(error: Exception) -> None:
    with pytest.raises((ValueError, KeyError)):
        view_raising(error)


def test_status_of_an_unknown_error() -> None:
    with pytest.raises(KeyError):
        find_status(GatewayError(), TABLE)


# ---------------------------------------------------------------- Requests


@pytest.mark.parametrize("content_type", ["text/plain", "TEXT/Plain", "text/plain; charset=utf-8", "text/plain;x"])
def test_media_type(content_type: str) -> None:
    require_media_type(REQUESTS.generic("POST", "/", b"body", content_type), "text/plain")


@pytest.mark.parametrize("content_type", ["", "text/html", "text/plains", "text", "application/json; text/plain"])
def test_other_media_type(content_type: str) -> None:
    with pytest.raises(RefusedRequestError) as refusal:
        require_media_type(REQUESTS.generic("POST", "/", b"body", content_type), "text/plain")

    assert refusal.value.status == 415


@pytest.mark.parametrize("body", [b"", b"1", b"12345678"])
def test_body_within_its_limit(body: bytes) -> None:
    assert read_body(REQUESTS.generic("POST", "/", body), 8) == body


def test_body_over_its_limit() -> None:
    with pytest.raises(RefusedRequestError) as refusal:
        read_body(REQUESTS.generic("POST", "/", b"123456789"), 8)

    assert refusal.value.status == 413


def test_body_that_is_said_to_be_too_large_is_not_read() -> None:
    stream = BytesIO(b"1")
    request = REQUESTS.generic("POST", "/", CONTENT_LENGTH="9")
    request._stream = stream  # noqa: SLF001 - what a server hands to Django

    with pytest.raises(RefusedRequestError):
        read_body(request, 8)

    assert stream.tell() == 0


def test_body_larger_than_it_was_said_to_be_is_read_no_further() -> None:
    """As a chunked body is, whose length nobody says."""
    stream = BytesIO(bytes(100))
    request = REQUESTS.generic("POST", "/")
    request._stream = stream  # noqa: SLF001 - what a server hands to Django

    with pytest.raises(RefusedRequestError):
        read_body(request, 8)

    assert stream.tell() == 9


# ---------------------------------------------------------------- Acceptance


def test_acceptance_without_a_body() -> None:
    response = accepted()

    assert (response.status_code, response.content) == (202, b"")
    assert "Content-Type" not in response.headers


def test_acceptance_with_a_body() -> None:
    response = accepted(b"{}", "application/json")

    assert (response.content, response.headers["Content-Type"]) == (b"{}", "application/json")
