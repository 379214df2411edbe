"""The gateway as operators run it: a real command in a process of its own, on a data folder that outlives it."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

Edge = Literal["poweb", "pohttp", "cogrpc", "console"]
Command = Literal["rungateway", "runpoweb", "runpohttp", "runcogrpc", "runworker", "runconsole", "uvicorn", "beat"]

PROJECT = Path(__file__).parent.parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 15.0
LOG_TAIL = 4_000

_HOST = "127.0.0.1"
# Below the range from which systems take ports for outgoing connections, so that a restart finds its own free.
_PORTS = range(20_000, 32_000)
_EDGES: Mapping[Command, tuple[Edge, ...]] = {
    "rungateway": ("poweb", "pohttp", "cogrpc", "console"),
    "runpoweb": ("poweb",),
    "runpohttp": ("pohttp",),
    "runcogrpc": ("cogrpc",),
    "runworker": (),
    "runconsole": ("console",),
    "uvicorn": ("poweb",),
    "beat": (),
}
# What a command that serves nothing says once it is ready.
_ANNOUNCEMENTS: Mapping[Command, bytes] = {"runworker": b"Worker  "}
_OPTIONS: Mapping[Command, tuple[str, ...]] = {"runworker": ("--beat",)}
_UVICORN_OPTIONS = (
    *("--ws", "websockets-sansio", "--ws-ping-interval", "5", "--ws-ping-timeout", "4", "--ws-max-size", "65536"),
    *("--timeout-graceful-shutdown", "8", "--log-level", "warning"),
)
# All that a process inherits: settings of whoever runs the tests must not reach the gateway under test.
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR", "VIRTUAL_ENV")
_INHERITED_PREFIXES = ("COVERAGE_", "LC_", "PYTHON")


class GatewayStartError(RuntimeError):
    """The command ended, or did not answer in time; the message has the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Loopback ports that were free when they were chosen."""

    poweb: int
    pohttp: int
    cogrpc: int
    console: int

    @classmethod
    def choose(cls) -> Self:
        poweb, pohttp, cogrpc, console = _free_ports(4)
        return cls(poweb=poweb, pohttp=pohttp, cogrpc=cogrpc, console=console)


class GatewayProcess:
    """Start it, or enter its `with` block; it may be started again on the same data and ports after it has ended.

    `environment` is added to settings that make the command serve on `ports` of the loopback. Roles in processes of
    their own share a data folder; each command but `rungateway` needs one that was set up.
    """

    def __init__(
        self,
        data_dir: Path,
        command: Command = "rungateway",
        *,
        environment: Mapping[str, str] | None = None,
        ports: Ports | None = None,
        wrapper: Sequence[str] = (),
        options: Sequence[str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.wrapper = wrapper
        self.command = command
        self.announcement = _ANNOUNCEMENTS.get(command)
        self.options = _OPTIONS.get(command, ()) if options is None else options
        self.ports = ports or Ports.choose()
        self.environment = dict(environment or {})
        self.log_path = data_dir.with_name(f"{data_dir.name}.{command}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def poweb_url(self) -> str:
        return f"http://{_HOST}:{self.ports.poweb}"

    @property
    def pohttp_url(self) -> str:
        return f"http://{_HOST}:{self.ports.pohttp}"

    @property
    def cogrpc_address(self) -> str:
        return f"{_HOST}:{self.ports.cogrpc}"

    @property
    def console_url(self) -> str:
        return f"http://{_HOST}:{self.ports.console}"

    @property
    def collection_url(self) -> str:
        return f"ws://{_HOST}:{self.ports.poweb}/v1/parcel-collection"

    @property
    def database_path(self) -> Path:
        return self.data_dir / "gateway.sqlite3"

    @property
    def objects(self) -> list[Path]:
        """Every file in the object store, temporary ones included."""
        return sorted(path for path in (self.data_dir / "objects").rglob("*") if path.is_file())

    @property
    def log(self) -> str:
        """What the process has written to its standard output and error, since the first start."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it serves all that it is to serve, at this moment."""
        return (
            self.is_running
            and (self.announcement is None or self._has_written(self.announcement))
            and all(self._answers(edge, time.monotonic() + 1) for edge in _EDGES[self.command])
        )

    def start(self, *, wait: bool = True) -> Self:
        """Returns once every port of the command answers; raises GatewayStartError."""
        assert not self.is_running
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [*self.wrapper, *self._arguments()],
                cwd=PROJECT,
                env=self._make_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, timeout: float = START_SECONDS) -> None:
        deadline = time.monotonic() + timeout
        for edge in _EDGES[self.command]:
            self._wait_for(partial(self._answers, edge, deadline), edge, deadline)
        if self.announcement is not None:
            self._wait_for(partial(self._has_written, self.announcement), "its queues", deadline)

    def _wait_for(self, is_served: Callable[[], bool], name: str, deadline: float) -> None:
        while not is_served():
            if not self.is_running or time.monotonic() > deadline:
                message = f"{self.command} does not serve {name}:\n{self.log[-LOG_TAIL:]}"
                self.close()
                raise GatewayStartError(message)
            time.sleep(0.02)

    def stop(self, timeout: float = STOP_SECONDS) -> int:
        """Ask it to end (SIGTERM) and return its exit status; raises `subprocess.TimeoutExpired`."""
        self.terminate()
        return self.wait(timeout)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), and do not wait."""
        self._running().send_signal(signal.SIGTERM)

    def wait(self, timeout: float = STOP_SECONDS) -> int:
        assert self._process is not None
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> Self:
        """Stop it if it runs, and start it on the same data and ports."""
        if self.is_running:
            self.stop()
        return self.start()

    def close(self) -> None:
        """Leave no process behind, however it takes it."""
        if self.is_running:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

    def manage(self, *arguments: str, timeout: float = START_SECONDS) -> str:
        """Run another command of manage.py on the same data folder, and return what it prints."""
        finished = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self._make_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if finished.returncode:
            raise GatewayStartError(f"{arguments[0]} ended with {finished.returncode}:\n{finished.stdout[-LOG_TAIL:]}")
        return finished.stdout

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _arguments(self) -> list[str]:
        if self.command == "uvicorn":
            where = ("--host", _HOST, "--port", str(self.ports.poweb))
            return [sys.executable, "-m", "uvicorn", "gateway.asgi:application", *where, *_UVICORN_OPTIONS]
        if self.command == "beat":
            return [sys.executable, "-m", "celery", "--app", "gateway", "beat", *self.options]
        return [sys.executable, "manage.py", self.command, *self.options]

    def _make_environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
        }
        return {
            **inherited,
            "GATEWAY_DATA_DIR": str(self.data_dir),
            "POWEB_BIND": f"{_HOST}:{self.ports.poweb}",
            "POHTTP_BIND": f"{_HOST}:{self.ports.pohttp}",
            "COGRPC_BIND": self.cogrpc_address,
            "CONSOLE_BIND": f"{_HOST}:{self.ports.console}",
            "LOG_FORMAT": "json",
            # Nothing listens there: no test asks a resolver that is not its own.
            "DOH_RESOLVER_URL": f"http://{_HOST}:9/dns-query",
            **self.environment,
        }

    def _has_written(self, text: bytes) -> bool:
        """Whether it has, since it was last started."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return text in log.read()

    def _answers(self, edge: Edge, deadline: float) -> bool:
        if edge == "cogrpc":
            return _takes_connections(self.ports.cogrpc)
        connection = http.client.HTTPConnection(
            _HOST, getattr(self.ports, edge), timeout=max(deadline - time.monotonic(), 0.1)
        )
        try:
            connection.request("HEAD", "/livez" if edge == "console" else "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


def _takes_connections(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1):
            return True
    except OSError:
        return False


def set_up(data_dir: Path, **environment: str) -> None:
    """Prepare a data folder, as is needed before roles run in processes of their own."""
    GatewayProcess(data_dir, environment=environment).manage("setupgateway")


def _free_ports(number: int) -> list[int]:
    ports: list[int] = []
    while len(ports) < number:
        port = random.choice(_PORTS)
        if port not in ports and _is_free(port):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: connections of an earlier server that linger do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
