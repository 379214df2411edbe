"""`bin/torture`: the kill tests at full length. Exits with 1 where a promise was broken, and says what led to it."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from tests.torture.couriers.deployments import Deployment, run_all_in_one, run_apart
from tests.torture.couriers.flush import FlushCase
from tests.torture.couriers.run import CourierRun
from tests.torture.first_starts import FirstStarts
from tests.torture.history import ViolationError
from tests.torture.run import Run

Stage = Callable[[argparse.Namespace, Path], bool]


def main() -> int:
    options = _parse()
    print(f"seed {options.seed}: repeat with bin/torture --seed {options.seed}", flush=True)
    for name in options.only or STAGES:
        _say(f"stage {name}")
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            if not STAGES[name](options, Path(folder)):
                return 1
    return 0


# ---------------------------------------------------------------- Devices online


def _cut_first_starts(options: argparse.Namespace, folder: Path) -> bool:
    starts = FirstStarts(folder=folder, seed=options.seed, say=_say)
    try:
        starts.carry_out(options.first_starts)
    except ViolationError as error:
        _say(f"VIOLATION: {error}")
        return False
    return True


def _cut_online_work(options: argparse.Namespace, folder: Path) -> bool:
    run = Run(data_dir=folder / "data", seed=options.seed, say=_say)
    began_at = time.monotonic()
    with suppress(ViolationError):  # They are told below.
        run.carry_out(kills=options.kills, clean_stops=options.clean_stops, seconds_between=options.seconds_between)
    for line in (f"seed                 {options.seed}, {time.monotonic() - began_at:.0f} s", *run.summarize()):
        print(line)
    for violation in run.ledger.violations[:5]:
        print(*violation.describe(run.ledger.started_at), sep="\n")
    return not run.ledger.violations


# ---------------------------------------------------------------- Couriers


def _cut_roles_apart(options: argparse.Namespace, folder: Path) -> bool:
    return _cut_couriers("roles apart", options.apart_kills, run_apart(folder), options)


def _cut_all_in_one(options: argparse.Namespace, folder: Path) -> bool:
    return _cut_couriers("all in one", options.all_in_one_kills, run_all_in_one(folder), options)


def _cut_couriers(
    name: str, kills: int, running: AbstractContextManager[Deployment], options: argparse.Namespace
) -> bool:
    with running as deployment:
        run = CourierRun(name=name, deployment=deployment, seed=options.seed, say=_say, awaits_redelivery=True)
        with suppress(ViolationError):  # They are told below.
            run.carry_out(kills)
        print(
            f"seed                 {options.seed}", *run.summarize(), *run.describe_violations(), sep="\n", flush=True
        )
        if run.ledger.violations and options.keep_logs:
            for process in deployment.processes:
                (options.keep_logs / process.log_path.name).write_bytes(process.log_path.read_bytes())
    return not run.ledger.violations


def _flush_redis(options: argparse.Namespace, folder: Path) -> bool:
    with run_apart(folder) as deployment:
        case = FlushCase(deployment=deployment, seed=options.seed, say=_say)
        with suppress(ViolationError):
            case.carry_out(options.flushes)
        for violation in case.ledger.violations[:5]:
            print(*violation.describe(case.ledger.began_at, case.ledger.strikes), sep="\n")
    return not case.ledger.violations


STAGES: Mapping[str, Stage] = {
    "first-starts": _cut_first_starts,
    "online": _cut_online_work,
    "flush": _flush_redis,
    "apart": _cut_roles_apart,
    "all-in-one": _cut_all_in_one,
}


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/torture", description="Kills the gateway, and counts what was lost.")
    parser.add_argument("--only", choices=STAGES, action="append", help="a stage; may be repeated (all of them)")
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs while devices are online (200)")
    parser.add_argument("--clean-stops", type=int, default=10, help="SIGTERMs while devices are online (10)")
    parser.add_argument("--first-starts", type=int, default=20, help="SIGKILLs while setting up (20)")
    parser.add_argument("--apart-kills", type=int, default=350, help="SIGKILLs of roles apart, with couriers (350)")
    parser.add_argument("--all-in-one-kills", type=int, default=150, help="SIGKILLs of all in one, with couriers (150)")
    parser.add_argument("--flushes", type=int, default=3, help="flushes of Redis whose delay is measured (3)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="what decides everything random")
    parser.add_argument("--keep-logs", type=Path, help="a folder for the logs of a gateway that broke a promise")
    parser.add_argument(
        "--seconds-between", type=float, default=1.5, help="the longest time between a start and a kill online (1.5)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
