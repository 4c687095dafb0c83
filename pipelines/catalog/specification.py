"""What the specification of a diffusion model is: everything about it that is data. Imports no network library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.speeds import Rate

IN_BFLOAT16 = "cpu, bfloat16"  # as `Rate` names the device
# How many times as fast a pass is in bfloat16 on two cores of an Intel Xeon with AMX: as in float32 there, and as on
# the processor that `seconds_on_cpu` is of. Measured with Stable Diffusion x4, which two cores of an AMD EPYC with
# AVX512-BF16 ran as fast without AMX.
BFLOAT16_GAIN, AMX_GAIN = 3, 6


@dataclass(frozen=True, slots=True)
class Options:
    """Every choice of one run. The defaults change nothing: a model that does not take a setting keeps them."""

    prompt: str = ""
    negative_prompt: str = ""
    steps: int = 20
    guidance: float = 1.0
    noise_level: int = 0
    seed: int = 0
    colour_fix: str = "none"
    strength: float = 1.0
    start_point: str = "noise"  # one of START_POINTS
    creativity: str | None = None  # one of CREATIVITY, where it changes more than the other options say

    @property
    def guided(self) -> bool:
        """Returns whether the network runs twice a step, with and without a prompt (Ho and Salimans 2022).

        It does not where there is no prompt at all.
        """
        return self.guidance > 1 and bool(self.prompt or self.negative_prompt)

    @property
    def passes(self) -> int:
        """Returns how often the network runs over each tile."""
        return self.steps * (2 if self.guided else 1)


@dataclass(frozen=True, slots=True)
class Specification:
    """One diffusion model. What is not data, how its network is called, is in `module`.

    `model` is its row, with the files of its parts; a row of the same `arch` is specified by this too. `module` has
    `read_parts`, and is imported when the model is loaded. Time and memory are what is believed until the model was run
    here: seconds for a megapixel that a pass of the network reads, on the processor and on the GPU that the rows of
    `speeds` were measured on.
    """

    model: Model
    module: str
    options: Options  # where a caller leaves the choice to the model
    schedulers: tuple[str, ...]  # classes of diffusers, one of which its files describe; none where no file does
    tiling: Tiling  # unless another tile is asked for; `held` is beside the parameters
    encoding: int  # what comes before denoising, in passes of the network over as much of the picture
    decoding: int  # what comes after it, in such passes
    seconds_on_cpu: float
    seconds_on_gpu: float
    seconds_in_bfloat16: float | None = None  # on a processor with AMX; where it was measured
    better_scheduler: str = ""  # a class of diffusers that needs fewer steps than the one in the files, used instead
    schedule: Mapping[str, float] = field(default_factory=dict)  # what its scheduler has to know, and no file says
    most_steps: int | None = None  # where it was trained for so many and no more
    # By each of CREATIVITY what it stands for: settings, and what is then another in `schedule`.
    creativity: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    # Of what works on the enlarged picture: the scale at which tiles, time and memory are given, and from a height, a
    # width and a scale to the height and the width at which it works.
    given_at: int | None = None
    works_at: Callable[[int, int, int], tuple[int, int]] | None = None

    @property
    def starts_from_image(self) -> bool:
        """Returns whether it makes a difference that denoising starts from the image: some is left in its noise."""
        return "start_point" in self.model.takes and not self.schedule.get("no_signal")

    def steered(self, creativity: str | None) -> Mapping[str, float]:
        """Returns the settings that such a creativity stands for; none where none was asked for."""
        names = Options.__dataclass_fields__
        return {name: value for name, value in self.creativity.get(creativity or "", {}).items() if name in names}

    def rescheduled(self, creativity: str | None) -> Mapping[str, float]:
        """Returns what its scheduler has to know at such a creativity that is another in `schedule`."""
        level = self.creativity.get(creativity or "", {})
        return {name: level[name] for name, usual in self.schedule.items() if level.get(name, usual) != usual}

    def tiling_at(self, scale: int) -> Tiling:
        """Returns the usual tile at that scale: of the enlarged picture as many pixels at each."""
        share = (self.given_at or scale) / scale
        side, overlap, held, kept = self.tiling
        return Tiling(int(side * share), int(overlap * share), int(held / share**2), kept)

    def around(self, device: str) -> tuple[int, int]:
        """Returns what comes before denoising and after it, in passes of the network on that device.

        It stays in float32 where the network works in bfloat16: beside quicker passes it takes as many more of them.
        """
        more = BFLOAT16_GAIN if device == IN_BFLOAT16 else 1
        return more * self.encoding, more * self.decoding

    def rate(self, on_gpu: bool, scale: int | None = None, bfloat16: bool = False) -> Rate:
        """Returns how fast a pass of the network is believed to be; `bfloat16` is whether a processor works in it."""
        at = scale or self.given_at or 1
        share = (at / (self.given_at or at)) ** 2
        if on_gpu:
            return Rate(self.seconds_on_gpu * share, self.tiling_at(at), "cuda, float16")
        if bfloat16:
            seconds = self.seconds_in_bfloat16 or self.seconds_on_cpu / AMX_GAIN
            return Rate(seconds * share, self.tiling_at(at), IN_BFLOAT16)
        return Rate(self.seconds_on_cpu * share, self.tiling_at(at))
