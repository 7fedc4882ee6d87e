"""Whether a process of this machine still lives."""

import contextlib
import math
import os
from pathlib import Path

_CLOCK_SLACK = 2.0
"""Seconds: the time of the boot is known to the second, and the clock may have been set since."""


def alive(pid: int, since: float = math.inf) -> bool:
    """Whether a process lives, and (on Linux) is the one of that number that lived at a time, and not a later one.

    Args:
        pid: its number.
        since: POSIX seconds at which it lived for certain. After a restart of the machine another process may have its number.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    began = _began(pid)
    return began is None or began <= since + _CLOCK_SLACK


def _began(pid: int) -> float | None:
    """When a process began, POSIX seconds; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        # the name of the program, in parentheses, may hold anything; 22nd field: ticks from the boot to the start (proc(5))
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(x for x in Path("/proc/stat").read_text().splitlines() if x.startswith("btime "))
        return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return None
