"""Serves a small application on one of the gateway's servers, in a process of its own, for tests of the server.

    python -m tests.functional.toy_servers (daphne | uvicorn | waitress) [--ignore-drain] [--hurry]

Prints the port once it listens; ends on SIGTERM. `--hurry` shortens the time limits of HTTP.
"""

import asyncio
import hashlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from gateway.servers import limits
from gateway.servers.bridge import WSGIBridge
from gateway.servers.wsgi import EdgeApplication

_must_drain: set[asyncio.Event] = set()
_ignores_drain = "--ignore-drain" in sys.argv


def toy_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/crash":
        raise RuntimeError("on purpose")
    if path == "/slow":
        time.sleep(1.5)
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if path == "/memory":
        answer = str(_peak_kib()).encode()
    else:
        digest = hashlib.sha256(body).hexdigest()
        answer = f"{environ['gateway.edge']} {len(body)} {digest} {threading.current_thread().name}".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))]
    start_response("200 OK", headers)
    return [answer]


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


async def toy_websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    await receive()
    if scope["path"] == "/refuse":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    match scope["path"]:
        case "/close":
            await send({"type": "websocket.close", "code": int(query["code"]), "reason": query.get("reason", "")})
        case "/echo":
            await _echo(receive, send)
        case "/hold":
            await _hold(receive, send)
        case "/deaf":
            await asyncio.sleep(30)
        case "/flood":
            await send({"type": "websocket.send", "bytes": bytes(int(query["size"]))})
            await send({"type": "websocket.send", "text": "done"})
            await receive()
        case "/crash":
            raise RuntimeError("on purpose")


async def _echo(receive: Any, send: Any) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def _hold(receive: Any, send: Any) -> None:
    drain = asyncio.Event()
    _must_drain.add(drain)
    received = asyncio.ensure_future(receive())
    draining = asyncio.ensure_future(drain.wait())
    await asyncio.wait([received, draining], return_when=asyncio.FIRST_COMPLETED)
    if draining.done():
        await send({"type": "websocket.close", "code": 4000, "reason": "drained"})
        await received
    draining.cancel()
    _must_drain.discard(drain)


def drain() -> None:
    if not _ignores_drain:
        for event in _must_drain:
            event.set()


def make_asgi() -> Any:
    bridge = WSGIBridge(EdgeApplication(toy_wsgi, edge="poweb"), threads=4, name="poweb")

    async def toy_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await bridge(scope, receive, send)
        elif scope["type"] == "websocket":
            await toy_websocket(scope, receive, send)

    return toy_asgi


def announce(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def serve_daphne() -> None:
    from gateway.servers.daphne import Server  # noqa: PLC0415 (installs a reactor)

    server = Server(make_asgi(), host="127.0.0.1", port=0, on_drain=drain, drain_seconds=4)
    server.listen()
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    announce(server.port)
    server.run()


def serve_waitress() -> None:
    from gateway.servers.waitress import WaitressServer  # noqa: PLC0415 (as above)

    application = EdgeApplication(toy_wsgi, edge="pohttp")
    server = WaitressServer(application, host="127.0.0.1", port=0, threads=4, name="pohttp")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.start()
    announce(server.port)
    stop.wait()
    server.stop(4)
    server.join()


def serve_uvicorn() -> None:
    import uvicorn  # noqa: PLC0415 (as above)

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_asgi(),
        ws="websockets-sansio",
        ws_ping_interval=5,
        ws_ping_timeout=4,
        ws_max_size=65_536,
        lifespan="off",
        log_level="critical",
    )
    announce(listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if "--hurry" in sys.argv:
        limits.IDLE_SECONDS, limits.HEADERS_SECONDS, limits.BODY_SECONDS = 2, 1, 2
    {"daphne": serve_daphne, "uvicorn": serve_uvicorn, "waitress": serve_waitress}[sys.argv[1]]()
