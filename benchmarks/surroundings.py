"""What every benchmark is given: a folder on a real disk, gateways, and how thorough to be."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.postgresql import PostgreSQL, run_postgresql
from tests.functional.gateway_process import GatewayProcess, set_up
from tests.functional.redis_server import RedisServer

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    folder: Path
    is_quick: bool

    def choose(self, thorough: int, quick: int) -> int:
        """How many times to do something."""
        return quick if self.is_quick else thorough

    @contextmanager
    def all_in_one(self, **environment: str) -> Iterator[GatewayProcess]:
        """`rungateway` on SQLite, with the settings that it has by itself but for these."""
        with GatewayProcess(self._new_data_dir(), environment=environment) as gateway:
            yield gateway

    @contextmanager
    def pohttp_alone(self) -> Iterator[tuple[GatewayProcess, GatewayProcess, PostgreSQL]]:
        """`runpohttp` on PostgreSQL, beside a `runpoweb` where peers register and that rests afterwards.

        Raises PostgreSQLMissingError.
        """
        with run_postgresql(self.folder) as postgresql:
            environment = {"DATABASE_URL": postgresql.url, "INTERNET_ADDRESS": "gateway.example.com"}
            data_dir = self._new_data_dir()
            set_up(data_dir, **environment)
            with (
                GatewayProcess(data_dir, "runpohttp", environment=environment) as pohttp,
                GatewayProcess(data_dir, "runpoweb", environment=environment) as poweb,
            ):
                yield pohttp, poweb, postgresql

    @contextmanager
    def worker_alone(self, destination: str, port: int) -> Iterator[GatewayProcess]:
        """`runworker` with the beat inside, not started yet, on PostgreSQL and Redis; it delivers to a port of ours.

        Raises PostgreSQLMissingError or RedisMissingError.
        """
        with run_postgresql(self.folder) as postgresql, RedisServer(self.folder) as redis:
            environment = {
                "DATABASE_URL": postgresql.url,
                "INTERNET_ADDRESS": "gateway.example.com",
                "REDIS_URL": redis.url,
                "POHTTP_USE_TLS": "false",
                "INTERNET_ADDRESS_OVERRIDES": f"{destination}=127.0.0.1:{port}",
            }
            data_dir = self._new_data_dir()
            set_up(data_dir, **environment)
            worker = GatewayProcess(data_dir, "runworker", environment=environment)
            try:
                yield worker
            finally:
                worker.close()

    def _new_data_dir(self) -> Path:
        return self.folder / f"data-{next(_numbers)}"
