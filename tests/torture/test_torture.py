"""A sample of the kill tests; `make torture` runs them at full length. The seed is printed when a test fails."""

import random
from pathlib import Path

import pytest

from tests.torture.first_starts import FirstStarts
from tests.torture.run import Run

pytestmark = pytest.mark.torture


@pytest.fixture
def seed() -> int:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return seed


def test_first_start_may_be_cut_short(tmp_path: Path, seed: int) -> None:
    FirstStarts(folder=tmp_path, seed=seed, say=print).carry_out(2)


def test_nothing_accepted_is_lost_and_nothing_acknowledged_comes_back(tmp_path: Path, seed: int) -> None:
    run = Run(data_dir=tmp_path / "data", seed=seed, say=print)
    try:
        run.carry_out(kills=12, clean_stops=1, seconds_between=0.8)
    finally:
        for violation in run.ledger.violations:
            print(*violation.describe(run.ledger.started_at), sep="\n")
        print(*run.summarize(), sep="\n")

    assert run.ledger.accepted
    assert run.ledger.deliveries
    assert run.ledger.registrations
