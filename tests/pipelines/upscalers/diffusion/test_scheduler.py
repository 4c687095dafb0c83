"""Schedulers: diffusers' as ours, and any other that keeps the protocol."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from pipelines.errors import BadWeights
from pipelines.networks.devices import Device
from pipelines.runs import Preview, finish
from pipelines.upscalers.diffusion.denoising import Cut, Predictor, denoise
from pipelines.upscalers.diffusion.preview import ColourMap
from pipelines.upscalers.diffusion.scheduler import DiffusersScheduler
from pipelines.upscalers.diffusion.task import Task


class Halving:
    """Takes half of what is not the prediction away at each step, and adds a little noise: nothing of diffusers."""

    label = "halving"
    timesteps = torch.arange(4).flip(0)

    def start(self, task: Task) -> Tensor:
        return 3 * task.noise

    def network_time(self, time: Tensor) -> Tensor:
        return time + 100

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        return latents / 2

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        return prediction

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        return (latents + prediction) / 2 + torch.randn(latents.shape, generator=generator) / 100


def test_denoising_asks_a_scheduler_for_no_more_than_the_protocol_has() -> None:
    task, seen = Task(torch.randn(1, 2, 8, 8), torch.ones(1, 1, 8, 8), {}), list[tuple[float, int]]()

    def network(tiles: Tensor, time: Tensor, return_dict: bool) -> tuple[Tensor]:
        assert torch.equal(tiles[:, 2:], task.beside)
        seen.append((tiles[0, 0, 0, 0].item(), int(time)))
        return (torch.full_like(tiles[:, :2], 0.25),)

    predict, cut = Predictor(network, Device("cpu"), {}, 1.0), Cut(8, 8, 64, 8, 1)
    colours, previews = ColourMap(np.eye(3, dtype=np.float32)), list[Preview]()
    run = denoise(predict, task, Halving(), torch.Generator().manual_seed(1), cut, colours, (0, 0))
    latents = finish(run, lambda step: isinstance(step, Preview) and previews.append(step))
    generator, expected = torch.Generator().manual_seed(1), 3 * task.noise
    for time, (scaled, network_time) in zip((3, 2, 1, 0), seen, strict=True):
        assert (scaled, network_time) == (pytest.approx(expected[0, 0, 0, 0].item() / 2), time + 100)
        expected = (expected + 0.25) / 2 + torch.randn(expected.shape, generator=generator) / 100
    torch.testing.assert_close(latents, expected)
    assert len(previews) == 4 and (previews[0].picture == [64, 64, 255]).all()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_preview_is_of_the_picture_without_its_noise(prediction: str) -> None:
    """From what the network predicts when it is right."""
    scheduler = DDIMScheduler(prediction_type=prediction)
    ours = DiffusersScheduler({"_class_name": "DDIMScheduler", "prediction_type": prediction}, 4, "cpu")
    picture, noise = torch.rand(1, 4, 5, 6), torch.randn(1, 4, 5, 6)
    time = torch.tensor(400)
    predicted = scheduler.get_velocity(picture, noise, time) if prediction == "v_prediction" else noise
    clean = ours.to_clean(predicted, time, scheduler.add_noise(picture, noise, time))
    torch.testing.assert_close(clean, picture, atol=1e-4, rtol=0)


def test_steps_that_the_files_noise_does_not_have_are_said() -> None:
    """Whatever diffusers makes of it: at 4 of 1000 levels there are no 5 steps."""
    with pytest.raises(BadWeights, match=r"^scheduler/scheduler_config\.json is not one that can be used"):
        DiffusersScheduler({"_class_name": "DDIMScheduler", "num_train_timesteps": 4}, 5, "cpu")
