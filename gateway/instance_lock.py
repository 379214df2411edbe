"""Keeps a second gateway off a data folder that one process has to itself."""

import fcntl
import os
from pathlib import Path
from typing import Self

from gateway.errors import GatewayError


class AlreadyRunningError(GatewayError):
    pass


class InstanceLock:
    """A lock on the folder that the system takes back when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise AlreadyRunningError(f"Another gateway is running on {self._path.parent}") from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
