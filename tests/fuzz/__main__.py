"""Runs one target under libFuzzer: ``python -m tests.fuzz parcel``.

Options of libFuzzer may follow (``-max_total_time=60``), or the file of a finding, to see it again.
"""

import contextlib
import importlib
import sys
from pathlib import Path

from atheris import Fuzz, Setup, instrument_imports  # type: ignore[attr-defined] # it re-exports them quietly

from tests.fuzz.targets import TARGETS

CACHE = Path(__file__).parents[2] / ".cache" / "fuzz"
# An input of 64 KiB needs milliseconds; libFuzzer counts whole seconds, and the machine may be busy.
SECONDS_PER_INPUT = 10
MEGABYTES = 2_048
MOST_OCTETS = 65_536


def fuzz(name: str, arguments: list[str]) -> None:
    with instrument_imports(include=["awala"]):
        module = importlib.import_module(f"tests.fuzz.fuzz_{name}")
        errors = importlib.import_module("awala.errors")

    def call(octets: bytes) -> None:
        with contextlib.suppress(errors.InvalidMessageError):
            module.target(octets)

    corpus = CACHE / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(module.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    options = [
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={MOST_OCTETS}",
        f"-artifact_prefix={corpus.parent}/",
    ]
    inputs = [] if any(not argument.startswith("-") for argument in arguments) else [str(corpus)]
    Setup([sys.argv[0], *options, *arguments, *inputs], call)
    Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--list"]:
        print(*TARGETS, sep="\n")
    elif len(sys.argv) > 1 and sys.argv[1] in TARGETS:
        fuzz(sys.argv[1], sys.argv[2:])
    else:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}} [libFuzzer options] [file]")
