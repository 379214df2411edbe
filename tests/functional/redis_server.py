"""A real Redis on the loopback that keeps nothing on disk, and that tests may kill, flush and start again."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import redis

from tests.functional.gateway_process import Ports

_HOST = "127.0.0.1"
_START_SECONDS = 10.0


class RedisMissingError(RuntimeError):
    """There is no Redis on this machine."""


class RedisServer:
    """Enter its `with` block, or call `start` and `kill`; raises RedisMissingError when it is made."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise RedisMissingError("there is no redis-server on the PATH (Debian: apt-get install redis-server)")
        self.port = Ports.choose().console
        self._command = [program, "--port", str(self.port), "--bind", _HOST, "--save", "", "--appendonly", "no"]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://{_HOST}:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """For looking into what it holds."""
        return redis.Redis(port=self.port, decode_responses=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns once it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, cwd=self._folder)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Redis did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once (SIGKILL); all that it holds is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def flush(self) -> None:
        """Forget everything, and go on."""
        assert self._say("FLUSHALL") == b"+OK\r\n"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        try:
            return self._say("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _say(self, command: str) -> bytes:
        with socket.create_connection((_HOST, self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(64)
