"""DiffBIR's samplers: what its authors' make of a formula in a network's place, with the same noise."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.upscalers.diffusion.diffbir_samplers import SpacedScheduler, ThirdOrderScheduler, signal_shares
from pipelines.upscalers.diffusion.task import Task
from tests.support.diffbir_parts import golden

V2, V21 = {"velocity": 0.0, "no_signal": 0.0}, {"velocity": 1.0, "no_signal": 1.0}
KINDS = {
    "v2": (SpacedScheduler, V2),
    "v2.1": (ThirdOrderScheduler, V21),
    "eps edm": (ThirdOrderScheduler, V2),
    "v spaced": (SpacedScheduler, V21),
}


def sample(scheduler: SpacedScheduler | ThirdOrderScheduler, plain: Tensor | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(1, 4, 8, 8, generator=generator)
    latents = scheduler.start(Task(noise, noise, {}, plain=plain))
    for time in scheduler.timesteps:
        seen = scheduler.scale(latents, time)
        predicted = torch.tanh(0.7 * seen) + 0.0003 * float(scheduler.network_time(time)) - 0.1
        latents = scheduler.step(predicted, time, latents, generator)
    return latents


@pytest.mark.parametrize("steps", [2, 5, 9])
@pytest.mark.parametrize("name", KINDS)
def test_it_equals_the_authors_sampler(name: str, steps: int) -> None:
    kind, schedule = KINDS[name]
    expected = golden()[f"{name}, {steps} steps"]
    made = sample(kind(schedule, steps, "cpu")).numpy()
    np.testing.assert_allclose(made, expected, atol=1e-3, rtol=1e-3)


def test_times_are_spread_as_theirs() -> None:
    assert SpacedScheduler(V2, 4, "cpu").timesteps.tolist() == [999, 666, 333, 0]
    assert ThirdOrderScheduler(V21, 4, "cpu").timesteps.tolist() == [999, 749, 499, 249]


@pytest.mark.parametrize("name", KINDS)
def test_one_step_is_enough(name: str) -> None:
    """Which the authors' code cannot make: it begins where the noise is, and ends at the prediction."""
    kind, schedule = KINDS[name]
    scheduler = kind(schedule, 1, "cpu")
    assert scheduler.timesteps.tolist() == [999] and bool(torch.isfinite(sample(scheduler)).all())


def test_the_image_is_what_the_last_time_leaves_of_it() -> None:
    """Nothing of it where no signal is left: then it is noise alone."""
    noise, plain = torch.randn(1, 4, 8, 8), torch.ones(1, 4, 8, 8)
    task = Task(noise, noise, {}, plain=plain)
    share = float(signal_shares(no_signal_left=False)[-1])
    assert share == pytest.approx(0.0047, abs=1e-4)
    expected = share**0.5 * plain + (1 - share) ** 0.5 * noise
    torch.testing.assert_close(SpacedScheduler(V2, 4, "cpu").start(task), expected)
    torch.testing.assert_close(SpacedScheduler(V21, 4, "cpu").start(task), noise)
    assert signal_shares(no_signal_left=True)[-1] == 0
