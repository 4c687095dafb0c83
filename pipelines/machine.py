"""Where a measurement is made: the processor, what this process may take of it, and the versions of what computes."""

import ctypes
import gc
import math
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")  # where Linux shows control groups, by which containers and services are limited
OWN_GROUPS = Path("/proc/self/cgroup")  # in which of them this process is
NO_LIMIT = 1 << 60  # bytes, more than any machine has
KEPT_BLOCKS = (256 << 20, 32 << 20)  # bytes: what is larger goes back at once; the second is the most of older glibc
KEPT_HEAP, KEPT_SHARE = 512 << 20, 16  # bytes that stay free at the end of the heap, and of the memory: a sixteenth
TRIM_SECONDS = 10.0
SCARCE = 4 << 30  # bytes left, below which what the heap keeps is given back before it is told how many they are
_MOST_HEAPS, _MAPPED_FROM, _TRIMMED_FROM = -8, -3, -1  # glibc's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD
VERSION = "0.1.0"  # of this program; pyproject.toml reads it here
LIBRARIES = ("numpy", "pillow", "opencv-contrib-python-headless", "scipy", "torch", "openvino")
BFLOAT16_FEATURES = frozenset({"amx_bf16", "avx512_bf16"})  # of a processor that multiplies bfloat16 matrices itself

_keeping = threading.Event()
_trimmed = [-math.inf]  # when the heap was trimmed last


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


def memory_limit(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Bytes of memory that this process may have at most: the machine's, or the least that one of its control groups
    allows.
    """
    import psutil

    limits = [limit for folder in _own_groups("memory", groups, own) for limit in _memory_limits(folder)]
    return min([int(psutil.virtual_memory().total), *limits])


def trim_heap() -> None:
    """Gives the system what is free between blocks of the heap, where the C library is glibc, which keeps it."""
    _trimmed[0] = time.monotonic()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Has Python not look for garbage while libraries are imported: what they make stays, and looking takes long.

    The first import of torch or gradio is a fifth quicker so.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def keep_heap() -> None:
    """Has what a run gives back stay for the next one, where the C library is glibc: for programs, as they start.

    The system clears what it gives page by page, which is half of the time of a run of a tenth of a second. All threads
    share one heap: of several, only the first can be trimmed whole, and between their blocks more stays free.
    """
    _keeping.set()
    _trimmed[0] = time.monotonic()
    with suppress(OSError, AttributeError, TypeError):
        choose = ctypes.CDLL(None).mallopt
        choose(_MOST_HEAPS, 1)
        if any(choose(_MAPPED_FROM, size) for size in KEPT_BLOCKS):  # else glibc would map ever more by itself
            choose(_TRIMMED_FROM, min(KEPT_HEAP, memory_limit() // KEPT_SHARE))


def trim_after_run() -> None:
    """Trims the heap, which is full of gaps now; after `keep_heap` only if that is TRIM_SECONDS ago.

    In what is no program of ours there may be no other run for hours.
    """
    if not _keeping.is_set() or time.monotonic() - _trimmed[0] > TRIM_SECONDS:
        trim_heap()


def container_memory(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Bytes that the limits of this process's control groups leave, the least of them; NO_LIMIT without one.

    What is kept of files that were read counts as used there, although it makes way when memory is asked for.
    """
    return min((_left(folder) for folder in _own_groups("memory", groups, own)), default=NO_LIMIT)


def available_memory() -> int:
    """Bytes of memory that this process could still take: what the system could give, within its limits.

    What the heap keeps of earlier runs is no less there: else a result could depend on them.
    """
    left = min(free_memory(), container_memory())
    if left < SCARCE and _keeping.is_set():
        trim_heap()
        left = min(free_memory(), container_memory())
    return left


def _own_groups(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """The folders of the control groups that this process is in, by both versions, each before the one around it.

    A group is limited by all that are around it. In a container only its own group may be shown, as the outermost,
    under a path that leads nowhere there: what does not exist is passed over by who reads it.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:  # another system
        lines = []
    paths = {"": "/", controller: "/"}  # by version: the second has no controllers in its line
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths |= {name: path for name in controllers.split(",") if name in paths}
    mounted = [(groups, ""), (groups / "unified", ""), (groups / controller, controller)]
    if controller == "cpu":
        mounted.append((groups / "cpu,cpuacct", controller))
    for root, version in mounted:
        parts = [part for part in paths[version].split("/") if part]
        inside = [] if ".." in parts else parts  # a group beyond what is shown here
        for count in range(len(inside), -1, -1):
            yield root.joinpath(*inside[:count])


def _memory_limits(group: Path) -> Iterator[int]:
    """The limits of one group: above memory.high, version 2 slows a process down until it stands still."""
    for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # the other version, or "max", which is no limit
            yield int((group / name).read_text())


def _left(group: Path) -> int:
    """Bytes that a group's limits leave."""
    limit = min(_memory_limits(group), default=NO_LIMIT)
    for current, inactive in (("memory.current", "inactive_file"), ("memory.usage_in_bytes", "total_inactive_file")):
        with suppress(OSError, ValueError, KeyError):
            used = int((group / current).read_text())
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            return max(0, limit - used + int(statistics[inactive]))
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


@cache
def features() -> frozenset[str]:
    """Returns what the processor can do, by Linux's names ("avx2", "amx_bf16"); empty elsewhere."""
    return frozenset(_cpuinfo("flags").split())


@cache
def _cpuinfo(field: str) -> str:
    """Returns what Linux says of the first processor; empty where it says nothing. To ask Linux takes milliseconds."""
    if sys.platform != "linux":
        return ""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def cores(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Returns how many cores this process may use: those it may run on, or what its control groups' quotas come to.

    A part of a core counts as one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _own_groups("cpu", groups, own) for quota in _cpu_quotas(folder)]
    return max(1, math.ceil(min([allowed, *quotas])))


def _cpu_quotas(group: Path) -> Iterator[float]:
    """The cores' worth of time that a group may take, by either version; nothing where that is not limited."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        yield int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:  # -1 is no limit
            yield int(quota) / int(period)
