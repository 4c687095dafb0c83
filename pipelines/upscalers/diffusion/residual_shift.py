"""The chain of ResShift: from the low resolution with noise to the high one (Yue et al. 2023, arXiv:2307.12348).

What is between is x0 + eta (y - x0) with noise of deviation kappa sqrt(eta): y are the latents of the plain
enlargement, and eta goes from nearly 0 to nearly 1, the square of a root that grows by `power` (section 3.2). A network
was trained at so many levels, and takes the number of one for the time.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.upscalers.diffusion.task import Task

LARGEST_ROOT = 0.99  # of the last level's eta


class ResidualShiftScheduler:
    """A `Scheduler` of so many steps, at most as many as the network knows levels.

    `schedule` has their number ("levels"), the first one's deviation ("least_noise"), "kappa" and "power". Fewer steps
    go by levels that are spread evenly from the last to the first.
    """

    label = "ResShift"

    def __init__(self, schedule: Mapping[str, Any], steps: int, device: str) -> None:
        levels, least = int(schedule["levels"]), float(schedule["least_noise"])
        self.kappa = float(schedule["kappa"])
        smallest = min(least / self.kappa, least)
        grown = np.linspace(0, 1, levels) ** schedule["power"]
        self._etas: list[float] = ((smallest * (LARGEST_ROOT / smallest) ** grown) ** 2).tolist()
        chosen = np.linspace(levels - 1, 0, min(steps, levels)).round().astype(int)
        self._next = dict(zip(chosen[:-1].tolist(), chosen[1:].tolist(), strict=True))
        self.timesteps = torch.from_numpy(chosen).to(device)

    def start(self, task: Task) -> Tensor:
        """See `Scheduler`: the plain enlargement with the last level's noise."""
        assert task.plain is not None, "a chain of residuals begins at the plain enlargement"
        return task.plain + task.noise * (self.kappa * math.sqrt(self._etas[int(self.timesteps[0])]))

    def network_time(self, time: Tensor) -> Tensor:
        """See `Scheduler`."""
        return time

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        """See `Scheduler`: brought to variance 1, about."""
        return latents / math.sqrt(self.kappa**2 * self._etas[int(time)] + 1)

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """See `Scheduler`: that is what the network predicts."""
        return prediction

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """See `Scheduler`: drawn from what the level before it is, given this one and the prediction (equation 7)."""
        if int(time) not in self._next:
            return prediction
        here, after = self._etas[int(time)], self._etas[self._next[int(time)]]
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        share, deviation = after / here, self.kappa * math.sqrt((here - after) * after / here)
        return share * latents + (1 - share) * prediction + deviation * noise
