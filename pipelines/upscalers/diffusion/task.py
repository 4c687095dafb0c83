"""What a network is given to do: the same for every model, and made by each in its own way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

Clock: TypeAlias = Callable[[Any, Tensor], Tensor]
"""From a scheduler and its time to the time that the network is told."""
Reading: TypeAlias = Callable[[Any, Tensor, Tensor], Tensor]
"""From a scheduler, the latents and what the network gave for them to what the scheduler takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One picture to be made.

    `latents` (1, C, H, W) are noise of variance 1 and `beside` (1, C', H, W) what the network sees next to them, both
    on the processor. What else it is `told`, by the names of its arguments, has a first axis of 1, or of 2 with
    guidance: what to keep away from, what to follow. `notes` are for the caller.
    """

    latents: Tensor
    beside: Tensor
    told: Mapping[str, Tensor]
    guidance: float = 1.0
    clock: Clock = lambda scheduler, time: time
    reading: Reading = lambda scheduler, latents, given: given
    notes: tuple[str, ...] = ()


def fit(told: Tensor, device: Any, dtype: torch.dtype) -> Tensor:
    """On the device, numbers that are no whole ones in that precision."""
    return told.to(device, dtype if told.is_floating_point() else told.dtype)
