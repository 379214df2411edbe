"""What stands between any WSGI server and Django, the same for every edge."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gateway.servers.limits import LARGE_BODIES_AT_ONCE, LARGE_BODY

EDGE = "gateway.edge"
"""The key of the WSGI environment that says which edge a request came in by."""


class EdgeApplication:
    """Marks requests with the edge they came in by, and lets few large bodies into memory at a time."""

    def __init__(self, application: WSGIApplication, *, edge: str) -> None:
        self._application = application
        self._edge = edge
        self._large_bodies = threading.BoundedSemaphore(LARGE_BODIES_AT_ONCE)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[EDGE] = self._edge
        if int(environ.get("CONTENT_LENGTH") or 0) > LARGE_BODY:
            # The application reads the whole body before it returns.
            with self._large_bodies:
                chunks = self._application(environ, start_response)
        else:
            chunks = self._application(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD":
            return _NoBody(chunks)
        return chunks


class _NoBody:
    """Keeps the body back, which Django gives for HEAD as well, but closes the response when told."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._close: Callable[[], Any] = getattr(chunks, "close", lambda: None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        self._close()
