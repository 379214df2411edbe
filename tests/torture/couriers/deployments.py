"""The gateway in both of its shapes, ready to be killed: its roles apart on PostgreSQL and Redis, or all in one."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.postgresql import run_postgresql
from tests.functional.gateway_process import GatewayProcess, set_up
from tests.functional.internet_endpoint import InternetEndpoint
from tests.functional.redis_server import RedisServer
from tests.torture.couriers.record import GatewayRecord
from tests.torture.couriers.victims import Broker, ProcessServer, Victim

STEADY, UNSTEADY = "steady.example.com", "unsteady.example.com"
# So that one takes over what another one has left, and both reach for the same.
WORKERS = 2
# What a worker logs. Killed before that, as some are, it has nothing to lose.
TAKES_TASKS = b'"event": "Connected to '
_COMMON = {"INTERNET_ADDRESS": "gateway.example.com", "DELIVERY_TIMEOUT_SECONDS": "5"}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    poweb: GatewayProcess
    cogrpc: GatewayProcess
    record: GatewayRecord
    victims: Sequence[Victim]
    endpoints: Mapping[str, InternetEndpoint]
    redis: RedisServer | None = None

    @property
    def processes(self) -> list[GatewayProcess]:
        servers = [victim.server for victim in self.victims]
        return [self.poweb, *(server.process for server in servers if isinstance(server, ProcessServer))]


@contextmanager
def run_apart(folder: Path) -> Iterator[Deployment]:
    """Raises `PostgreSQLMissingError` or `RedisMissingError`."""
    _open_to_postgresql(folder)
    with ExitStack() as stack:
        postgresql = stack.enter_context(run_postgresql(folder))
        redis = stack.enter_context(RedisServer(folder))
        endpoints = _run_endpoints(stack)
        environment = {
            **_COMMON,
            **_find_endpoints(endpoints),
            "DATABASE_URL": postgresql.url,
            "REDIS_URL": redis.url,
        }
        data_dir = folder / "data"
        set_up(data_dir, **environment)
        poweb = stack.enter_context(GatewayProcess(data_dir, "runpoweb", environment=environment))
        cogrpc = stack.enter_context(GatewayProcess(data_dir, "runcogrpc", environment=environment))
        workers = [stack.enter_context(_make_worker(data_dir, environment, number)) for number in range(WORKERS)]
        beat = stack.enter_context(GatewayProcess(data_dir, "beat", environment=environment))
        yield Deployment(
            poweb=poweb,
            cogrpc=cogrpc,
            record=GatewayRecord(data_dir=data_dir, database_url=postgresql.url),
            victims=(
                *(Victim(name="worker", server=ProcessServer(worker), longest_life=8.0) for worker in workers),
                Victim(name="cogrpc", server=ProcessServer(cogrpc), longest_life=6.0),
                Victim(name="beat", server=ProcessServer(beat), longest_life=14.0),
                Victim(name="redis", server=Broker(redis), longest_life=8.0),
            ),
            endpoints=endpoints,
            redis=redis,
        )


@contextmanager
def run_all_in_one(folder: Path) -> Iterator[Deployment]:
    with ExitStack() as stack:
        endpoints = _run_endpoints(stack)
        environment = {**_COMMON, **_find_endpoints(endpoints)}
        gateway = GatewayProcess(folder / "data", environment=environment)
        gateway.announcement = TAKES_TASKS
        stack.enter_context(gateway)
        yield Deployment(
            poweb=gateway,
            cogrpc=gateway,
            record=GatewayRecord(data_dir=folder / "data"),
            victims=(Victim(name="gateway", server=ProcessServer(gateway), longest_life=2.5, longest_absence=0.5),),
            endpoints=endpoints,
        )


def _make_worker(data_dir: Path, environment: Mapping[str, str], number: int) -> GatewayProcess:
    worker = GatewayProcess(data_dir, "runworker", environment=environment, options=())
    worker.announcement = TAKES_TASKS
    worker.log_path = data_dir.with_name(f"{data_dir.name}.worker-{number}.log")
    return worker


def _run_endpoints(stack: ExitStack) -> dict[str, InternetEndpoint]:
    return {address: stack.enter_context(InternetEndpoint(keep_serialized=False)) for address in (STEADY, UNSTEADY)}


def _find_endpoints(endpoints: Mapping[str, InternetEndpoint]) -> dict[str, str]:
    settings = [endpoint.environment(address) for address, endpoint in endpoints.items()]
    return settings[0] | {
        "INTERNET_ADDRESS_OVERRIDES": ",".join(each["INTERNET_ADDRESS_OVERRIDES"] for each in settings)
    }


def _open_to_postgresql(folder: Path) -> None:
    """PostgreSQL runs under another account, which has to reach its folder."""
    for parent in (folder, *folder.parents[:3]):
        if parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)
