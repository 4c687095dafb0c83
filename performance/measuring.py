"""Seconds and peak memory, measured the same way for everything; and RESULTS.md, where they are written. Linux only."""

import math
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipelines import machine
from pipelines.upscalers.judging import JudgingUpscaler
from pipelines.upscalers.network import NetworkUpscaler

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("RESULTS.md")
BFLOAT16_FLAGS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}  # of /proc/cpuinfo


def find_network(upscaler: object, artifacts: str = "none") -> NetworkUpscaler:
    """The upscaler by the network engine that runs in fact: of two that a model chooses between, the one named."""
    if isinstance(upscaler, JudgingUpscaler):
        upscaler = upscaler.robust if artifacts == "remove" else upscaler.usual
    assert isinstance(upscaler, NetworkUpscaler)
    return upscaler


def medians(jobs: Sequence[Callable[[], object]], repeats: int = 5, long: float = math.inf) -> list[float]:
    """Median seconds of each job after one warm-up; the jobs take turns, so that a busy machine slows all alike.

    A job whose warm-up takes more than `long` seconds is not run again: that counts.
    """
    taken = [[_time(job)] for job in jobs]
    for _ in range(repeats):
        for job, times in zip(jobs, taken, strict=True):
            if times[0] <= long:
                times.append(_time(job))
    return [statistics.median(times[1:] or times) for times in taken]


def _time(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def peak_megabytes(job: Callable[[], object]) -> float:
    """Peak resident memory while the job runs, above what was held before, in MB of 10^6 bytes."""
    machine.trim_heap()  # what the heap keeps would be used again, and count for nothing
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = _kilobytes("VmRSS")
    job()
    return (_kilobytes("VmHWM") - before) * 1024 / 1e6


def resident_megabytes() -> float:
    """Resident memory now, in MB of 10^6 bytes."""
    return _kilobytes("VmRSS") * 1024 / 1e6


def peak_since_start() -> float:
    """Most resident memory that this process ever held, in MB of 10^6 bytes."""
    return _kilobytes("VmHWM") * 1024 / 1e6


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def run_in_fresh_process(module: str, *arguments: object) -> str:
    """Returns what `python -m module` with those arguments prints: it has loaded nothing yet, and holds no memory."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout


def describe_processor() -> str:
    """The processor's name, what it multiplies bfloat16 with, and how many of its cores are ours."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    multiplies = next((f" with {name}" for flag, name in BFLOAT16_FLAGS.items() if flag in flags), "")
    return f"{names[0] if names else platform.processor()}{multiplies}, {len(names)} cores"


def write_section(title: str, about: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Puts a table into RESULTS.md under its title, in place of the one of an earlier run, with date and processor."""
    head = f"## {title}\n"
    lines = [
        head,
        f"{datetime.now(UTC):%Y-%m-%d}, {describe_processor()}, Python {platform.python_version()}. {about}",
        "",
        *table_lines(header, rows),
        "",
    ]
    text = (
        RESULTS.read_text()
        if RESULTS.exists()
        else "# Measured\n\nRatios are within one run; seconds vary with the machine.\n"
    )
    sections = re.split(r"(?m)^(?=## )", text)
    place = next((at for at, part in enumerate(sections) if part.startswith(head)), len(sections))
    sections[place : place + 1] = ["\n".join(lines)]
    RESULTS.write_text("\n".join(part.strip("\n") + "\n" for part in sections))
    print("\n".join(lines))


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return ["| " + " | ".join(row) + " |" for row in [header, ["-"] * len(header), *rows]]
