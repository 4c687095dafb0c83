"""What every upscaler is given, gives back, and looks like."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Protocol

from pipelines.catalog import Model
from pipelines.errors import BadSetting
from pipelines.picture import Pixels
from pipelines.runs import Run
from pipelines.upscalers.ranges import check_ranges


@dataclass(frozen=True, slots=True)
class Settings:
    """What a caller may choose beyond model and scale. None leaves it to the model."""

    tile: int | None = None  # side of what a network reads at once, in low-resolution pixels
    seed: int | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    steps: int | None = None
    guidance: float | None = None
    noise_level: int | None = None
    colour_fix: str | None = None  # one of catalog.COLOUR_FIXES
    denoise: float | None = None
    cleanup: bool | None = None

    def given(self) -> frozenset[str]:
        """The names of the settings that were chosen."""
        return frozenset(each.name for each in fields(self) if getattr(self, each.name) is not None)

    def only(self, names: Set[str]) -> "Settings":
        """The same settings without those not named."""
        return replace(self, **dict.fromkeys(self.given() - names))


class Tiling(NamedTuple):
    """How a picture was cut: the side that a tile reads at most and its overlap, in low-resolution pixels.

    `held` is how many bytes of memory a tile takes for each pixel that it reads, about; 0 where that is not known.
    """

    side: int
    overlap: int
    held: int = 0


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
    seconds: float = 0.0  # that it worked, where `run_chain` ran it


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

    def run(self, pixels: Pixels, settings: Settings) -> Run[Upscaled]:
        """Enlarge (H, W, 3) float32 in [0, 1], any size from 1x1, to exactly (s*H, s*W, 3).

        The same pixels, settings and seed give the same result. Raises BadSetting for a setting it cannot use.
        """


def check(models: Sequence[Model], settings: Settings) -> None:
    """Raise BadSetting for a setting that none of the models can use, or that is out of its range."""
    usable = frozenset[str]().union(*(model.takes for model in models))
    for name in sorted(settings.given() - usable):
        names = " and ".join(dict.fromkeys(model.name for model in models))
        raise BadSetting(f"{names} cannot use the setting {name.replace('_', ' ')}.")
    strength = settings.denoise
    # Whatever a caller of the API sent: not always a number, and true is one for Python.
    if strength is not None and (type(strength) not in (int, float) or not 0 <= strength <= 1):
        raise BadSetting(f"Denoise is a number from 0 (keeps noise) to 1, not {str(strength)[:20]}.")
    check_ranges(settings)
    for model in models:
        if model.tiles is not None:
            check_tile(model, settings, *model.tiles)


def check_tile(model: Model, settings: Settings, least: int, most: int) -> None:
    """Raise BadSetting for a tile that is not a whole number in that range."""
    tile = settings.tile
    if tile is not None and (type(tile) is not int or not least <= tile <= most):
        raise BadSetting(f"A tile for {model.name} has {least} to {most} pixels a side, not {str(tile)[:20]}.")
