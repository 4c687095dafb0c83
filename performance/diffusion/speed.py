"""Seconds and peak memory of the product and of diffusers' own pipeline, by the side of the picture."""

import json
import math
from dataclasses import astuple
from pathlib import Path
from unittest import mock

import torch

from performance.diffusion.running import STAGE, Job, Taken, measure_job, on_gpu
from performance.measuring import run_in_fresh_process, write_section
from pipelines.catalog.rows import find_specification
from pipelines.catalog.settings import Settings
from pipelines.estimates import estimate
from pipelines.upscalers import rates

DEFAULT_STEPS = find_specification(STAGE.model).options.steps
ABOUT = (
    "By 4, without words; the denoising network and the autoencoder have their true size and random parameters, the "
    "text encoder one layer. Stock is diffusers' `StableDiffusionUpscalePipeline`, ours the product with its defaults: "
    "tiles of 128, its preview and colour fix included. Each line is one run in a fresh process, after a warm-up with "
    "a small picture. The rest is what comes before and after the steps, mostly decoding; a picture is reckoned from a "
    "step and the rest. Peak memory is above what is held before, the networks and the libraries; the result is in it. "
    "Told is how long the page believes before a first run that this one takes."
)
ON_CPU = (
    "Seconds are those that the cores worked, together: other programs had a part of the processor, which shows in "
    "the seconds that passed. No GPU was at hand: where one is, the same command measures there."
)
NOT_DECODED = (
    "Stock's decoder is left out: it holds the whole picture at 2048 x 2048, and its attention alone is 141 of "
    "181 * 10^12 operations."
)


def measure_side(side: int, folder: Path) -> None:
    """Seconds and peak memory of ours and of stock for a picture of that side."""
    steps = DEFAULT_STEPS if on_gpu() else 2 if side == 128 else 1
    decoded = on_gpu() or side < 512
    jobs = [Job("stock", side, steps, decoded=decoded), Job("ours", side, steps)]
    if on_gpu():
        jobs.append(Job("stock, its defaults", side, 75, guidance=9.0))
    taken = [_in_fresh_process(job, folder) for job in jobs]
    first = taken[0].steps / steps
    rows = [_row(job, each, first) for job, each in zip(jobs, taken, strict=True)]
    where = f"{torch.cuda.get_device_name()}, float16; nan: out of memory." if on_gpu() else ON_CPU
    header = ["way", "steps", "a step, s", "of stock's", "the rest, s", "a picture, s", "of steps", "passed, s"]
    header += ["told, s", "told / passed", "peak, MB", "before, MB"]
    about = " ".join([ABOUT, where, *([] if decoded else [NOT_DECODED])])
    write_section(f"Stable Diffusion x4: {side} px", about, header, rows)


def _row(job: Job, taken: Taken, stock: float) -> list[str]:
    each, wanted = taken.steps / job.steps, max(job.steps, DEFAULT_STEPS)
    rest = [f"{taken.rest:.1f}", f"{wanted * each + taken.rest:.0f}"] if job.decoded else ["", ""]
    seconds = [f"{each:.2f}", f"{each / stock:.2f}", *rest, f"{wanted}", f"{taken.passed:.0f}"]
    told = _told(job) if job.who == "ours" else None
    believed = ["", ""] if told is None else [f"{told:.0f}", f"{told / taken.passed:.2f}"]
    return [job.who, f"{job.steps}", *seconds, *believed, f"{taken.peak:.0f}", f"{taken.held:.0f}"]


def _told(job: Job) -> float | None:
    with mock.patch.object(rates, "_learned", {}):
        return estimate(*STAGE, job.side, job.side, Settings(steps=job.steps)).seconds


def _in_fresh_process(job: Job, folder: Path) -> Taken:
    printed = run_in_fresh_process("performance.diffusion", "one", folder, json.dumps(astuple(job)))
    return Taken(*json.loads(printed.splitlines()[-1]))


def print_taken(job: Job, folder: Path) -> None:
    """Prints the figures as JSON: what `measure_side` runs in a process of its own."""
    try:
        taken = measure_job(job, folder)
    except torch.OutOfMemoryError:
        taken = Taken(*[math.nan] * 5)
    print(json.dumps(astuple(taken)))
