"""One measured run: by the product, or by diffusers' own pipeline."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from diffusers import StableDiffusionUpscalePipeline
from PIL import Image
from torch import nn

from performance.measuring import resident_megabytes
from performance.scene import make_scene
from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.images.picture import to_uint8
from pipelines.measuring.memory import measure_peak_memory
from pipelines.networks import devices
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler, build
from pipelines.weights import fetch as weights

Enlarge: TypeAlias = Callable[[int, int], object]
"""Enlarges a made picture of that side with so many steps."""

STAGE = Stage("sd-x4", 4)


def load_ours(folder: Path) -> DiffusionUpscaler:
    """The upscaler as the product loads it."""
    assert STAGE.weights
    return build(STAGE.model, STAGE.scale, weights.from_user(STAGE.weights, folder))


def load_stock(folder: Path) -> Any:
    """The pipeline as its documentation has it: half precision on a GPU, float32 elsewhere."""
    name = devices.choose_device().name
    dtype = torch.float16 if name == "cuda" else torch.float32
    pipeline: Any = StableDiffusionUpscalePipeline.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(name)


@dataclass(frozen=True, slots=True)
class Job:
    """One line: who enlarges what, with how many steps. `decoded`: whether all the way to the picture."""

    who: str
    side: int
    steps: int
    guidance: float = 1.0
    decoded: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by `clock` of all steps, and of what comes before and after; seconds that passed; memory in MB."""

    steps: float
    rest: float
    passed: float
    peak: float
    held: float


def on_gpu() -> bool:
    """Returns whether there is a GPU: all is measured there then."""
    return devices.choose_device().name == "cuda"


def clock() -> float:
    """Seconds that passed, where a GPU works; else those that the processor worked, all cores together.

    Other programs may have a part of the processor, but not of its work for this one.
    """
    return time.perf_counter() if on_gpu() else time.process_time()


def measure_job(job: Job, folder: Path) -> Taken:
    """The line's figures, once, after a small picture that warms up."""
    enlarge, network = (_run_ours if job.who == "ours" else _run_stock)(job, folder)
    enlarge(32, 1)
    times = _record_passes(network)
    with measure_peak_memory() as peak:  # what was freed before is given back now
        held = torch.cuda.memory_allocated() / 1e6 if on_gpu() else resident_megabytes()
        start, started = clock(), time.perf_counter()
        enlarge(job.side, job.steps)
        whole, passed = clock() - start, time.perf_counter() - started
    steps = times[-1] - times[0]
    return Taken(steps, whole - steps, passed, peak.megabytes, held)


def _run_ours(job: Job, folder: Path) -> tuple[Enlarge, nn.Module]:
    upscaler = load_ours(folder)
    (parts,) = upscaler.placed.values()
    assert isinstance(parts.unet, nn.Module)
    return lambda side, steps: finish(upscaler.run(make_scene(side), Settings(steps=steps))), parts.unet


def _run_stock(job: Job, folder: Path) -> tuple[Enlarge, nn.Module]:
    pipeline, kind = load_stock(folder), "np" if job.decoded else "latent"

    def enlarge(side: int, steps: int) -> object:
        image = Image.fromarray(to_uint8(make_scene(side)))
        return pipeline("", image, steps, guidance_scale=job.guidance, output_type=kind)

    return enlarge, pipeline.unet


def _record_passes(network: nn.Module) -> list[float]:
    """Returns when each of the network's passes starts and ends, from now on."""
    times: list[float] = []

    def now(*_: object) -> None:
        if on_gpu():
            torch.cuda.synchronize()
        times.append(clock())

    network.register_forward_pre_hook(now)
    network.register_forward_hook(now)
    return times
