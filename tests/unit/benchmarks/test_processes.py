import os
import subprocess
import sys
import time

import pytest

from benchmarks import processes

STATUS = "Name:\tpython\nVmPeak:\t  99000 kB\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t1\n"


def test_status_gives_sizes() -> None:
    assert processes.parse_status_kib(STATUS, "VmHWM") == 20_480


def test_missing_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="VmRSS"):
        processes.parse_status_kib("Name:\tgone\nState:\tZ (zombie)\n", "VmRSS")


def test_size_in_another_unit_is_an_error() -> None:
    with pytest.raises(ValueError, match="MB"):
        processes.parse_status_kib("VmRSS:\t10 MB\n", "VmRSS")


def test_name_of_a_process_may_look_like_fields() -> None:
    assert processes.parse_stat("12 (a) R 1 (b)) S 7 12 12") == ["S", "7", "12", "12"]


def test_busy_time_of_the_machine_leaves_out_waiting() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    # user nice system idle iowait irq softirq steal guest guest_nice
    stat = f"cpu  {ticks} {ticks} {ticks} 900 90 {ticks} {ticks} {ticks} 50 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n"

    assert processes.parse_busy_seconds(stat) == 6


def test_cpu_time_of_work_is_counted() -> None:
    before = processes.cpu_seconds(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass

    assert processes.cpu_seconds(os.getpid()) - before >= 0.05


def test_peak_is_not_below_what_is_resident() -> None:
    assert processes.peak_resident_kib(os.getpid()) >= processes.resident_kib(os.getpid()) > 1_000


def test_children_count_in_a_tree() -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()

        assert child.pid in processes.child_pids(os.getpid())
        own = processes.cpu_seconds(os.getpid())
        assert processes.tree_cpu_seconds(os.getpid()) >= own + 0.05
        child.communicate(b"\n")


def test_children_that_ended_still_count_in_a_tree() -> None:
    before = processes.tree_cpu_seconds(os.getpid())
    code = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-c", code], check=True)

    assert processes.tree_cpu_seconds(os.getpid()) - before >= 0.05
