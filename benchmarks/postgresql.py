"""A PostgreSQL of our own for the time of a benchmark, durable as Debian sets it up."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.functional.gateway_process import Ports

_USER = "bench"
_START_SECONDS = 30
_STOP_SECONDS = 30
_BINARIES = Path("/usr/lib/postgresql")


class PostgreSQLMissingError(RuntimeError):
    """There are no PostgreSQL binaries on this machine."""


@dataclass(frozen=True, kw_only=True)
class PostgreSQL:
    url: str
    pid: int
    """Of the process over all others."""
    version: str


@contextmanager
def run_postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """A new cluster under `folder`, on a free port of the loopback; it is gone afterwards."""
    binaries = _find_binaries()
    # Its users reach it by a password: the port is open to everyone on this machine.
    password = secrets.token_hex(16)
    home = Path(tempfile.mkdtemp(dir=folder, prefix="postgresql-"))
    account = _give_away(home)
    data, password_file = home / "data", home / "password"
    password_file.write_text(password)
    password_file.chmod(0o600)
    if account:
        os.chown(password_file, account["user"], account["group"])
    initdb = [
        *(binaries / "initdb", "--pgdata", data, "--username", _USER, "--encoding", "UTF8", "--no-locale"),
        *("--auth", "scram-sha-256", "--pwfile", password_file),
    ]
    subprocess.run(list(map(str, initdb)), check=True, capture_output=True, cwd=home, **account)
    port = Ports.choose().console
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", home, "-c", "fsync=on"],
            stdout=log,
            stderr=log,
            cwd=home,
            **account,
        )
    try:
        _wait_until_ready(binaries, port, process)
        yield PostgreSQL(
            url=f"postgresql://{_USER}:{password}@127.0.0.1:{port}/postgres",
            pid=process.pid,
            version=_version(binaries),
        )
    finally:
        process.send_signal(2)  # SIGINT: roll back what is open, and end.
        process.wait(_STOP_SECONDS)
        shutil.rmtree(home)


def _find_binaries() -> Path:
    for folder in sorted(_BINARIES.glob("*/bin"), key=lambda path: -float(path.parent.name)):
        if (folder / "postgres").exists():
            return folder
    on_path = shutil.which("postgres")
    if on_path is None:
        raise PostgreSQLMissingError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return Path(on_path).resolve().parent


def _give_away(home: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it gets an account that may do nothing else."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        account = pwd.getpwnam("nobody")
    os.chown(home, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _wait_until_ready(binaries: Path, port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    command = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(command, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start")
        time.sleep(0.05)


def _version(binaries: Path) -> str:
    return subprocess.run(
        [binaries / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
