import platform
import resource
import subprocess
import sys

import pytest

from gateway.servers.limits import raise_open_files_limit

INFINITY = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 4096, [(4096, 4096)]),
        (1024, 1_000_000, [(65_536, 1_000_000)]),
        (1024, INFINITY, [(65_536, INFINITY)]),
        (65_536, 1_000_000, []),
        (100_000, 1_000_000, []),
        (INFINITY, INFINITY, []),
    ],
)
def test_open_files_are_raised_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, expected: list[tuple[int, int]]
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: calls.append(limits))

    raise_open_files_limit()

    assert calls == expected


# Threads that handle large blocks of memory, as those that take in parcels do; prints what the process keeps, in KiB.
HANDLE_LARGE_BLOCKS = """
import threading
from gateway.servers.limits import return_large_blocks

def occupied():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

def work():
    for _ in range(5):
        block = bytearray(8 * 2**20)
        copy = bytes(block)
        part = copy[1:]
        small = [bytes(1000) for _ in range(200)]

return_large_blocks()
before = occupied()
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print(occupied() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Other C libraries do not keep large blocks.")
def test_large_blocks_are_given_back() -> None:
    kept = subprocess.run(
        [sys.executable, "-c", HANDLE_LARGE_BLOCKS], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert int(kept) < 8 * 1024
