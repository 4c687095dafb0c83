"""The sampler of SUPIR (Yu et al. 2024, arXiv:2401.13627, section 3.4): Euler's method, drawn to the picture at first.

Euler's method with noise that is added before each step: Karras et al. 2022, arXiv:2206.00364, algorithm 2. Guidance
grows as the noise falls. Latents are the image with noise of a deviation that falls from 14.6 to 0.
"""

import itertools
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pipelines.upscalers.diffusion.diffbir_samplers import TIMES, signal_shares
from pipelines.upscalers.diffusion.task import Task

MOST_CHURN = math.sqrt(2) - 1  # by so much of itself noise grows at the most before a step (Karras et al.)
LEAST_NOISE = 0.05  # a step that ends at less is not drawn to the picture


class RestoringScheduler:
    """A `ChurningScheduler` of so many steps.

    `schedule` has how much the noise grows in all before steps ("churn") and how much of it is added ("noise"), the
    guidance where there is noise alone ("first_guidance"), and the power of the noise by which denoising is drawn to
    the picture ("restoration"): it is where the task has a plain picture.
    """

    label = "Restore EDM"

    def __init__(self, schedule: Mapping[str, float], steps: int, device: str) -> None:
        self.schedule = schedule
        shares = signal_shares(no_signal_left=False)
        self._known = np.sqrt((1 - shares) / shares)  # the deviation at each time
        times: list[int] = np.linspace(TIMES - 1, 0, steps, endpoint=False).astype(int).tolist()
        deviations: list[float] = [*self._known[times].tolist(), 0.0]
        self._sigmas = dict(zip(times, itertools.pairwise(deviations), strict=True))
        self._growth = min(schedule["churn"] / steps, MOST_CHURN)
        self._picture: Tensor | None = None
        self.timesteps = torch.tensor(times, device=device)

    def start(self, task: Task) -> Tensor:
        """See `Scheduler`: noise alone, of a variance as if the image were under it."""
        self._picture = task.plain
        return task.noise * math.sqrt(1 + self._sigmas[int(self.timesteps[0])][0] ** 2)

    def churn(self, latents: Tensor, time: Tensor, generator: torch.Generator) -> Tensor:
        """See `ChurningScheduler`."""
        if not self._growth:
            return latents
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        added = math.sqrt(self._grown(time) ** 2 - self._sigmas[int(time)][0] ** 2)
        return latents + self.schedule["noise"] * added * noise

    def guidance(self, time: Tensor, most: float) -> float:
        """See `ChurningScheduler`."""
        first = min(self.schedule["first_guidance"], most)
        return most + (first - most) * self._grown(time) / float(self._known[-1])

    def network_time(self, time: Tensor) -> Tensor:
        """See `Scheduler`: that at which there is about as much noise as has been added."""
        return torch.tensor(self._nearest(time), device=time.device)

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        """See `Scheduler`."""
        return latents / math.sqrt(float(self._known[self._nearest(time)]) ** 2 + 1)

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """See `Scheduler`."""
        return latents - float(self._known[self._nearest(time)]) * prediction

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """See `Scheduler`."""
        clean = self.to_clean(prediction, time, latents)
        sigma, smaller = self._sigmas[int(time)]
        if self._picture is not None and smaller > LEAST_NOISE:
            drawn = (sigma / float(self._known[-1])) ** self.schedule["restoration"]
            clean = torch.lerp(clean, self._picture.to(clean.device), drawn)
        grown = self._grown(time)
        return latents + (latents - clean) * ((smaller - grown) / grown)

    def _grown(self, time: Tensor) -> float:
        """The noise of a step once more has been added."""
        return self._sigmas[int(time)][0] * (1 + self._growth)

    def _nearest(self, time: Tensor) -> int:
        """The time whose noise is nearest to that."""
        return int(np.abs(self._known - self._grown(time)).argmin())
