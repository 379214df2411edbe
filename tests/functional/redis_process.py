"""A Redis of one's own, which forgets everything when it ends, as the broker of the gateway may."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import NoReturn, Self

import pytest
import redis

from tests.functional.gateway_process import Ports

_START_SECONDS = 20


class RedisProcess:
    """Runs from its creation on; may be killed, and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("redis-server") or give_up("there is no redis-server on the PATH")
        self._folder = folder
        self.port = Ports.choose().console
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self._folder)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def give_up(reason: str) -> NoReturn:
    """Skip what cannot be tested here, but fail where every server has to be there."""
    if os.environ.get("AWALA_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(f"QUEUES NOT TESTED: {reason}")
