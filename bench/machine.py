"""The machine's cores, who gets which, and the processes below one.

The server that is measured has a core of its own; the load generator and the stores share another.
"""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass
from pathlib import Path


class NotFit(Exception):
    """The benchmark cannot run here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Cores:
    """`server` is what is measured, `rest` everything else, `second` what a server's second process gets."""

    server: int
    rest: int
    second: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Take the first two cores we may use, and a third one where there is one."""
        if not hasattr(os, "sched_getaffinity"):
            raise NotFit("The benchmark pins processes to cores, which needs Linux.")
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:  # noqa: PLR2004 - one for the server, one for everything else
            raise NotFit("The benchmark needs two cores: one for the server, one for the load generator.")
        return cls(usable[0], usable[1], usable[2] if len(usable) > 2 else usable[1])  # noqa: PLR2004


def settle_on(core: int) -> None:
    """Have this process, and all it starts from now on, on one core, with room for many connections."""
    os.sched_setaffinity(0, {core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def family(pid: int) -> list[int]:
    """Return a process and every one below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the processor time that these processes' living threads have had."""
    return sum(_of_process(pid) for pid in pids)


def busy_s(core: int) -> float:
    """Return how long a core has been busy since the machine began, in steps of a hundredth of a second."""
    line = next(
        line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} ")
    )
    user, nice, system, _, _, *others = [int(field) for field in line.split()[1:9]]
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def _of_process(pid: int) -> float:
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(thread.read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def describe() -> str:
    """Name the machine, for the head of a report."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
