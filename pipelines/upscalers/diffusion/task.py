"""What a network is given to do: the same for every model, and made by each in its own way."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pipelines.images.picture import Pixels
from pipelines.runs import Run, Step, T, map_steps


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One image to be made.

    `noise` (1, C, H, W) has variance 1, and `beside` (1, C', H, W) is what the network sees next to the latents, both
    on the processor; there too, where denoising begins near it, `plain` has the latents of the plain enlargement,
    (1, C, H, W). What else the network is given, its `conditioning`, goes by the names of its arguments and has a first
    axis of 1, or of 2 with guidance: what to keep away from, what to follow. `notes` are for the caller. Where it was
    `cleaned`, that picture has the colours that the result gets, (H, W, 3).
    """

    noise: Tensor
    beside: Tensor
    conditioning: Mapping[str, Tensor]
    guidance: float = 1.0
    notes: tuple[str, ...] = ()
    plain: Tensor | None = None
    cleaned: Pixels | None = None


def name_tiles(run: Run[T], doing: str, part: int = 0, parts: int = 1) -> Run[T]:
    """Returns the same run; its steps say what is done to which tile, and count as one of so many equal parts."""

    def change(step: Step) -> Step:
        note = f"{doing}, tile {step.done} of {step.total}"
        return replace(step, done=part * step.total + step.done, total=parts * step.total, note=note)

    return map_steps(run, change)


def cast_conditioning(values: Tensor, device: Any, dtype: torch.dtype) -> Tensor:
    """Returns the values on the device; whole numbers as they are, others in that precision."""
    return values.to(device, dtype if values.is_floating_point() else values.dtype)
