"""Kills gateways while they start for the first time; the next start must finish the work."""

import random
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from awala.connection_params import NodeConnectionParams
from awala.pki.keys import node_id
from tests.functional.gateway_process import GatewayProcess, GatewayStartError
from tests.torture.history import ViolationError

READY_SECONDS = 5.0


@dataclass(kw_only=True)
class FirstStarts:
    """Each on a folder of its own; the time of the kill is drawn from as long as an undisturbed first start takes."""

    folder: Path
    seed: int
    say: Callable[[str], None]
    cut: int = 0
    slowest: float = 0.0
    stages: dict[str, int] = field(default_factory=dict)

    def carry_out(self, number: int) -> None:
        """Raises ViolationError where a start fails, or has made something other than the one before."""
        if not number:
            return
        rng = random.Random(f"{self.seed} first starts")
        duration = self._measure()
        for place in range(number):
            self._cut_one(
                self.folder / f"first-{place}", [rng.uniform(0, duration) for _ in range(rng.choice((1, 1, 2)))]
            )
        stages = ", ".join(f"{count} {stage}" for stage, count in sorted(self.stages.items()))
        self.say(
            f"{self.cut} kills during {number} first starts ({stages}); slowest start after it {self.slowest:.2f} s"
        )

    def _measure(self) -> float:
        process = GatewayProcess(self.folder / "first-undisturbed")
        began_at = time.monotonic()
        process.start()
        duration = time.monotonic() - began_at
        process.stop()
        return duration

    def _cut_one(self, data_dir: Path, delays: list[float]) -> None:
        process = GatewayProcess(data_dir)
        nodes: set[str] = set()
        for delay in delays:
            process.start(wait=False)
            time.sleep(delay)
            process.kill()
            self.cut += 1
            nodes |= self._find_nodes(data_dir)
        try:
            self._finish(process, nodes)
        except GatewayStartError as error:
            raise ViolationError(f"the start after kills {delays} s into first starts failed: {error}") from error
        finally:
            process.close()

    def _finish(self, process: GatewayProcess, nodes: set[str]) -> None:
        began_at = time.monotonic()
        process.start()
        seconds = time.monotonic() - began_at
        self.slowest = max(self.slowest, seconds)
        if seconds > READY_SECONDS:
            raise ViolationError(f"the start after a first start that was cut short took {seconds:.1f} s")
        params = httpx.get(f"{process.poweb_url}/connection-params.der", trust_env=False).content
        published = node_id(NodeConnectionParams.deserialize(params).identity_key_der)
        on_record = _find(process.data_dir, "SELECT node_id FROM gateway_owncertificate")
        if nodes | set(on_record) != {published} or len(on_record) != 1:
            raise ViolationError(f"the gateway publishes {published}, its record had {nodes} and has {on_record}")
        if len(_find(process.data_dir, "SELECT key_id FROM gateway_storedkey")) != 2:
            raise ViolationError("there must be one identity key and one session key")
        if not _can_sign_in(process.console_url, (process.data_dir / "admin-password").read_text()):
            raise ViolationError("the password in the file does not open the console")

    def _find_nodes(self, data_dir: Path) -> set[str]:
        """The identities on record after a kill; counts how far the start had come."""
        stage, nodes = "before the database", set[str]()
        if (data_dir / "gateway.sqlite3").exists():
            stage = "before the tables"
            if _find(data_dir, "SELECT name FROM sqlite_master WHERE name = 'gateway_owncertificate'"):
                nodes = set(_find(data_dir, "SELECT node_id FROM gateway_owncertificate"))
                users = _find(data_dir, "SELECT username FROM auth_user")
                stage = "complete" if users else "before the administrator" if nodes else "before the identity"
        self.stages[stage] = self.stages.get(stage, 0) + 1
        return nodes


def _find(data_dir: Path, query: str) -> list[str]:
    with closing(sqlite3.connect(f"file:{data_dir / 'gateway.sqlite3'}?mode=ro", uri=True)) as database:
        return [str(value) for (value,) in database.execute(query)]


def _can_sign_in(console_url: str, password: str) -> bool:
    url = f"{console_url}/admin/login/"
    with httpx.Client(trust_env=False, timeout=10) as client:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(url).text)
        assert token is not None
        answer = client.post(url, data={"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]})
        # Whoever may not enter gets the form again, with 200.
        return answer.status_code == 302
