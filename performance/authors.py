"""Diffusion networks against those of their authors: what each takes, and the table of both, alike for every model."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from performance.measuring import write_section
from pipelines.images.picture import Pixels8
from pipelines.measuring.metrics.pixelwise import psnr

HEADER = ["way", "precision", "a step, s", "of theirs", "around, s", "of theirs", "a picture, s", "peak, MB", "dB"]


class Taken(NamedTuple):
    """Core seconds of a step and of what is around the steps, and peak memory in MB."""

    step: float
    around: float
    peak: float

    def cells(self, theirs: "Taken", steps: int) -> list[str]:
        """The figures to read, beside their ratio to others; of a picture with so many steps too."""
        ratios = f"{self.step / theirs.step:.2f}", f"{self.around / theirs.around:.2f}"
        whole = f"{steps * self.step + self.around:.1f}"
        return [f"{self.step:.2f}", ratios[0], f"{self.around:.2f}", ratios[1], whole, f"{self.peak:.0f}"]


def write_table(
    title: str, about: str, steps: int, theirs: Taken, exact: tuple[Taken, Pixels8], half: tuple[Taken, Pixels8]
) -> None:
    """Writes the section: theirs, and ours in float32 and in bfloat16, whose pictures are compared."""
    found = psnr(exact[1], half[1])
    rows = [
        ["theirs", "float32", *theirs.cells(theirs, steps), ""],
        ["ours", "float32", *exact[0].cells(theirs, steps), ""],
        ["ours", "bfloat16", *half[0].cells(theirs, steps), "the same" if found is None else f"{found:.1f}"],
    ]
    write_section(title, about, HEADER, rows)


def draw_parameters(network: nn.Module) -> None:
    """Gives every parameter a value of its own: some are 0 as they are made."""
    for name, parameter in network.named_parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        spread *= 0.3 if name.endswith("out.2.weight") else 1
        parameter.data.normal_().mul_(spread).add_(float(parameter.ndim == 1 and name.endswith("weight")))


def draw_network(make: Callable[[], nn.Module], device: str, dtype: torch.dtype) -> Any:
    """The network with small random parameters, which are drawn where they are to lie: it may be large."""
    with torch.device("meta"):
        bare = make()
    network = bare.to(dtype).to_empty(device=device).requires_grad_(False).eval()
    for parameter in network.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.uniform_(-spread, spread)
    return network


def draw_as_read(make: Callable[[], nn.Module], device: str, dtype: torch.dtype) -> Any:
    """The same, laid out as the product lays out what it reads from files."""
    return draw_network(make, device, dtype).to(memory_format=torch.channels_last)


def core_seconds(job: Callable[[], object], repeats: int = 1) -> float:
    """Core seconds of the job, after a warm-up: the least of so many runs."""
    return compare_core_seconds([job], repeats)[0]


def compare_core_seconds(jobs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Core seconds of each job, after a warm-up: the least of so many runs, in which they take turns.

    Whatever else the machine does then slows each of them about as much.
    """
    taken: list[list[float]] = [[] for _ in jobs]
    for number in range(repeats + 1):
        for job, times in zip(jobs, taken, strict=True):
            start = time.process_time()
            job()
            if number:
                times.append(time.process_time() - start)
    return [min(times) for times in taken]
