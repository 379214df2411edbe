"""What every benchmark is given: a folder on a real disk, gateways, and how thorough to be."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.postgresql import PostgreSQL, run_postgresql
from tests.functional.gateway_process import GatewayProcess, set_up

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    folder: Path
    is_quick: bool

    def choose(self, thorough: int, quick: int) -> int:
        """How many times to do something."""
        return quick if self.is_quick else thorough

    @contextmanager
    def all_in_one(self) -> Iterator[GatewayProcess]:
        """`rungateway` on SQLite, with the settings that it has by itself."""
        with GatewayProcess(self._new_data_dir()) as gateway:
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

    def _new_data_dir(self) -> Path:
        return self.folder / f"data-{next(_numbers)}"
