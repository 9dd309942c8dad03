"""What the machine is, and how busy others keep it."""

import os

import pytest

from segsweep.inference import machine
from segsweep.inference.machine import CpuTimes, Machine, cpu_times, others_cpus, this_machine


def test_the_machine_is_named_with_the_cpus_this_process_may_use():
    assert this_machine().cpus == len(os.sched_getaffinity(0))
    assert str(Machine("A Processor", 2, "Linux")) == "A Processor, 2 CPUs"
    assert str(Machine("A Processor", 1, "Linux")) == "A Processor, 1 CPU"


def test_the_processor_is_read_from_cpuinfo(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Intel(R)  Xeon(R)   Processor\n")
    assert machine._processor(cpuinfo) == "Intel(R) Xeon(R) Processor"


def test_cpu_time_counts_everything_but_idle_and_waiting(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 1000 50 5 5 40 7 7\ncpu0 1 1 1 1\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert cpu_times(stat) == CpuTimes(1250 / ticks, 200 / ticks)


@pytest.mark.parametrize("text", [None, "", "cpu a b c", "cpu 1 2 3"])
def test_a_system_that_does_not_tell_gives_none(tmp_path, text):
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)
    assert cpu_times(stat) is None


@pytest.mark.parametrize(
    ("busy_s", "own_s", "wall_s", "expected"),
    [(3.0, 1.0, 2.0, 1.0), (1.0, 1.01, 2.0, 0.0), (1.0, 0.0, 0.0, None)],
)
def test_others_are_what_was_busy_without_this_process(busy_s, own_s, wall_s, expected):
    assert others_cpus(CpuTimes(0.0, 0.0), CpuTimes(9.0, busy_s), own_s, wall_s) == expected


def test_others_are_unknown_without_a_reading():
    assert others_cpus(None, CpuTimes(1.0, 1.0), 0.0, 1.0) is None
