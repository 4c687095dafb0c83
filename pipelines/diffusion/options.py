"""What a diffusion model does where a caller leaves it to the model. Imports no network library."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.catalog import Model
from pipelines.upscalers.base import Settings


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
# What comes before and after denoising, in passes of the network over as much of the picture, by their operations: for
# 512 x 512 enlarged pixels the networks' are 1.1, 0.32 and 0.33 * 10^12, the decoders' 3.1, 2.5 and 3.1, the encoder's
# 0.28.
ENCODING: Mapping[str, int] = {"sd-x4": 0, "sd-x2": 1, "ldm-x4": 0}
DECODING: Mapping[str, int] = {"sd-x4": 3, "sd-x2": 8, "ldm-x4": 9}
# Bytes of memory for each small pixel that a tile reads, by `Model.arch`, beside the parameters: the decoder's, which
# works in float32 on every device. Measured with Stable Diffusion x4; the others' decoders end in the same layers, for
# as many enlarged pixels.
HELD: Mapping[str, int] = {"sd-x4": 70_000, "sd-x2": 17_500, "ldm-x4": 70_000}


def chosen(model: Model, settings: Settings) -> Options:
    """The model's own, changed by the settings that were given and are known here. Blanks around words do not count."""
    given = {name: getattr(settings, name) for name in settings.given() & set(Options.__dataclass_fields__)}
    words = {name: value.strip() for name, value in given.items() if isinstance(value, str)}
    return replace(USUAL[model.arch], **(given | words))
