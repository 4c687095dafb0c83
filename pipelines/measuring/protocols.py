"""Make a low-resolution picture from one at hand, and say who is to enlarge it back.

round-trip shrinks by the scale and enlarges by one model; chained-8x shrinks by eight and enlarges by an x4 model and
then an x2 model, with direct x8 models beside it; no-original shrinks nothing, for a picture that is the small one
already. Whatever is changed on the way to a score is said in `Trial.notes`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.errors import BadPicture, BadSetting
from pipelines.images import resample
from pipelines.images.picture import Picture, Pixels, to_uint8
from pipelines.runs import Run, noted

Bytes: TypeAlias = npt.NDArray[np.uint8]

PROTOCOLS = {
    "round-trip": "the original shrunk, enlarged back by one model, and compared with the original",
    "chained-8x": "the original shrunk by 8, enlarged back by an x4 and then an x2 model, and compared with the "
    "original; direct x8 models beside it",
    "no-original": "the picture enlarged as it is; no original is known, and consistency alone is measured",
}
KERNELS = tuple(resample.SHRINKING)
REPEATS = 3  # timed runs after the warm-up, where no other number is asked for
CHAINED_SCALE = 8
CHAINED_STAGES = (4, 2)
BACKGROUND = 1.0  # white: what transparent pictures lie on, mostly
MEASURED_WITH = Settings(seed=0, prompt="", negative_prompt="")


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to enlarge: each stage in turn; one stage is a model alone."""

    stages: tuple[Stage, ...]

    @property
    def key(self) -> str:
        """What a report calls it: the model's key, or "first:4,second:2"."""
        return self.stages[0].key if len(self.stages) == 1 else ",".join(self.named_stages)

    @property
    def named_stages(self) -> tuple[str, ...]:
        """Each stage as "key:scale"."""
        return tuple(str(stage) for stage in self.stages)

    @property
    def scale(self) -> int:
        """How many times it enlarges in all."""
        return math.prod(stage.scale for stage in self.stages)

    @property
    def settings(self) -> Settings:
        """What it is measured with: as far as one of its stages takes that, one seed for all and no words."""
        return MEASURED_WITH.only(frozenset[str]().union(*(stage.model.takes for stage in self.stages)))


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A picture to win back, and what is left to do it from.

    `reference` is (H, W, 3) uint8, of a greyscale picture (H, W), both a multiple of `scale`; `low` is it shrunk by the
    scale and rounded to 8 bits, as a file that somebody could have. Where no original is known there is only `low`.
    """

    reference: Bytes | None
    low: Picture
    scale: int
    notes: tuple[str, ...]


def contenders(
    protocol: str, scale: int, models: Sequence[str], chains: Sequence[Sequence[Stage]]
) -> tuple[Contender, ...]:
    """Who takes part: each model at the scale ("all": every one that has it, but those of diffusion, which take
    gigabytes and minutes and are named one by one), then each chain; none of them twice.

    chained-8x is always by eight, its chains are an x4 and then an x2 model, and bicubic x8 is always in it. Raises
    BadSetting for a protocol, model or scale that does not exist, a chain that does not fit, and for nobody at all.
    """
    if protocol not in PROTOCOLS:
        raise BadSetting(f"There is no protocol {protocol!r}; there are {' and '.join(PROTOCOLS)}.")
    if scale not in catalog.SCALES:
        raise BadSetting(f"A picture can be shrunk by {', '.join(map(str, catalog.SCALES))}, not by {scale}.")
    if protocol == "chained-8x":
        if scale != CHAINED_SCALE:
            raise BadSetting(f"The chained-8x protocol is by {CHAINED_SCALE}, not by {scale}.")
        if not chains:
            raise BadSetting("The chained-8x protocol needs a chain, such as lapsrn:4,espcn:2.")
        models = ["bicubic", *models]
    found = [*_direct(models, scale), *(_chain(protocol, chain, scale) for chain in chains)]
    if not found:
        raise BadSetting("Name at least one model.")
    return tuple(dict.fromkeys(found))


def _direct(models: Iterable[str], scale: int) -> list[Contender]:
    found = []
    for key in models:
        everyone = (row for row in catalog.MODELS if scale in row.scales and row.family != "diffusion")
        for row in everyone if key == "all" else [catalog.find(key)]:
            catalog.weights_for(row, scale)
            found.append(Contender((Stage(row.key, scale),)))
    return found


def _chain(protocol: str, stages: Sequence[Stage], scale: int) -> Contender:
    chain = Contender(tuple(Stage(catalog.find(key).key, each) for key, each in stages))  # of an address its key
    name = ",".join(chain.named_stages)
    if protocol == "chained-8x" and tuple(stage.scale for stage in chain.stages) != CHAINED_STAGES:
        raise BadSetting(f"The chain {name} is not an x4 and then an x2 model.")
    if chain.scale != scale:
        raise BadSetting(f"The chain {name} enlarges by {chain.scale}, not by {scale}.")
    catalog.check_stages(chain.stages, Settings())
    return chain


def conditions(protocol: str, kernel: str) -> str:
    """Under which scores were made, to stand beside them: without it they do not compare."""
    if protocol == "no-original":
        return "Consistency by antialiased bicubic."
    meaning = resample.SHRINKING.get(kernel)
    return f"Shrunk by {kernel} ({meaning})." if meaning else f"Shrunk by {kernel}."


def check_kernel(kernel: str) -> None:
    """Raise BadSetting for a kernel that pictures are not shrunk by here."""
    if kernel not in KERNELS:
        raise BadSetting(f"There is no kernel {kernel!r} to shrink by; there are {', '.join(KERNELS)}.")


def check_size(width: int, height: int, scale: int) -> None:
    """Raise BadPicture for a picture that shrinking by the scale leaves nothing of."""
    if min(width, height) < scale:
        raise BadPicture(f"A picture of {width} by {height} pixels is too small to be shrunk by {scale}.")


def prepare(picture: Picture, scale: int, kernel: str) -> Run[Trial]:
    """Crop the picture to a multiple of the scale, and shrink it by the scale with the kernel.

    First it is laid over white where it has transparency, and rounded to 8 bits where it has more: scores are of 8-bit
    colours. Raises BadPicture where it is smaller than the scale.
    """
    check_kernel(kernel)
    height, width, _ = picture.pixels.shape
    check_size(width, height, scale)
    rows, columns = height // scale * scale, width // scale * scale
    notes = _changes(picture)
    if (rows, columns) != (height, width):
        notes.append(f"cropped from {width} x {height} to {columns} x {rows}, a multiple of {scale}")
    reference = to_uint8(opaque(picture)[:rows, :columns])
    shrunk = yield from noted(resample.shrink(_floats(reference), scale, kernel), f"shrinking by {scale}, ")
    low = _picture(to_uint8(shrunk), picture.grey)
    return Trial(reference[..., 0] if picture.grey else reference, low, scale, tuple(notes))


def as_it_is(picture: Picture, scale: int) -> Trial:
    """The picture as the small one of which no original is known; over white and at 8 bits, as in `prepare`."""
    low = _picture(to_uint8(opaque(picture)), picture.grey)
    return Trial(None, low, scale, tuple(_changes(picture)))


def _changes(picture: Picture) -> list[str]:
    """What laying a picture over white at 8 bits changes, in words."""
    notes = []
    if picture.alpha is not None:
        notes.append("transparency: scored over white")
    if picture.depth != 8:
        notes.append(f"{picture.depth} bits a channel: scored at 8")
    return notes


def opaque(picture: Picture) -> Pixels:
    """The colours over BACKGROUND: (H, W, 3), of a greyscale picture (H, W, 1)."""
    pixels = picture.pixels[..., : 1 if picture.grey else 3]
    if picture.alpha is None:
        return pixels
    alpha = picture.alpha[..., None]
    laid: Pixels = pixels * alpha + np.float32(BACKGROUND) * (1 - alpha)
    return laid


def _floats(values: Bytes) -> Pixels:
    return np.divide(values, np.float32(255), dtype=np.float32)


def _picture(values: Bytes, grey: bool) -> Picture:
    """An opaque picture of (H, W, 3) uint8, or of (H, W, 1) where it is greyscale."""
    pixels = _floats(values)
    return Picture(np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if grey else pixels, grey=grey)


def as_bytes(picture: Picture) -> Bytes:
    """What a picture's colours are scored as: (H, W, 3) uint8, of a greyscale picture (H, W); clipped and rounded."""
    return to_uint8(picture.pixels[..., 0] if picture.grey else picture.pixels)
