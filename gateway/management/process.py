"""What the commands that serve have in common: taking ports, and leaving when told."""

import atexit
import os
import queue
import signal
from collections.abc import Callable, Sequence
from typing import Protocol
from wsgiref.types import WSGIApplication

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError

from gateway.env import BindAddress
from gateway.first_start import is_set_up
from gateway.servers.limits import raise_open_files_limit, return_large_blocks
from gateway.servers.waitress import WaitressServer
from gateway.wsgi import console_application, pohttp_application

DRAIN_SECONDS = 8
_LEAVE_SECONDS = 9.5


class MainServer(Protocol):
    """A server that runs in the main thread."""

    def run(self) -> None: ...
    def stop(self) -> None: ...


class ThreadedServer(Protocol):
    """A server that runs in threads of its own."""

    def start(self) -> None: ...

    def stop(self, seconds: float) -> None:
        """Take nothing new and end what runs, for as long at most. Returns at once, even in a signal handler."""

    def join(self) -> None:
        """Wait until it has stopped."""


class WaitForSignal:
    """Occupies the main thread of a process whose servers have threads of their own."""

    def __init__(self) -> None:
        # Unlike an Event, it may be told from within a signal handler.
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        self._told.get()

    def stop(self) -> None:
        self._told.put(None)


def serve(*, main: MainServer, threaded: Sequence[ThreadedServer], on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; then drain, and return within ten seconds, whatever hangs."""

    def leave(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, _LEAVE_SECONDS)
        for server in threaded:
            server.stop(DRAIN_SECONDS)
        main.stop()

    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    # By then every thread has ended, and Python is about to forget what to do about this signal.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    raise_open_files_limit()
    return_large_blocks()
    for server in threaded:
        server.start()
    on_ready()
    main.run()
    for server in threaded:
        server.join()


def listen_pohttp() -> WaitressServer:
    return _listen(pohttp_application, settings.POHTTP_BIND, settings.POHTTP_THREADS, "PoHTTP")


def listen_console() -> WaitressServer:
    return _listen(console_application, settings.CONSOLE_BIND, settings.CONSOLE_THREADS, "console")


def require_set_up() -> None:
    """Refuse to serve on a database that another release, or nobody, prepared."""
    try:
        ready = is_set_up()
    except DatabaseError as exc:
        raise CommandError(f"The database cannot be used: {exc}") from exc
    if not ready:
        raise CommandError("The database is not up to date: run `manage.py setupgateway` first")


def port_error(role: str, bind: BindAddress, error: OSError) -> CommandError:
    return CommandError(f"{role} cannot listen on {bind}: {error.strerror}")


def url(bind: BindAddress, port: int, path: str = "") -> str:
    """Where a browser or client on this machine reaches a server; `port` is the one it really has."""
    return f"http://{BindAddress(bind.host, port)}{path}"


def _listen(application: WSGIApplication, bind: BindAddress, threads: int, role: str) -> WaitressServer:
    try:
        return WaitressServer(application, host=bind.host, port=bind.port, threads=threads, name=role.lower())
    except OSError as exc:
        raise port_error(role, bind, exc) from exc
