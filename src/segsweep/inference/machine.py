"""What the measuring machine is and how busy others keep it. Values are None where the system does not tell."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """The device that figures belong to.

    Attributes:
        processor: Model name of the CPU.
        cpus: CPUs this process may use.
        system: Operating system and its release.
    """

    processor: str
    cpus: int
    system: str

    def __str__(self) -> str:
        return f"{self.processor}, {self.cpus} CPU{'s' if self.cpus > 1 else ''}"


@dataclass(frozen=True)
class CpuTimes:
    """Seconds since boot, summed over all CPUs: in all, and spent working."""

    total_s: float
    busy_s: float


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(_processor(), available_cpus(), f"{platform.system()} {platform.release()} {platform.machine()}")


def available_cpus() -> int:
    """CPUs this process may use, which under a container or `taskset` are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float | None:
    """Runnable processes averaged over the last minute."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def cpu_times(stat: Path = Path("/proc/stat")) -> CpuTimes | None:
    """CPU time of the whole machine so far, from the first line of `/proc/stat` (proc(5)).

    Args:
        stat: The file to read.
    """
    try:
        fields = [int(field) for field in stat.read_text().partition("\n")[0].split()[1:9]]
        ticks_per_second = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    if len(fields) < 5:
        return None
    idle = sum(fields[3:5])  # idle and waiting for I/O
    return CpuTimes(sum(fields) / ticks_per_second, (sum(fields) - idle) / ticks_per_second)


def others_cpus(before: CpuTimes | None, after: CpuTimes | None, own_s: float, wall_s: float) -> float | None:
    """CPUs that other processes kept busy on average between two readings.

    Args:
        before: Reading at the start.
        after: Reading at the end.
        own_s: CPU time this process spent in between.
        wall_s: Wall time in between.
    """
    if before is None or after is None or wall_s <= 0.0:
        return None
    return max(0.0, (after.busy_s - before.busy_s - own_s) / wall_s)


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    try:
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return " ".join(value.split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"
