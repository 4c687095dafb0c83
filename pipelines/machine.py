"""Where a measurement was made: the processor, and the versions of what computes."""

import os
import platform
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
NO_LIMIT = 1 << 60  # bytes, more than any machine has
VERSION = "0.1.0"  # of this program; pyproject.toml reads it here
LIBRARIES = ("numpy", "pillow", "opencv-contrib-python-headless", "scipy", "torch", "openvino")


def describe() -> dict[str, str | int | float]:
    """The processor's name, how many of its cores this process may use, GB of 10^9 bytes of memory, and the system."""
    import psutil

    return {
        "processor": processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def free_memory() -> int:
    """Bytes of memory that the system could give, what it keeps in caches included."""
    import psutil

    return int(psutil.virtual_memory().available)


def memory_limit(groups: Path = CGROUPS) -> int:
    """Bytes of memory that this process may have at most: the machine's, or its container's by either version of
    Linux's cgroups.
    """
    import psutil

    limits = [int(psutil.virtual_memory().total)]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # the other version, another system, or "max", which is no limit
            limits.append(int((groups / name).read_text()))
    return min(limits)


def container_memory(groups: Path = CGROUPS) -> int:
    """Bytes that the limit of this process's container leaves, by version 2 of Linux's cgroups; NO_LIMIT without one.

    What is kept of files that were read counts as used there, although it makes way when memory is asked for.
    """
    try:
        limit, used = (int((groups / name).read_text()) for name in ("memory.max", "memory.current"))
        statistics = dict(line.split() for line in (groups / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(statistics["inactive_file"]))
    except (OSError, ValueError, KeyError):
        return NO_LIMIT


def versions() -> dict[str, str]:
    """Returns the versions of this program, Python, and the libraries that the numbers depend on, where installed."""
    found = {"upscale-bench": VERSION, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, as the system calls it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def has_nvidia() -> bool:
    """Returns whether there is a GPU from Nvidia, by its driver's file: to know it from torch takes seconds."""
    return Path("/dev/nvidia0").exists()


def features() -> frozenset[str]:
    """Returns what the processor can do, by Linux's names ("avx2", "amx_bf16"); empty elsewhere."""
    return frozenset(_cpuinfo("flags").split())


def _cpuinfo(field: str) -> str:
    """Returns what Linux says of the first processor; empty where it says nothing."""
    if sys.platform != "linux":
        return ""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
