"""Where a measurement was made: the processor, and the versions of what computes."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from pipelines import VERSION

LIBRARIES = ("numpy", "pillow", "opencv-contrib-python-headless", "scipy", "torch")


def machine() -> dict[str, str | int | float]:
    """The processor's name, how many of its cores this process may use, GB of 10^9 bytes of memory, and the system."""
    import psutil

    return {
        "processor": processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Of this program, Python, and the libraries that the numbers depend on, as far as they are installed."""
    found = {"upscale-bench": VERSION, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name, as the system calls it."""
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
