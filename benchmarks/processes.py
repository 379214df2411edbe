"""What the kernel says about a process, in /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Places of fields in /proc/<pid>/stat, counted after the command's name.
_PARENT, _OWN_TICKS, _ENDED_CHILDREN_TICKS = 1, slice(11, 13), slice(13, 15)


def cpu_seconds(pid: int) -> float:
    """Time that the process's threads have spent on a processor, the kernel's work for them included."""
    return _seconds(_read_stat(pid)[_OWN_TICKS])


def tree_cpu_seconds(pid: int) -> float:
    """That of the process and of every process under it, those that have ended included."""
    fields = _read_stat(pid)
    seconds = _seconds(fields[_OWN_TICKS]) + _seconds(fields[_ENDED_CHILDREN_TICKS])
    for child in child_pids(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # It has just ended.
            seconds += tree_cpu_seconds(child)
    return seconds


def child_pids(pid: int) -> list[int]:
    return [child for child, parent in _parents() if parent == pid]


def resident_kib(pid: int) -> int:
    """The memory that the process occupies now."""
    return parse_status_kib(_read_status(pid), "VmRSS")


def peak_resident_kib(pid: int) -> int:
    """The most that it has occupied in its life."""
    return parse_status_kib(_read_status(pid), "VmHWM")


def busy_seconds() -> float:
    """Processor time of everything on the machine, and what its host took away, since it was started."""
    return parse_busy_seconds((PROC / "stat").read_text())


def own_seconds() -> float:
    """Processor time of this process and of those under it that have ended."""
    return sum(os.times()[:4])


def parse_busy_seconds(stat: str) -> float:
    """The first line of /proc/stat; guests are in the user time already."""
    user, nice, system, _idle, _waiting, *others = map(int, stat.split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(others)) / _TICKS_PER_SECOND


def parse_stat(stat: str) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; the name before them may hold spaces and brackets."""
    return stat.rpartition(")")[2].split()


def parse_status_kib(status: str, name: str) -> int:
    """A line of /proc/<pid>/status that gives a size."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            size, unit = value.split()
            if unit != "kB":
                raise ValueError(f"{name} is in {unit}")
            return int(size)
    raise ValueError(f"There is no {name}: has the process ended?")


def _seconds(ticks: list[str]) -> float:
    return sum(map(int, ticks)) / _TICKS_PER_SECOND


def _read_stat(pid: int) -> list[str]:
    return parse_stat((PROC / str(pid) / "stat").read_text())


def _read_status(pid: int) -> str:
    return (PROC / str(pid) / "status").read_text()


def _parents() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), int(_read_stat(int(entry.name))[_PARENT])
            except (FileNotFoundError, ProcessLookupError):  # It has just ended.
                continue
