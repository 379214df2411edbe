"""Which targets there are: the modules beside this one."""

from pathlib import Path

TARGETS = tuple(sorted(path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*.py")))
