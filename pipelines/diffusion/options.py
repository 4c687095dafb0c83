"""What a diffusion model does where a caller leaves it to the model. Imports no network library."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.upscalers.base import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """Every choice of one run.

    The defaults are those of Stable Diffusion x4 (Hub: stabilityai/stable-diffusion-x4-upscaler), but for the steps:
    DPM++ needs 20 where the original's scheduler takes 75.
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


def chosen(settings: Settings) -> Options:
    """The defaults, changed by the settings that were given and are known here. Blanks around words do not count."""
    given = {name: getattr(settings, name) for name in settings.given() & set(Options.__dataclass_fields__)}
    words = {name: value.strip() for name, value in given.items() if isinstance(value, str)}
    return Options(**(given | words))


# Bytes of memory for each small pixel that a tile reads, by `Model.arch`, beside the parameters: the decoder's, which
# works in float32 on every device. Measured with Stable Diffusion x4; the others' decoders end in the same layers, for
# as many enlarged pixels.
HELD: Mapping[str, int] = {"sd-x4": 70_000, "sd-x2": 17_500, "ldm-x4": 70_000}
