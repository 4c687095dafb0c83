"""The samplers of DiffBIR: DDPM spread over fewer steps, and DPM-Solver++ of the third order with noise.

Spread evenly: Nichol and Dhariwal 2021, arXiv:2102.09672, section 4. The third order: Lu et al. 2022, arXiv:2211.01095,
as a stochastic equation. Networks predict the noise, or where the last time has no signal left (Lin et al. 2023,
arXiv:2305.08891, whose rescaled betas these are) the velocity.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.upscalers.diffusion.task import Task

TIMES, FIRST_BETA, LAST_BETA = 1000, 0.00085, 0.012  # Stable Diffusion's: the root grows evenly from beta to beta
LEAST_SIGNAL = 1e-8  # of the first step's variance, where the logarithm of its noise is taken


def signal_shares(no_signal_left: bool) -> npt.NDArray[np.float64]:
    """Returns what share of the variance at each time (1000,) is the image's.

    With `no_signal_left` it is brought to 0 at the last one.
    """
    betas = np.linspace(FIRST_BETA**0.5, LAST_BETA**0.5, TIMES) ** 2
    shares = np.cumprod(1 - betas)
    if no_signal_left:
        roots = np.sqrt(shares)
        shares = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
    return shares


class _Sampler:
    """What both have in common. `schedule` says whether a "velocity" is predicted and there is "no_signal" at last."""

    def __init__(self, schedule: Mapping[str, float], times: Iterable[int], device: str) -> None:
        self.velocity = bool(schedule["velocity"])
        self.shares = signal_shares(bool(schedule["no_signal"]))
        self.steps = [*dict.fromkeys(times)]  # more steps than times fall together
        self.after = dict(zip(self.steps[:-1], self.steps[1:], strict=True))
        self.timesteps = torch.tensor(self.steps, device=device)

    def start(self, task: Task) -> Tensor:
        """See `Scheduler`: noise alone, or with what signal the last time has of the condition."""
        if task.plain is None:
            return task.noise
        share = float(self.shares[-1])
        return math.sqrt(share) * task.plain + math.sqrt(1 - share) * task.noise

    def network_time(self, time: Tensor) -> Tensor:
        """See `Scheduler`."""
        return time


class SpacedScheduler(_Sampler):
    """A `Scheduler` of so many steps, from the last time to the first, each drawn from the posterior."""

    label = "DDPM"

    def __init__(self, schedule: Mapping[str, float], steps: int, device: str) -> None:
        # One step alone begins where the noise is.
        apart = (TIMES - 1) / (steps - 1) if steps > 1 else TIMES - 1
        places = range(steps) if steps > 1 else (1,)
        super().__init__(schedule, (round(place * apart) for place in reversed(places)), device)

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        """See `Scheduler`: as they are."""
        return latents

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """See `Scheduler`."""
        share = float(self.shares[int(time)])
        signal, noise = math.sqrt(share), math.sqrt(1 - share)
        return signal * latents - noise * prediction if self.velocity else (latents - noise * prediction) / signal

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """See `Scheduler` (Ho et al. 2020, arXiv:2006.11239, equations 6 and 7)."""
        share, clean = float(self.shares[int(time)]), self.to_clean(prediction, time, latents)
        later = self.after.get(int(time))
        if later is None:
            return clean
        before = float(self.shares[later])
        kept = share / before
        mean = ((1 - kept) * math.sqrt(before) * clean + (1 - before) * math.sqrt(kept) * latents) / (1 - share)
        deviation = math.sqrt((1 - kept) * (1 - before) / (1 - share))
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        return mean + deviation * noise


class ThirdOrderScheduler(_Sampler):
    """A `Scheduler` of so many steps, which knows the two predictions before its own.

    Latents are the image with noise of a deviation that falls from 10 000 to 0, and are brought to variance 1 for the
    network.
    """

    label = "DPM++ 3M SDE"

    def __init__(self, schedule: Mapping[str, float], steps: int, device: str) -> None:
        times: list[int] = np.linspace(TIMES - 1, 0, steps, endpoint=False).astype(int).tolist()
        super().__init__(schedule, times, device)
        shares = [LEAST_SIGNAL, *(float(self.shares[time]) for time in times[1:])]
        self._sigmas: dict[int, float] = dict(
            zip(times, (math.sqrt((1 - share) / share) for share in shares), strict=True)
        )
        self._before: list[tuple[Tensor, float]] = []  # clean latents and how far their step went, the last one first

    def start(self, task: Task) -> Tensor:
        """See `Scheduler`."""
        return super().start(task) * math.sqrt(1 + self._sigmas[self.steps[0]] ** 2)

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        """See `Scheduler`."""
        return latents / math.sqrt(self._sigmas[int(time)] ** 2 + 1)

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """See `Scheduler`."""
        sigma: float = self._sigmas[int(time)]
        if not self.velocity:
            return latents - sigma * prediction
        return latents / (sigma**2 + 1) - prediction * (sigma / math.sqrt(sigma**2 + 1))

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """See `Scheduler`."""
        clean = self.to_clean(prediction, time, latents)
        later = self.after.get(int(time))
        if later is None:
            return clean
        sigma, smaller = self._sigmas[int(time)], self._sigmas[later]
        far = math.log(sigma / smaller)  # of this step, on the logarithm of the noise
        decay = -math.expm1(-2 * far)
        made = math.exp(-2 * far) * latents + decay * clean + self._correct(clean, far)
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        self._before = [(clean, far), *self._before[:1]]
        return made + smaller * math.sqrt(decay) * noise

    def _correct(self, clean: Tensor, far: float) -> Tensor:
        """What the predictions before this one add: their first and second derivative, as far as there are any."""
        if not self._before:
            return torch.zeros_like(clean)
        second = 1 - -math.expm1(-2 * far) / (2 * far)
        (last, gone), *older = self._before
        ratio = gone / far
        slope = (clean - last) / ratio
        if not older:
            return second * slope
        (first, went), third = older[0], second / (2 * far) - 0.5
        wider = went / far
        slope_before = (last - first) / wider
        bend = (slope - slope_before) / (ratio + wider)
        return second * (slope + bend * ratio) - third * bend
