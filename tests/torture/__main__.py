"""`bin/torture`: the kill tests at full length. Exits with 1 where a promise was broken, and says what led to it."""

import argparse
import random
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.torture.first_starts import FirstStarts
from tests.torture.history import ViolationError
from tests.torture.run import Run


def main() -> int:
    options = _parse()
    print(f"seed {options.seed}: repeat with bin/torture --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        return 0 if _cut_first_starts(options, Path(folder)) and _cut_work(options, Path(folder)) else 1


def _cut_first_starts(options: argparse.Namespace, folder: Path) -> bool:
    starts = FirstStarts(folder=folder, seed=options.seed, say=_say)
    try:
        starts.carry_out(options.first_starts)
    except ViolationError as error:
        _say(f"VIOLATION: {error}")
        return False
    return True


def _cut_work(options: argparse.Namespace, folder: Path) -> bool:
    run = Run(data_dir=folder / "data", seed=options.seed, say=_say)
    began_at = time.monotonic()
    with suppress(ViolationError):  # They are told below.
        run.carry_out(kills=options.kills, clean_stops=options.clean_stops, seconds_between=options.seconds_between)
    for line in (f"seed                 {options.seed}, {time.monotonic() - began_at:.0f} s", *run.summarize()):
        print(line)
    for violation in run.ledger.violations[:5]:
        print(*violation.describe(run.ledger.started_at), sep="\n")
    return not run.ledger.violations


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/torture", description="Kills the gateway, and counts what was lost.")
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs under load (200)")
    parser.add_argument("--clean-stops", type=int, default=10, help="SIGTERMs under load (10)")
    parser.add_argument("--first-starts", type=int, default=20, help="SIGKILLs while setting up (20)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="what decides everything random")
    parser.add_argument(
        "--seconds-between", type=float, default=1.5, help="the longest time between a start and a kill (1.5)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
