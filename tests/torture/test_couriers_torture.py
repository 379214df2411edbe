"""A sample of the kill tests of cargo on its way; `make torture` runs them at full length."""

import random
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.postgresql import PostgreSQLMissingError
from tests.functional.missing import give_up
from tests.functional.redis_server import RedisMissingError
from tests.torture.couriers.deployments import Deployment, run_all_in_one, run_apart
from tests.torture.couriers.run import CourierRun

KILLS = 10

# A lease of a killed worker lasts a minute.
pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


@pytest.fixture
def seed() -> int:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return seed


def test_acknowledged_cargo_survives_kills_of_each_role(tmp_path: Path, seed: int) -> None:
    try:
        _carry_out("roles apart", run_apart(tmp_path), seed)
    except (PostgreSQLMissingError, RedisMissingError) as error:
        give_up("KILLS OF ROLES APART", error)


def test_acknowledged_cargo_survives_kills_of_all_in_one(tmp_path: Path, seed: int) -> None:
    _carry_out("all in one", run_all_in_one(tmp_path), seed)


def _carry_out(name: str, running: AbstractContextManager[Deployment], seed: int) -> None:
    with running as deployment:
        run = CourierRun(name=name, deployment=deployment, seed=seed, say=print)
        try:
            run.carry_out(KILLS)
        finally:
            print(*run.summarize(), *run.describe_violations(), sep="\n")
    assert run.ledger.count_arrivals(internet_bound=True)
    assert run.ledger.count_arrivals(internet_bound=False)
