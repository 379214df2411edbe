"""HTTP as the clients need it: requests with limits on time and size, failures as :class:`ClientError`."""

import contextlib
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from awala.clients.errors import InvalidAnswerError, RejectedRequestError, ServerUnavailableError
from awala.errors import InvalidArgumentError

# What the deployed JavaScript client reads of an answer.
MAX_ANSWER_SIZE = 1_048_576
MAX_REDIRECTS: Final = 3
MAX_RETRY_AFTER_SECONDS: Final = 3_600
_MAX_MESSAGE_LENGTH = 200
# The only ones that repeat the request as it was.
_REDIRECTS = frozenset((HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT))
# Refusals that pass with time: too slow, too early, too many requests.
_PASSING = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS))
# Those which may say how long they last (RFC 9110, section 10.2.3; RFC 6585, section 4).
_TIMED = frozenset((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP response, read to its end. ``content_type`` is the header as received, parameters and all."""

    status: int
    content_type: str
    location: str | None
    retry_after: str | None = None
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status // 100 == 2

    @property
    def description(self) -> str:
        """The status and what the server says of it, to be shown to people."""
        text = self.body.decode(errors="replace")
        with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
            text = json.loads(text)["message"]
        printable = shorten(str(text))
        return f"HTTP {self.status}: {printable}" if printable else f"HTTP {self.status}"

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the server asks to be left alone, an hour at most; ``None`` if it does not say."""
        if self.status not in _TIMED or self.retry_after is None:
            return None
        try:
            seconds = _read_retry_after(self.retry_after.strip())
        except (ValueError, OverflowError):
            return None
        return min(max(seconds, 0), MAX_RETRY_AFTER_SECONDS)

    def check_success(self) -> None:
        """Check that the status is 2xx.

        :raises ServerUnavailableError: if it says that the same request may succeed later
        :raises RejectedRequestError: if it is another 4xx
        :raises InvalidAnswerError: if it is anything else
        """
        if self.is_success:
            return
        if self.status // 100 == 5 or self.status in _PASSING:
            raise ServerUnavailableError(
                f"Server cannot serve now: {self.description}", retry_after_seconds=self.retry_after_seconds
            )
        if self.status // 100 == 4:
            raise RejectedRequestError(f"Server rejected the request: {self.description}", status=self.status)
        raise InvalidAnswerError(f"Unexpected answer: {self.description}")

    def read_body(self, content_type: str) -> bytes:
        """Return the body of a success, which must be of exactly this type, as deployed clients insist.

        :raises ClientError: as :meth:`check_success`, or if the type is another
        """
        self.check_success()
        if self.content_type != content_type:
            raise InvalidAnswerError(f"Answer is of type {self.content_type!r} and not {content_type!r}")
        return self.body


def shorten(text: str) -> str:
    """Return the beginning of what a server said, fit to be shown to people and to be kept in a log."""
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_MESSAGE_LENGTH]).strip()


def open_client(*, timeout: float) -> httpx.Client:
    """Return an HTTP client; ``timeout`` is in seconds, for the connection and for each read and write."""
    return httpx.Client(
        timeout=timeout,
        verify=tls_context(),
        # Proxies of the environment would not apply to WebSockets, so they are not used here either.
        trust_env=False,
        # A small compressed answer could unfold to a large one.
        headers={"Accept": "application/json, */*;q=0.5", "Accept-Encoding": "identity"},
    )


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings of every client: the system's authorities, or those in ``SSL_CERT_FILE``."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def request(
    client: httpx.Client,
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request and read the answer; redirects are not followed.

    :raises ServerUnavailableError: if there is no answer
    :raises InvalidAnswerError: if the answer is no HTTP, or too large
    """
    try:
        with client.stream(method, url, content=body, headers=headers) as response:
            return Answer(
                status=response.status_code,
                content_type=response.headers.get("Content-Type", ""),
                location=response.headers.get("Location"),
                retry_after=response.headers.get("Retry-After"),
                body=_read_body(response),
            )
    except httpx.RemoteProtocolError as error:
        raise InvalidAnswerError(f"No valid answer from {url}: {shorten(str(error))}") from error
    except httpx.TimeoutException as error:
        raise ServerUnavailableError(f"No answer from {url} in time") from error
    except httpx.TransportError as error:
        raise ServerUnavailableError(f"Cannot reach {url}: {error}") from error


def _read_body(response: httpx.Response) -> bytes:
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_SIZE:
            raise InvalidAnswerError("Answer is too large")
    return body


def _read_retry_after(value: str) -> float:
    if value.isascii() and value.isdecimal():
        return float(value)
    moment = parsedate_to_datetime(value)
    # A date without its zone is in UTC (RFC 9110, section 5.6.7).
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def follow_redirects(url: str, send: Callable[[str], Answer]) -> Answer:
    """Return the first answer that is no redirect, repeating the request by ``send`` wherever it is redirected to.

    Up to three redirects are followed, but never from HTTPS to HTTP.

    :raises InvalidAnswerError: if a redirect is one too many, or makes no sense
    :raises ClientError: as ``send`` does
    """
    target = url
    for _ in range(1 + MAX_REDIRECTS):
        answer = send(target)
        if answer.status not in _REDIRECTS:
            return answer
        target = _resolve_redirect(target, answer.location)
    raise InvalidAnswerError(f"More than {MAX_REDIRECTS} redirects from {url}")


def _resolve_redirect(url: str, location: str | None) -> str:
    if not location:
        raise InvalidAnswerError("Redirect does not say where to")
    try:
        target = check_url(urljoin(url, location))
    except (InvalidArgumentError, ValueError) as error:
        raise InvalidAnswerError(f"Redirect to an impossible place: {location[:_MAX_MESSAGE_LENGTH]!r}") from error
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise InvalidAnswerError("Redirect from HTTPS to HTTP")
    return target


def check_url(url: str) -> str:
    """Return ``url`` if it is an absolute one of HTTP or HTTPS.

    :raises InvalidArgumentError: if not
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
        # Both readers have to agree: one checks URLs, the other says where to connect.
        has_host = httpx.URL(url).host != ""
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidArgumentError(f"Malformed URL: {url!r}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_host:
        raise InvalidArgumentError(f"Not an HTTP or HTTPS URL: {url!r}")
    return url
