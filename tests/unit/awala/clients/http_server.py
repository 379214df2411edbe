"""A small HTTP server that answers as it is told and remembers what it was asked."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes | None = None


Behaviour = Callable[[Request], Reply]


@dataclass(kw_only=True)
class Server:
    url: str
    requests: list[Request] = field(default_factory=list)


def replies(*replies_in_turn: Reply) -> Behaviour:
    """Return the behaviour of giving these replies, one after the other."""
    remaining = iter(replies_in_turn)
    return lambda _: next(remaining)


@contextmanager
def serve(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve on a free port of the loopback interface; as ``localhost``, to which certificates of tests are issued."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Header and body are sent apart, and the body would wait for the header to be acknowledged.
        disable_nagle_algorithm = True

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Request(method=self.command, path=self.path, headers=dict(self.headers), body=body)
            server.requests.append(asked)
            reply = behaviour(asked)
            if reply.raw is not None:
                self.wfile.write(reply.raw)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = _handle  # noqa: N815 - named by http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
            """Keep the output of the tests clean."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    server = Server(url=f"{'https' if tls else 'http'}://localhost:{httpd.server_port}/")
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
