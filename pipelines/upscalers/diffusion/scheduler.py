"""What leads latents from noise to an image, step by step, and diffusers' schedulers as one kind of it."""

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import diffusers
import torch
from torch import Tensor

from pipelines.upscalers.diffusion.reading import SCHEDULER, as_bad_weights, construct
from pipelines.upscalers.diffusion.task import Task

# The settings that say which noise a network was trained with, whatever steps through it.
_NOISE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type")
NOISE_PREDICTIONS = ("epsilon", "v_prediction")  # of the noise, or of the velocity between it and the image
_LABELS = {"DPMSolverMultistepScheduler": "DPM++ 2M"}


class Scheduler(Protocol):
    """A sampler for one run, which counts its steps: each method is called once a step, `step` last.

    Latents and what the network predicts for them are (1, C, H, W) float32, on the device once they have begun; `time`
    is one of `timesteps`.
    """

    @property
    def label(self) -> str:
        """Returns what it is called where a run's settings are told."""

    @property
    def timesteps(self) -> Tensor:
        """The times of all steps (T,), in their order, on the device."""

    def start(self, task: Task) -> Tensor:
        """The latents that denoising begins with, on the processor."""

    def network_time(self, time: Tensor) -> Tensor:
        """The time as the network takes it."""

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        """The latents as the network takes them."""

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """Returns what the latents will be in the end, as far as this step's prediction knows."""

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """The latents of the next step. Noise is drawn from the generator, which is on the processor."""


@runtime_checkable
class ChurningScheduler(Scheduler, Protocol):
    """A `Scheduler` that adds noise before each step, and guides differently in each."""

    def churn(self, latents: Tensor, time: Tensor, generator: torch.Generator) -> Tensor:
        """Returns the latents with more noise, which all else of the step is about."""

    def guidance(self, time: Tensor, most: float) -> float:
        """Returns the guidance of the step, of a run with at most so much."""


class DiffusersScheduler:
    """The scheduler of diffusers that a model's files describe as a `Scheduler` of so many steps.

    `instead` names another class that is to step through the same noise. Raises BadWeights for settings that the class
    does not understand.
    """

    def __init__(self, settings: Mapping[str, Any], steps: int, device: str, instead: str = "") -> None:
        kind = getattr(diffusers, instead or settings["_class_name"])
        if instead:
            settings = {key: settings[key] for key in _NOISE if settings.get(key) is not None}
        self.wrapped: Any = construct(kind, settings, SCHEDULER)
        as_bad_weights(lambda: self.wrapped.set_timesteps(steps, device=device), SCHEDULER)

    @property
    def label(self) -> str:
        """See `Scheduler`."""
        name = type(self.wrapped).__name__
        return _LABELS.get(name, name)

    @property
    def timesteps(self) -> Tensor:
        """See `Scheduler`."""
        times: Tensor = self.wrapped.timesteps
        return times

    def start(self, task: Task) -> Tensor:
        """See `Scheduler`: noise alone."""
        return task.noise * float(self.wrapped.init_noise_sigma)

    def network_time(self, time: Tensor) -> Tensor:
        """See `Scheduler`."""
        return time

    def scale(self, latents: Tensor, time: Tensor) -> Tensor:
        """See `Scheduler`."""
        scaled: Tensor = self.wrapped.scale_model_input(latents, time)
        return scaled

    def to_clean(self, prediction: Tensor, time: Tensor, latents: Tensor) -> Tensor:
        """See `Scheduler`. A network predicts the image, its noise, or the velocity between the two."""
        if self.wrapped.config.prediction_type not in NOISE_PREDICTIONS:
            return prediction
        signal = self.wrapped.alphas_cumprod[int(time)].sqrt().item()
        noise = math.sqrt(max(0.0, 1 - signal**2))
        velocity = self.wrapped.config.prediction_type == "v_prediction"
        clean: Tensor = signal * latents - noise * prediction if velocity else (latents - noise * prediction) / signal
        return clean

    def step(self, prediction: Tensor, time: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
        """See `Scheduler`."""
        stepped: Tensor = self.wrapped.step(prediction, time, latents, generator=generator, return_dict=False)[0]
        return stepped
