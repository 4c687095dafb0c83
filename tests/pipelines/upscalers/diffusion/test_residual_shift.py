"""The chain of ResShift: its levels, where it begins, and one step of it."""

import numpy as np
import pytest
import torch

from pipelines.catalog.rows import find, find_specification
from pipelines.upscalers.diffusion.residual_shift import ResidualShiftScheduler
from pipelines.upscalers.diffusion.task import Task

FOUR, FIFTEEN = (find_specification(find(key)).schedule for key in ("resshift", "resshift-v1"))
# The square roots of eta, by the authors' code.
ROOTS = {
    4: [0.1, 0.5201, 0.7614, 0.99],
    15: [
        *(0.02, 0.1172, 0.1763, 0.2336, 0.2916, 0.3510, 0.4124, 0.4759),
        *(0.5417, 0.6099, 0.6807, 0.7540, 0.8300, 0.9086, 0.99),
    ],
}


@pytest.mark.parametrize("schedule", [FOUR, FIFTEEN], ids=["4", "15"])
def test_it_goes_by_the_published_levels(schedule: dict[str, float]) -> None:
    """Seen in what the network is given: the latents, divided by their deviation."""
    levels = int(schedule["levels"])
    scheduler = ResidualShiftScheduler(schedule, levels, "cpu")
    assert scheduler.timesteps.tolist() == [*range(levels - 1, -1, -1)]
    scaled = [scheduler.scale(torch.ones(1), torch.tensor(time)).item() for time in range(levels)]
    np.testing.assert_allclose(scaled, (4 * np.square(ROOTS[levels]) + 1) ** -0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("steps", "times"), [(1, [14]), (2, [14, 0]), (4, [14, 9, 5, 0]), (40, [*range(14, -1, -1)])], ids=str
)
def test_fewer_steps_are_spread_from_the_last_level_to_the_first(steps: int, times: list[int]) -> None:
    assert ResidualShiftScheduler(FIFTEEN, steps, "cpu").timesteps.tolist() == times


def test_it_begins_at_the_plain_enlargement_with_noise() -> None:
    plain, noise = torch.full((1, 3, 2, 2), 0.5), torch.randn(1, 3, 2, 2)
    begun = ResidualShiftScheduler(FOUR, 4, "cpu").start(Task(noise, plain, {}, plain=plain))
    torch.testing.assert_close(begun, plain + 2 * 0.99 * noise)


def test_a_step_shifts_the_residual_and_draws_the_next_levels_noise() -> None:
    """From the picture that is known, noise and residual of one level lead to those of the next, on average.

    The last step comes to what is predicted.
    """
    scheduler, size = ResidualShiftScheduler(FOUR, 4, "cpu"), (1, 3, 200, 200)
    clean, plain = torch.full(size, 0.2), torch.full(size, 1.0)
    here, after = ROOTS[4][2] ** 2, ROOTS[4][1] ** 2
    latents = clean + here * (plain - clean) + 2 * here**0.5 * torch.randn(size)
    stepped = scheduler.step(clean, torch.tensor(2), latents, torch.Generator().manual_seed(1))
    assert stepped.mean().item() == pytest.approx(0.2 + after * 0.8, abs=0.01)
    assert stepped.std().item() == pytest.approx(2 * after**0.5, abs=0.01)
    assert torch.equal(scheduler.step(clean, torch.tensor(0), latents, torch.Generator()), clean)
    assert torch.equal(scheduler.to_clean(clean, torch.tensor(2), latents), clean)
