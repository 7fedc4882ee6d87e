"""CPU cores that this process may use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Number of cores that this process may use, limited by its CPU affinity and its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, container_limit(_CGROUP) or allowed)


def container_limit(cgroup: Path) -> int | None:
    """CPU limit of a container in whole cores, at least 1; None if there is no limit.

    Args:
        cgroup: folder of its control group, version 2 or 1.
    """
    for names in ("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if int(quota) > 0:
                return max(1, math.ceil(int(quota) / int(period)))
        except (OSError, ValueError):  # not in a container, or "max"
            continue
    return None
