"""Starts the toy servers, and speaks HTTP to them octet by octet."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Toy:
    port: int
    process: subprocess.Popen[str]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def toy_server(kind: str, *options: str) -> Iterator[Toy]:
    command = [sys.executable, "-m", "tests.functional.toy_servers", kind, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        toy = Toy(port=int(process.stdout.readline()), process=process)
        try:
            yield toy
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=15)
            process.kill()


def receive_all(connection: socket.socket) -> bytes:
    """What the server sends until it closes."""
    received = b""
    with suppress(ConnectionResetError):
        while octets := connection.recv(65_536):
            received += octets
    return received


def seconds_until_closed(connection: socket.socket) -> float:
    started_at = time.monotonic()
    receive_all(connection)
    return time.monotonic() - started_at
