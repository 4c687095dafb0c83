"""What a diffusion model does where a caller leaves it to the model. Imports no network library."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """Every choice of one run.

    The defaults are those of Stable Diffusion x4 (Hub: stabilityai/stable-diffusion-x4-upscaler), but for the steps:
    DPM++ needs 20 where the original's scheduler takes 75. Those of the others are in USUAL.
    """

    prompt: str = ""
    negative_prompt: str = ""
    steps: int = 20
    guidance: float = 9.0
    noise_level: int = 20
    seed: int = 0
    colour_fix: str = "wavelet"

    @property
    def guided(self) -> bool:
        """Whether the network runs twice a step, with and without the words (Ho and Salimans 2022): not without any."""
        return self.guidance > 1 and bool(self.prompt or self.negative_prompt)


# By `Model.arch`. What a model does not take is as if it were not there.
USUAL: Mapping[str, Options] = {
    "sd-x4": Options(),
    # As its documentation has it, where guidance 0 means no words either; its pipeline's own are 75 steps and 9.
    "sd-x2": Options(steps=20, guidance=1.0, noise_level=0, colour_fix="none"),
    "ldm-x4": Options(steps=100, guidance=1.0, noise_level=0, colour_fix="none"),
}


def chosen(model: Model, settings: Settings) -> Options:
    """The model's own, changed by the settings that were given and are known here. Blanks around words do not count."""
    given = {name: getattr(settings, name) for name in settings.given() & set(Options.__dataclass_fields__)}
    words = {name: value.strip() for name, value in given.items() if isinstance(value, str)}
    return replace(USUAL[model.arch], **(given | words))
