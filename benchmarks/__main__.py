"""`python -m benchmarks`: runs the benchmarks, prints the figures and writes them as JSON."""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks import couriers, delivery, idle, intake, memory, push, unwrapping, verification
from benchmarks.figures import Figure, print_table, write_json
from benchmarks.machine import describe_machine, summarise
from benchmarks.processes import busy_seconds, own_seconds
from benchmarks.surroundings import Surroundings

BENCHMARKS: Final[Mapping[str, Callable[[Surroundings], list[Figure]]]] = MappingProxyType(
    {module.NAME: module.run for module in (verification, intake, memory, push, idle, couriers, unwrapping, delivery)}
)
RESULTS: Final = Path(__file__).parent / "results"
# Never in memory, as /tmp may be: what is promised to be durable has to be paid for.
DISK: Final = Path("/var/tmp")  # noqa: S108


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench", description="Measures the gateway against the figures to reach.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="few samples: whether it works, not how fast it is")
    options = parser.parse_args()
    chosen = [name for name in BENCHMARKS if not options.only or name in options.only]
    # Leave no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Told to stop"))
    began_at = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="awala-bench-", dir=DISK) as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL has a user of its own.
        machine = describe_machine(folder)
        print(summarise(machine), flush=True)
        figures, durations, broken = _run(chosen, Surroundings(folder=folder, is_quick=options.quick))
    print_table(figures)
    path = RESULTS / f"{began_at:%Y%m%d-%H%M%S}{'-quick' if options.quick else ''}.json"
    run = {"began_at": began_at.isoformat(), "is_quick": options.quick, "benchmarks": durations, "broken": broken}
    write_json(path, figures, machine, run)
    print(f"All figures: {path}")
    if broken:
        sys.exit(f"BROKEN: {', '.join(broken)}")


def _run(names: list[str], surroundings: Surroundings) -> tuple[list[Figure], dict[str, dict[str, float]], list[str]]:
    figures: list[Figure] = []
    durations: dict[str, dict[str, float]] = {}
    broken: list[str] = []
    for name in names:
        began_at, busy, own = time.monotonic(), busy_seconds(), own_seconds()
        print(f"{name} ...", flush=True)
        try:
            figures.extend(BENCHMARKS[name](surroundings))
        except Exception:  # noqa: BLE001 - whatever broke one of them, the others can be had
            traceback.print_exc()
            broken.append(name)
        seconds = time.monotonic() - began_at
        others = (busy_seconds() - busy - (own_seconds() - own)) / seconds
        durations[name] = {"seconds": round(seconds, 1), "cores_used_by_others": round(others, 2)}
        print(f"{name} took {seconds:.0f} s, while others used {others:.2f} cores", flush=True)
    return figures, durations, broken


if __name__ == "__main__":
    main()
