import asyncio
import io
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from gateway.servers.bridge import BODY_FILE, WSGIBridge
from gateway.servers.limits import MAX_REQUEST_BODY

Message = dict[str, Any]


class Recorder:
    """A WSGI application that remembers what it was given."""

    def __init__(self) -> None:
        self.environ: WSGIEnvironment = {}
        self.body = b""
        self.threads: set[str] = set()
        self.closed = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.environ = environ
        self.body = environ["wsgi.input"].read()
        self.threads.add(threading.current_thread().name)
        start_response("202 Accepted", [("Content-Type", "text/plain"), ("X-Twice", "1"), ("X-Twice", "2")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def application() -> Recorder:
    return Recorder()


def make_scope(**changes: Any) -> Message:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/é",
        "query_string": b"a=1",
        "headers": [],
        "client": ("192.0.2.1", 1234),
        "server": ("127.0.0.1", 8080),
        **changes,
    }


async def call(
    application: WSGIApplication, *, scope: Message | None = None, received: Iterable[Message] = ()
) -> list[Message]:
    events = iter([*received, {"type": "http.request", "body": b""}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(events)

    async def send(message: Message) -> None:
        sent.append(message)

    bridge = WSGIBridge(application, threads=1, name="test")
    await bridge(scope or make_scope(), receive, send)
    return sent


def chunk(octets: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": octets, "more_body": more}


async def test_response_passes_unchanged(application: Recorder) -> None:
    assert await call(application) == [
        {
            "type": "http.response.start",
            "status": 202,
            "headers": [(b"content-type", b"text/plain"), (b"x-twice", b"1"), (b"x-twice", b"2")],
        },
        {"type": "http.response.body", "body": b"one two"},
    ]


async def test_response_is_closed(application: Recorder) -> None:
    await call(application)

    assert application.closed.is_set()


async def test_written_octets_come_first() -> None:
    def write(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])(b"written ")
        return [b"returned"]

    assert (await call(write))[1]["body"] == b"written returned"


async def test_environment_follows_pep_3333(application: Recorder) -> None:
    headers = [(b"content-type", b"text/plain"), (b"accept", b"a/b"), (b"accept", b"c/d"), (b"x_edge", b"forged")]

    await call(application, scope=make_scope(headers=headers))

    environ = application.environ
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/é"
    assert (environ["REQUEST_METHOD"], environ["QUERY_STRING"], environ["REMOTE_ADDR"]) == ("POST", "a=1", "192.0.2.1")
    assert (environ["CONTENT_TYPE"], environ["HTTP_ACCEPT"]) == ("text/plain", "a/b,c/d")
    assert "HTTP_X_EDGE" not in environ


async def test_addresses_may_be_unknown(application: Recorder) -> None:
    await call(application, scope=make_scope(client=None, server=None))

    assert application.environ["REMOTE_ADDR"] == ""


async def test_length_is_that_of_octets_received(application: Recorder) -> None:
    scope = make_scope(headers=[(b"transfer-encoding", b"chunked")])

    await call(application, scope=scope, received=[chunk(b"ab"), chunk(b""), chunk(b"cde", more=False)])

    assert (application.body, application.environ["CONTENT_LENGTH"]) == (b"abcde", "5")
    assert "HTTP_TRANSFER_ENCODING" not in application.environ


async def test_body_file_of_server_is_used_and_closed(application: Recorder) -> None:
    file = io.BytesIO(b"spooled")

    await call(application, scope=make_scope(extensions={BODY_FILE: {"file": file}}))

    assert application.body == b"spooled"
    assert file.closed


async def test_declared_excess_is_refused_unread(application: Recorder) -> None:
    headers = [(b"content-length", b"%d" % (MAX_REQUEST_BODY + 1)), (b"accept", b"application/json")]

    start, body = await call(application, scope=make_scope(headers=headers))

    assert start["status"] == 413
    assert (b"content-type", b"application/json") in start["headers"]
    assert body["body"].startswith(b'{"message":')
    assert not application.environ


async def test_excess_is_refused_as_soon_as_it_is_received(application: Recorder) -> None:
    megabyte = chunk(bytes(1_000_000))

    sent = await call(application, received=[megabyte] * 10)

    assert sent[0]["status"] == 413
    assert not application.environ


async def test_nothing_is_done_for_a_client_that_left(application: Recorder) -> None:
    assert await call(application, received=[chunk(b"a"), {"type": "http.disconnect"}]) == []
    assert not application.environ


async def test_failure_reaches_the_server() -> None:
    def fail(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await call(fail)


async def test_one_thread_serves_request_after_request(application: Recorder) -> None:
    bridge = WSGIBridge(application, threads=1, name="test")

    async def receive() -> Message:
        return chunk(b"", more=False)

    async def send(_message: Message) -> None:
        pass

    for _ in range(3):
        await bridge(make_scope(), receive, send)

    assert application.threads == {"test-0"}


async def test_cancelled_request_disturbs_nobody(application: Recorder) -> None:
    may_go_on = threading.Event()

    def wait(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        may_go_on.wait(10)
        return application(environ, start_response)

    task = asyncio.create_task(call(wait))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_go_on.set()
    assert await asyncio.to_thread(application.closed.wait, 10)
    await asyncio.sleep(0.05)


def test_thread_outlives_its_event_loop(application: Recorder) -> None:
    may_go_on = threading.Event()

    def wait(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        may_go_on.wait(10)
        return application(environ, start_response)

    async def start() -> None:
        task = asyncio.create_task(call(wait))
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(start())
    may_go_on.set()
    assert application.closed.wait(10)
