"""The Node process that runs the published clients, and the JSON lines spoken with it."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any, Self

from tests.functional.npm_values import NpmClientError, NpmProcessError

INTEROP_DIRECTORY = Path(__file__).parent.parent / "interop"
START_SECONDS = 30
STOP_SECONDS = 5
INLINE_LIMIT = 65_536
STDERR_TAIL = 4_000

EventHandler = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class _Command:
    answer: Future[dict[str, Any]]
    on_event: EventHandler | None
    spooled: list[Path]


class NpmProcess:
    """Any thread may send commands; one thread reads the answers and calls the event handlers."""

    def __init__(self, process: subprocess.Popen[str], spool: Path, log: IO[str]) -> None:
        self._process = process
        self._spool = spool
        self._log = log
        self._ids = count(1)
        self._lock = threading.Lock()
        self._commands: dict[int, _Command] = {}
        self._ready = threading.Event()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="npm-clients", daemon=True)
        self._reader.start()

    @classmethod
    def start(cls) -> Self:
        node = _find_node()
        spool = Path(tempfile.mkdtemp(prefix="awala-interop-"))
        log = (spool / "stderr").open("w+")
        process = subprocess.Popen(
            [node, "driver.mjs"],
            cwd=INTEROP_DIRECTORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"AWALA_INTEROP_SPOOL": str(spool)},
        )
        started = cls(process, spool, log)
        started._ready.wait(START_SECONDS)
        if started._ended or not started._ready.is_set():
            message = started._say_what_happened("The npm clients did not start")
            started.close()
            raise NpmProcessError(message)
        return started

    def call(self, command: str, params: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        return self.send(command, params)[1].result(timeout)

    def send(
        self, command: str, params: dict[str, Any], on_event: EventHandler | None = None
    ) -> tuple[int, Future[dict[str, Any]]]:
        """Octets and paths may stand anywhere in `params`; what is None is left out."""
        answer: Future[dict[str, Any]] = Future()
        spooled: list[Path] = []
        encoded = self._encode(params, spooled)
        with self._lock:
            if self._ended:
                raise NpmProcessError(self._say_what_happened("The npm clients have ended"))
            command_id = next(self._ids)
            self._commands[command_id] = _Command(answer=answer, on_event=on_event, spooled=spooled)
            self._write({"id": command_id, "command": command, "params": encoded})
        return command_id, answer

    def decode(self, encoded: str | dict[str, str]) -> bytes:
        if isinstance(encoded, str):
            return b64decode(encoded)
        path = Path(encoded["file"])
        octets = path.read_bytes()
        path.unlink()
        return octets

    def close(self) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.close()
            self._process.wait(STOP_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)
        stdout.close()
        self._log.close()
        shutil.rmtree(self._spool, ignore_errors=True)

    def _encode(self, value: object, spooled: list[Path]) -> object:
        match value:
            case dict():
                return {k: self._encode(v, spooled) for k, v in value.items() if v is not None}
            case list() | tuple():
                return [self._encode(item, spooled) for item in value]
            case Path():
                return {"file": str(value.absolute())}
            case bytes() if len(value) <= INLINE_LIMIT:
                return b64encode(value).decode()
            case bytes():
                descriptor, path = tempfile.mkstemp(dir=self._spool)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(value)
                spooled.append(Path(path))
                return {"file": path}
            case _:
                return value

    def _write(self, message: dict[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(message) + "\n")
        stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._dispatch(json.loads(line))
        with self._lock:
            self._ended = True
            abandoned = list(self._commands.values())
            self._commands.clear()
        for command in abandoned:
            command.answer.set_exception(NpmProcessError(self._say_what_happened("The npm clients ended")))
        self._ready.set()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message.get("event") == "ready":
            self._ready.set()
        elif "event" in message:
            command = self._commands.get(message["id"])
            if command is not None and command.on_event is not None:
                command.on_event(message["event"], message["data"])
        else:
            self._settle(message)

    def _settle(self, message: dict[str, Any]) -> None:
        with self._lock:
            command = self._commands.pop(message["id"])
        for path in command.spooled:
            path.unlink()
        if message["ok"]:
            command.answer.set_result(message["result"])
        else:
            command.answer.set_exception(NpmClientError(**message["error"]))

    def _say_what_happened(self, summary: str) -> str:
        if self._log.closed:
            return summary
        self._log.flush()
        tail = (self._spool / "stderr").read_text(errors="replace")[-STDERR_TAIL:]
        return f"{summary} (exit status {self._process.poll()}): {tail}"


def _find_node() -> str:
    node = shutil.which("node")
    if node is None:
        raise NpmProcessError("The interoperability tests need Node.js (>= 18): there is no `node` on the PATH")
    if not (INTEROP_DIRECTORY / "node_modules" / "@relaycorp").is_dir():
        raise NpmProcessError("The published clients are not installed: run `npm ci` in tests/interop")
    return node
