"""HTTP as the clients need it: requests with limits on time and size, failures as :class:`ClientError`."""

import contextlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from awala.clients.errors import InvalidAnswerError, RejectedRequestError, ServerUnavailableError
from awala.errors import InvalidArgumentError

# What the deployed JavaScript client reads of an answer.
MAX_ANSWER_SIZE = 1_048_576
_MAX_MESSAGE_LENGTH = 200
# Refusals that pass with time: too slow, too early, too many requests.
_PASSING = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS))


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP response, read to its end. ``content_type`` is the header as received, parameters and all."""

    status: int
    content_type: str
    location: str | None
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
        printable = "".join(c if c.isprintable() else " " for c in str(text)[:_MAX_MESSAGE_LENGTH]).strip()
        return f"HTTP {self.status}: {printable}" if printable else f"HTTP {self.status}"

    def check_success(self) -> None:
        """Check that the status is 2xx.

        :raises ServerUnavailableError: if it says that the same request may succeed later
        :raises RejectedRequestError: if it is another 4xx
        :raises InvalidAnswerError: if it is anything else
        """
        if self.is_success:
            return
        if self.status // 100 == 5 or self.status in _PASSING:
            raise ServerUnavailableError(f"Server cannot serve now: {self.description}")
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
    return ssl.create_default_context()


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
                body=_read_body(response),
            )
    except httpx.RemoteProtocolError as error:
        raise InvalidAnswerError(f"No valid answer from {url}: {error}") from error
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


def check_url(url: str) -> str:
    """Return ``url`` if it is an absolute one of HTTP or HTTPS.

    :raises InvalidArgumentError: if not
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidArgumentError(f"Malformed URL: {url!r}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidArgumentError(f"Not an HTTP or HTTPS URL: {url!r}")
    return url
