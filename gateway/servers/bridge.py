"""Serves a WSGI application under an ASGI server.

The a2wsgi package serves the same purpose, but: Django sees an empty body where a request is chunked, a request crosses
between the event loop and a thread at least four times, bodies have no limit, and a thread that waits for an
event loop that is gone keeps the process from ending.
"""

import asyncio
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gateway.http import encode_message
from gateway.servers.limits import LARGE_BODY, MAX_REQUEST_BODY

BODY_FILE = "gateway.body"
"""The ASGI extension by which a server hands over a body that it has in a file already."""

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BodyTooLargeError(Exception):
    pass


class ClientGoneError(Exception):
    pass


@dataclass(kw_only=True)
class _Response:
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class WSGIBridge:
    """An ASGI application that runs a WSGI one in threads of its own, which live as long as the process.

    Long-lived threads keep their database connections. They are daemons: one that hangs cannot keep the
    process from ending. Responses are collected whole, which suits those of PoWeb: none exceeds a few KiB.
    """

    def __init__(self, application: WSGIApplication, *, threads: int, name: str = "wsgi") -> None:
        self._application = application
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body, length = await _read_body(scope, receive)
        except ClientGoneError:
            return
        except BodyTooLargeError:
            response = _refusal(scope)
        else:
            response = await self._respond(_build_environ(scope, body, length), body)
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _respond(self, environ: WSGIEnvironment, body: IO[bytes]) -> _Response:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Response] = loop.create_future()

        def settle(response: _Response | None, error: Exception | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(cast("_Response", response))
            else:
                future.set_exception(error)

        def job() -> None:
            response, error = None, None
            try:
                with body:
                    response = _call(self._application, environ)
            except Exception as exc:  # noqa: BLE001 (whoever waits for the future gets it)
                error = exc
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, response, error)

        self._jobs.put(job)
        return await future

    def _work(self) -> None:
        while True:
            self._jobs.get()()


async def _read_body(scope: Scope, receive: Receive) -> tuple[IO[bytes], int]:
    handed_over = scope.get("extensions", {}).get(BODY_FILE)
    if handed_over is not None:
        file: IO[bytes] = handed_over["file"]
        length = file.seek(0, 2)
        file.seek(0)
        return file, length
    return await _spool_body(_header(scope, b"content-length"), receive)


async def _spool_body(declared_length: str, receive: Receive) -> tuple[IO[bytes], int]:
    if declared_length.isdecimal() and int(declared_length) > MAX_REQUEST_BODY:
        raise BodyTooLargeError
    with ExitStack() as stack:
        body = cast("IO[bytes]", stack.enter_context(SpooledTemporaryFile(max_size=LARGE_BODY)))
        length, has_more = 0, True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            length += len(chunk)
            if length > MAX_REQUEST_BODY:
                raise BodyTooLargeError
            body.write(chunk)
            has_more = message.get("more_body", False)
        body.seek(0)
        stack.pop_all()  # The thread that reads the body closes it.
    return body, length


def _refusal(scope: Scope) -> _Response:
    message = f"The body must not exceed {MAX_REQUEST_BODY} octets"
    content_type, body = encode_message(_header(scope, b"accept"), message)
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    return _Response(status=413, headers=headers, body=body)


def _call(application: WSGIApplication, environ: WSGIEnvironment) -> _Response:
    response = _Response()
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], object]:
        response.status = int(status.split(" ", 1)[0])
        response.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return written.append

    chunks: Iterable[bytes] = application(environ, cast("StartResponse", start_response))
    try:
        written.extend(chunks)
    finally:
        # Django signals the end of the request here, and keeps or closes database connections.
        getattr(chunks, "close", lambda: None)()
    response.body = b"".join(written)
    return response


def _build_environ(scope: Scope, body: IO[bytes], length: int) -> WSGIEnvironment:
    server_host, server_port = scope.get("server") or ("localhost", 0)
    client_host, client_port = scope.get("client") or ("", 0)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server_host,
        "SERVER_PORT": str(server_port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client_host,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        # A header name with an underscore could pass for another header.
        if b"_" not in name:
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ["CONTENT_LENGTH"] = str(length)
    return environ


def _header(scope: Scope, wanted: bytes) -> str:
    return b",".join(value for name, value in scope["headers"] if name == wanted).decode("latin-1")
