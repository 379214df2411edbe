"""One HTTP request exactly as a test says, and its answer as it came."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_SECONDS = 60
_CHUNK = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes


def exchange(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, chunked: bool = False
) -> Response:
    """Headers go out as given; a chunked body goes out without its length."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
    sent: dict[str, str] = dict(headers or {})
    try:
        if chunked:
            chunks = (body[i : i + _CHUNK] for i in range(0, len(body), _CHUNK)) if body else iter(())
            connection.request(
                method, parts.path or "/", chunks, sent | {"Transfer-Encoding": "chunked"}, encode_chunked=True
            )
        else:
            connection.request(method, parts.path or "/", body, sent)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(status=response.status, headers=received, body=response.read())
    finally:
        connection.close()
