"""What every upscaler is given, gives back, and looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Depth, Pixels
from pipelines.runs import Run


@dataclass(frozen=True, slots=True, eq=False)
class Upscaled:
    """An enlarged picture and how it came about. `pixels` is (s*H, s*W, 3) float32 in [0, 1]."""

    pixels: Pixels
    tiles: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    seam: float | None = None  # largest difference of two tiles at their seam, where tiles cannot equal the whole
    tiling: Tiling | None = None  # where it was run in tiles
    more_sha256: tuple[str, ...] = ()  # of files beyond the model's own, which a setting asked for
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # of a diffusion model all that it was made by
    preparing: float = 0.0  # seconds that this run took once, for all after it
    seconds: float = 0.0  # that it worked, where `run_chain` ran it, but for `preparing`


@dataclass(frozen=True, slots=True)
class Took:
    """How long a stage took on a picture of that width and height, how that was cut, and by which device and type."""

    stage: Stage
    size: tuple[int, int]
    seconds: float
    tiling: Tiling | None
    where: str


class Upscaler(Protocol):
    """A model loaded at one scale, ready to run; safe to use from several threads."""

    @property
    def model(self) -> Model: ...

    @property
    def scale(self) -> int: ...

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """The sha256 of each file of parameters it was loaded from; empty for a model without weights."""

    @property
    def weights_bytes(self) -> int:
        """The size of those files together."""

    @property
    def nbytes(self) -> int:
        """Memory it holds between runs, in bytes, about."""

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """Enlarges (H, W, 3) float32 in [0, 1], any size from 1x1, to exactly (s*H, s*W, 3).

        `depth` is how many bits a channel the picture's file has: a network computes 16 in float32, because lower
        precision would leave fewer levels than there are.

        The same pixels, settings and seed give the same result. The settings are some that the model takes, in their
        ranges, as `check_settings` has it; only a tile is looked at here, because what fits may depend on the
        file. Raises BadSetting for one that does not.
        """


@runtime_checkable
class Judging(Protocol):
    """An upscaler that looks at the picture first, and goes by what its file tells of it as well."""

    def run_knowing(self, pixels: Pixels, settings: Settings, depth: Depth, jpeg: int | None) -> Run[Upscaled]:
        """Does as `Upscaler.run`, for a picture whose file tells that it is a JPEG of that quality, 1 to 100.

        `Upscaled.settings` has what it found right, so that the same comes out again where nothing is judged.
        """


def list_times(stages: Sequence[Stage], runs: Sequence[Upscaled], width: int, height: int) -> tuple[Took, ...]:
    """Returns how long each stage took of those that ran one after another, the first on a picture of that size."""
    found = []
    for stage, run in zip(stages, runs, strict=True):
        found.append(Took(stage, (width, height), run.seconds, run.tiling, f"{run.device}, {run.dtype}"))
        width, height = width * stage.scale, height * stage.scale
    return tuple(found)
