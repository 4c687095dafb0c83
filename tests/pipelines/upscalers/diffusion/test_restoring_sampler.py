"""SUPIR's sampler: what its authors' makes of a formula in a network's place, with the same noise."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.catalog.supir import SUPIR
from pipelines.upscalers.diffusion.restoring_sampler import RestoringScheduler
from pipelines.upscalers.diffusion.scheduler import ChurningScheduler
from pipelines.upscalers.diffusion.task import Task
from tests.support.supir_parts import golden

SCHEDULE = SUPIR[0].schedule


def sample(steps: int, churn: float = 5.0, restoring: bool = False) -> Tensor:
    scheduler = RestoringScheduler({**SCHEDULE, "churn": churn}, steps, "cpu")
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(1, 4, 8, 8, generator=generator)
    latents = scheduler.start(Task(noise, noise, {}, plain=torch.full_like(noise, 0.3) if restoring else None))
    for time in scheduler.timesteps:
        latents = scheduler.churn(latents, time, generator)
        away = torch.tanh(0.7 * scheduler.scale(latents, time)) + 0.0003 * float(scheduler.network_time(time)) - 0.1
        predicted = away + scheduler.guidance(time, 4.0) * 0.05
        latents = scheduler.step(predicted, time, latents, generator)
    return latents


@pytest.mark.parametrize("churn", [0.0, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 50])
@pytest.mark.parametrize("name", ["plain", "restoring"])
def test_it_equals_the_authors_sampler(name: str, steps: int, churn: float) -> None:
    made = sample(steps, churn, restoring=name == "restoring").numpy()
    np.testing.assert_allclose(made, golden()[f"{name}, {steps} steps, churn {churn:g}"], atol=1e-3, rtol=1e-3)


def test_the_denoising_loop_knows_it() -> None:
    """By the members that others lack: without them nothing would be added before a step."""
    scheduler = RestoringScheduler(SCHEDULE, 4, "cpu")
    assert isinstance(scheduler, ChurningScheduler) and scheduler.timesteps.tolist() == [999, 749, 499, 249]
    noise = torch.ones(1, 4, 2, 2)
    assert float(scheduler.start(Task(noise, noise, {}))[0, 0, 0, 0]) == pytest.approx(14.6488, abs=1e-3)


def test_guidance_grows_as_the_noise_falls() -> None:
    scheduler = RestoringScheduler({**SCHEDULE, "churn": 0.0}, 50, "cpu")
    first, *_, last = (scheduler.guidance(time, 4.0) for time in scheduler.timesteps)
    assert first == pytest.approx(1.0) and 3.9 < last < 4.0


def test_guidance_begins_with_no_more_than_was_asked_for() -> None:
    scheduler = RestoringScheduler({**SCHEDULE, "churn": 0.0, "first_guidance": 3.0}, 50, "cpu")
    first, *_, last = (scheduler.guidance(time, 4.0) for time in scheduler.timesteps)
    assert first == pytest.approx(3.0) and 3.9 < last < 4.0
    assert {scheduler.guidance(time, 2.0) for time in scheduler.timesteps} == {2.0}
