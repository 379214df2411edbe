"""What the views of both public HTTP edges do before and after their own work.

A view reads the request, calls one service and returns a response; what it or the service raises becomes an answer
by the edge's own table, from error class to status.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Final

import structlog
from django.http import HttpRequest, HttpResponse

from awala.errors import InvalidMessageError
from gateway.errors import GatewayError, KeyUnavailableError, UnavailableError
from gateway.http import RETRY_AFTER_SECONDS, TRY_AGAIN, negotiated_response

View = Callable[[HttpRequest], HttpResponse]
StatusByError = Mapping[type[Exception], int]

# Ours to mend, so a client should keep what it has and come back. What failed is for the log alone.
UNAVAILABLE: Final[StatusByError] = MappingProxyType({UnavailableError: 503, KeyUnavailableError: 503})

log = structlog.get_logger(__name__)


class RefusedRequestError(Exception):
    """The request itself is wrong, whatever the message in it: its answer's status, text and extra headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def public_view(*methods: str, errors: StatusByError = UNAVAILABLE) -> Callable[[View], View]:
    """Make a view that takes these methods (and OPTIONS) and whose errors are answered by the table."""
    allowed = ", ".join(("OPTIONS", *methods))

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if request.method == "OPTIONS":
                return _without_content_type(HttpResponse(status=204, headers={"Allow": allowed}))
            if request.method not in methods:
                response = negotiated_response(request, 405, "Method not allowed")
                response.headers["Allow"] = allowed
                return response
            try:
                return view(request)
            except RefusedRequestError as refusal:
                response = negotiated_response(request, refusal.status, str(refusal))
                for name, value in refusal.headers.items():
                    response.headers[name] = value
                return response
            except (InvalidMessageError, GatewayError) as error:
                return _answer_error(request, error, errors)

        return answer

    return decorate


def require_media_type(request: HttpRequest, media_type: str) -> None:
    """Refuse (415) a request whose body is of another type; parameters do not matter."""
    if request.content_type != media_type:
        raise RefusedRequestError(415, f"Content-Type must be {media_type}")


def read_body(request: HttpRequest, limit: int) -> bytes:
    """The request's body; refuses it (413) if it has more octets than the limit, having read no more than those."""
    if int(request.META.get("CONTENT_LENGTH") or 0) <= limit:
        body: bytes = request.read(limit + 1)
        if len(body) <= limit:
            return body
    raise RefusedRequestError(413, f"Request body is larger than {limit} octets")


def accepted(body: bytes = b"", content_type: str | None = None) -> HttpResponse:
    """The answer (202) to what is now safe with us."""
    response = HttpResponse(body, status=202, content_type=content_type)
    return response if content_type else _without_content_type(response)


def find_status(error: Exception, errors: StatusByError) -> int:
    """The status for an error, by the nearest of its base classes in the table; raises `KeyError`."""
    for error_class in type(error).__mro__:
        if error_class in errors:
            return errors[error_class]
    raise KeyError(type(error))


def _answer_error(request: HttpRequest, error: Exception, errors: StatusByError) -> HttpResponse:
    status = find_status(error, errors)
    if status == 503:  # noqa: PLR2004 - Service Unavailable
        log.error("service_unavailable", reason=str(error), error=type(error).__name__, exc_info=error)
        response = negotiated_response(request, status, TRY_AGAIN)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    log.info("message_refused", status=status, reason=str(error), error=type(error).__name__)
    return negotiated_response(request, status, str(error))


def _without_content_type(response: HttpResponse) -> HttpResponse:
    del response.headers["Content-Type"]
    return response
