"""Facts about the machine, without which figures mean little."""

import os
import platform
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("Django", "cryptography", "waitress", "daphne", "twisted", "autobahn", "channels", "psycopg")
_FLUSHES = 30


def describe_machine(folder: Path) -> dict[str, Any]:
    """`folder` is on the disk that the gateways under test use."""
    cores = os.cpu_count() or 0
    return {
        "cores": cores,
        "processor": _processor(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "node": _run("node", "--version"),
        "packages": {name: version(name) for name in _PACKAGES},
        "revision": _run("git", "rev-parse", "--short", "HEAD"),
        "disk": {"file_system": _file_system(folder), "flush_ms": round(_flush_ms(folder), 3)},
        "load_average": load_average(),
    }


def summarise(machine: Mapping[str, Any]) -> str:
    return (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, {machine['openssl']}, "
        f"Node.js {machine['node']}, {machine['disk']['file_system']} that flushes 4 KiB in "
        f"{machine['disk']['flush_ms']} ms, load average {machine['load_average']:.1f} before the first benchmark"
    )


def load_average() -> float:
    """Over the last minute. Much above 0 before a benchmark, it says that others use the machine too."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    return _run("df", "--output=fstype", str(folder)).split()[-1]


def _flush_ms(folder: Path) -> float:
    seconds = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FLUSHES):
            began_at = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began_at)
    return statistics.median(seconds) * 1000


def _run(*command: str) -> str:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return finished.stdout.strip()
