"""A gateway as one process, and the same with every role apart on PostgreSQL and Redis: one view of both."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.postgresql import run_postgresql
from tests.functional.gateway_process import Command, GatewayProcess, set_up
from tests.functional.npm_cargo_values import CourierServer
from tests.functional.npm_devices import Edges
from tests.functional.npm_nodes import server_of
from tests.functional.redis_server import RedisServer

Kind = Literal["all-in-one", "roles-apart"]

KINDS: tuple[Kind, ...] = ("all-in-one", "roles-apart")
_ROLES: tuple[Command, ...] = ("runpoweb", "runpohttp", "runcogrpc", "runworker")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    edges: Edges
    process: GatewayProcess
    """One of its processes, for commands on the same data."""


@contextmanager
def run_gateway(kind: Kind, folder: Path, environment: Mapping[str, str]) -> Iterator[Deployment]:
    """Raises PostgreSQLMissingError or RedisMissingError where roles apart cannot be run."""
    if kind == "all-in-one":
        with GatewayProcess(folder / "data", environment=environment) as process:
            yield Deployment(edges=_edges_of(process, process, process), process=process)
        return
    with ExitStack() as stack:
        settings = {**environment, **_run_services(folder, stack)}
        set_up(folder / "data", **settings)
        poweb, pohttp, cogrpc, _worker = (
            stack.enter_context(GatewayProcess(folder / "data", role, environment=settings)) for role in _ROLES
        )
        yield Deployment(edges=_edges_of(poweb, pohttp, cogrpc), process=poweb)


def _run_services(folder: Path, stack: ExitStack) -> dict[str, str]:
    # PostgreSQL runs under another account, which has to reach its folder.
    for parent in (folder, *folder.parents[:3]):
        if parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    postgresql = stack.enter_context(run_postgresql(folder))
    redis = stack.enter_context(RedisServer(folder))
    return {"INTERNET_ADDRESS": "gateway.example.com", "DATABASE_URL": postgresql.url, "REDIS_URL": redis.url}


def _edges_of(poweb: GatewayProcess, pohttp: GatewayProcess, cogrpc: GatewayProcess) -> Edges:
    return Edges(poweb=server_of(poweb), pohttp_url=pohttp.pohttp_url, cogrpc=CourierServer(port=cogrpc.ports.cogrpc))
