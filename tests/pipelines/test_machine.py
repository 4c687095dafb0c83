"""What is known of the machine."""

import ctypes
import gc
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipelines import machine

GIGA = 1 << 30


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_has_no_more_than_its_limit(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(f"{GIGA}\n")
    assert machine.memory_limit(tmp_path) == GIGA
    (tmp_path / name).write_text(f"{1 << 62}\n")
    assert machine.memory_limit(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize("limit", ["max", "", "none"])
def test_without_a_limit_it_has_what_the_machine_has(limit: str, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(limit)
    assert machine.memory_limit(tmp_path) == machine.memory_limit(tmp_path / "none") == psutil.virtual_memory().total


def limited(folder: Path, limit: str, used: int, files: int = 0) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 12345\nactive_file 7\ninactive_file {files}\n")
    return folder


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, str(4 * GIGA), GIGA)) == 3 * GIGA


def test_files_that_were_read_make_way(tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, str(4 * GIGA), 4 * GIGA, files=2 * GIGA)) == 2 * GIGA


def test_more_than_the_limit_leaves_nothing(tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, str(GIGA), GIGA + 4096)) == 0


@pytest.mark.parametrize("limit", ["max", "", "none"])
def test_without_a_limit_the_machine_counts(limit: str, tmp_path: Path) -> None:
    assert machine.container_memory(limited(tmp_path, limit, GIGA)) > 1 << 50
    assert machine.container_memory(tmp_path / "none") > 1 << 50


# --- control groups -----------------------------------------------------------------------------------------------

V2 = "0::/system.slice/page.service/worker"
V1 = "12:cpu,cpuacct:/docker/1\n4:memory:/system.slice/page.service/worker\n0::/"


def group(folder: Path, version: int, limit: str, used: int = 0, files: int = 0) -> None:
    """What Linux shows of a memory group; version 1 writes no limit as the largest number of pages."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{'total_' * (version == 1)}inactive_file {files}\n")


@pytest.mark.parametrize(
    ("version", "own", "root", "none"),
    [(2, V2, ".", "max"), (2, V2, "unified", "max"), (1, V1, "memory", "9223372036854771712")],
)
def test_the_least_of_all_groups_around_this_process_counts(
    version: int, own: str, root: str, none: str, tmp_path: Path
) -> None:
    """A service's MemoryMax is on the group around that of the process; the root of the mount has none."""
    groups, lines = tmp_path / "cgroup", tmp_path / "own"
    lines.write_text(own + "\n")
    inner, middle, outer = (groups / root / each for each in (f"{V2[4:]}", "system.slice/page.service", "system.slice"))
    group(groups / root, version, none, 50 * GIGA)
    group(outer, version, str(8 * GIGA), 6 * GIGA)
    group(middle, version, str(3 * GIGA), GIGA, files=GIGA // 2)
    group(inner, version, none, GIGA)
    assert machine.memory_limit(groups, lines) == 3 * GIGA
    assert machine.container_memory(groups, lines) == 2 * GIGA, "what is left to the slice is less than to the service"
    group(outer, version, none, 6 * GIGA)
    assert machine.container_memory(groups, lines) == 5 * GIGA // 2


@pytest.mark.parametrize("own", ["4:memory:/docker/123\n0::/\n", "4:memory:/../elsewhere\n0::/../elsewhere\n", ""])
def test_in_a_container_its_own_group_is_the_outermost(own: str, tmp_path: Path) -> None:
    """The path may be the host's, which leads nowhere in the container."""
    (tmp_path / "own").write_text(own)
    group(tmp_path / "memory", 1, str(GIGA), GIGA // 4)
    assert machine.memory_limit(tmp_path, tmp_path / "own") == GIGA
    assert machine.container_memory(tmp_path, tmp_path / "own") == 3 * GIGA // 4


def test_a_group_that_is_slowed_down_counts_as_limited(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/a\n")
    group(tmp_path / "a", 2, "max", GIGA)
    (tmp_path / "a/memory.high").write_text(f"{2 * GIGA}\n")
    assert machine.container_memory(tmp_path, tmp_path / "own") == GIGA


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a/b/cpu.max": "50000 100000", "a/cpu.max": "max 100000"}, 1),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000"}, 2),
        ({"a/b/cpu.max": "800000 100000"}, 3),
        ({"cpu/a/b/cpu.cfs_quota_us": "-1", "cpu/a/b/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 1),
        ({}, 3),
    ],
)
def test_a_quota_of_the_processor_counts_as_fewer_cores(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    (tmp_path / "own").write_text("0::/a/b\n3:cpu,cpuacct:/a/b\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert machine.cores(tmp_path, tmp_path / "own") == expected


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives back when asked")
def test_gaps_in_the_heap_are_given_back() -> None:
    def resident() -> int:
        return psutil.Process().memory_info().rss

    blocks = [bytes([number % 255 + 1]) * 100_000 for number in range(1000)]  # too small to have pages of their own
    kept, held = blocks[::100], resident()
    del blocks
    machine.trim_heap()
    assert held - resident() > 80_000_000 and len(kept) == 10


HEAPS = """
import ctypes, sys, threading
from pipelines import machine

if sys.argv[1:]:
    machine.keep_heap()
kept, together = [], threading.Barrier(40)

def take():
    kept.append(b"x" * 5000)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype, libc.fdopen.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_char_p]
libc.malloc_info.argtypes, libc.fflush.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
out = libc.fdopen(1, b"w")
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc tells of its heaps")
def test_threads_of_a_program_share_one_heap() -> None:
    def count(*arguments: str) -> int:
        command = [sys.executable, "-c", HEAPS, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("<heap nr=")

    assert count("shared") == 1 < count()


FREED = """
import sys, psutil
from pipelines import machine

if sys.argv[1:]:
    machine.keep_heap()

def resident():
    return psutil.Process().memory_info().rss

before = resident()
block = bytearray(b"x") * 100_000_000
del block
machine.trim_after_run()
kept = resident() - before
machine.trim_heap()
print(kept > 80_000_000, resident() - before > 80_000_000)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc can be told what to keep")
def test_a_program_keeps_what_a_run_gave_back_until_it_is_trimmed() -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", FREED, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert run() == "False False"
    assert run("program") == "True False"


def test_garbage_is_looked_for_again_after_imports() -> None:
    with pytest.raises(ImportError), machine.without_collecting():
        assert not gc.isenabled()
        with machine.without_collecting():
            pass
        assert not gc.isenabled(), "the outer one goes on"
        raise ImportError
    assert gc.isenabled()
