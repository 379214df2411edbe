"""Each role a process of its own, on PostgreSQL and Redis: one stores, the other pushes."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from benchmarks.postgresql import PostgreSQLMissingError, run_postgresql
from tests.functional.collector import Collector
from tests.functional.gateway_process import GatewayProcess, set_up
from tests.functional.missing import give_up
from tests.functional.private_gateway import PrivateGateway, deliver_pohttp
from tests.functional.redis_server import RedisMissingError, RedisServer

# Collectors look at the queue by themselves every 20 to 30 seconds: what comes sooner, a hint brought.
HINT_SECONDS = 10

pytestmark = pytest.mark.functional


@dataclass(frozen=True, kw_only=True)
class Roles:
    poweb: GatewayProcess
    pohttp: GatewayProcess
    redis: RedisServer


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    folder = tmp_path_factory.mktemp("roles")
    # PostgreSQL runs under another account, which has to reach its folder.
    for parent in (folder, *folder.parents[:3]):
        if parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    with ExitStack() as stack:
        try:
            postgresql = stack.enter_context(run_postgresql(folder))
            redis = stack.enter_context(RedisServer(folder))
        except (PostgreSQLMissingError, RedisMissingError) as error:
            give_up("ROLES APART", error)
        environment = {
            "INTERNET_ADDRESS": "gateway.example.com",
            "DATABASE_URL": postgresql.url,
            "REDIS_URL": redis.url,
        }
        set_up(folder / "data", **environment)
        poweb = stack.enter_context(GatewayProcess(folder / "data", "runpoweb", environment=environment))
        pohttp = stack.enter_context(GatewayProcess(folder / "data", "runpohttp", environment=environment))
        yield Roles(poweb=poweb, pohttp=pohttp, redis=redis)


def test_parcel_stored_by_one_process_is_pushed_by_another(roles: Roles) -> None:
    device = PrivateGateway.register(roles.poweb)
    with Collector(roles.poweb.collection_url, device) as collector:
        assert collector.is_sent_nothing()
        parcel = device.make_parcel()

        assert deliver_pohttp(roles.pohttp, parcel.serialized).status == 202

        delivery = collector.take(timeout=HINT_SECONDS)
        assert delivery.parcel_serialized == parcel.serialized
        collector.acknowledge(delivery)


def test_intake_and_collection_go_on_without_redis(roles: Roles) -> None:
    device = PrivateGateway.register(roles.poweb)
    roles.redis.kill()
    parcel = device.make_parcel()

    started_at = time.monotonic()
    assert deliver_pohttp(roles.pohttp, parcel.serialized).status == 202
    assert time.monotonic() - started_at < HINT_SECONDS
    with Collector(roles.poweb.collection_url, device, mode="close-upon-completion") as collector:
        assert collector.collect_rest() == [parcel.serialized]
