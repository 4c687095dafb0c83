"""Models that look at the picture first: one that chooses between two networks, one that cleans as much as is needed.

What was done to a picture is told from all of it, once, before it is cut into tiles (networks/estimating.py), and from
the file where that is a JPEG.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.errors import BadWeights
from pipelines.images.picture import Depth, Pixels, strip_height
from pipelines.phrasing import printable_name
from pipelines.runs import Run
from pipelines.upscalers import network
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.network import NetworkUpscaler
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from pipelines.networks.archs.estimate import Estimate
    from pipelines.networks.estimating import Judged

# Noise in levels of 255 and JPEG's quality between which cleaning sets in: below it would only cost detail.
NOISE_FROM, NOISE_FULL = 3.6, 5.6
QUALITY_FROM, QUALITY_FULL = 92.0, 80.0


@dataclass(frozen=True, slots=True)
class JudgingUpscaler:
    """A model's own network, what it can choose in its place, and the network that judges the picture.

    With a `robust` network the setting artifacts chooses between the two; without one the setting cleanup says how much
    of what the network changes is taken.
    """

    usual: NetworkUpscaler
    robust: NetworkUpscaler | None
    estimate: "Estimate"
    files: tuple[Found, ...]
    weights_bytes: int

    @property
    def model(self) -> Model:
        """See `Upscaler`."""
        return self.usual.model

    @property
    def scale(self) -> int:
        """See `Upscaler`."""
        return self.usual.scale

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """See `Upscaler`: of all the networks, whichever ran."""
        return tuple(file.sha256 for file in self.files)

    @property
    def nbytes(self) -> int:
        """See `Upscaler`."""
        own = sum(parameter.nbytes for parameter in self.estimate.parameters())
        return own + self.usual.nbytes + (self.robust.nbytes if self.robust else 0)

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """See `Upscaler.run`."""
        return (yield from self.run_knowing(pixels, settings, depth, None))

    def run_knowing(self, pixels: Pixels, settings: Settings, depth: Depth, jpeg: int | None) -> Run[Upscaled]:
        """Does as `run`, for a picture whose file tells JPEG's quality, 1 to 100."""
        if self.robust is not None:
            return (yield from self._run_one(pixels, settings, depth, jpeg))
        return (yield from self._run_partly(pixels, settings, depth, jpeg))

    def _run_one(self, pixels: Pixels, settings: Settings, depth: Depth, jpeg: int | None) -> Run[Upscaled]:
        chosen, note = settings.artifacts, tuple[str, ...]()
        if chosen not in ("none", "remove"):
            judged = self._judge(pixels, jpeg)
            chosen = "none" if judged.careful else "remove"
            note = (f"{judged.describe()}: {'nothing to remove' if judged.careful else 'artifacts are removed'}",)
        upscaler = self.robust if chosen == "remove" and self.robust else self.usual
        done = yield from upscaler.run(pixels, replace(settings, artifacts=None), depth)
        return _telling(done, {"artifacts": chosen}, note)

    def _run_partly(self, pixels: Pixels, settings: Settings, depth: Depth, jpeg: int | None) -> Run[Upscaled]:
        strength, note = settings.cleanup, tuple[str, ...]()
        if strength is None:
            judged = self._judge(pixels, jpeg)
            strength = choose_strength(judged)
            note = (f"{judged.describe()}: {f'cleaned up by {strength:g}' if strength else 'nothing to clean up'}",)
        if strength == 0:
            done = Upscaled(pixels.copy())
        else:
            done = yield from self.usual.run(pixels, replace(settings, cleanup=None), depth)
            _blend(done.pixels, pixels, np.float32(strength))
        return _telling(done, {"cleanup": strength}, note)

    def _judge(self, pixels: Pixels, jpeg: int | None) -> "Judged":
        from pipelines.networks.estimating import judge

        return judge(self.estimate, pixels, jpeg)


def choose_strength(judged: "Judged") -> float:
    """Returns how much of what cleaning changes is taken, 0 to 1, in hundredths: all of it where damage is plain."""
    noise = (judged.noise - NOISE_FROM) / (NOISE_FULL - NOISE_FROM)
    blocks = (QUALITY_FROM - judged.quality) / (QUALITY_FROM - QUALITY_FULL)
    return round(min(1.0, max(noise, blocks, 0.0)), 2)


def build(model: Model, scale: int, files: tuple[Found, ...]) -> JudgingUpscaler:
    """Reads all networks: the model's own, the robust one if there is one, and the one that judges.

    The robust one may enlarge by more, and is shrunk then. Raises BadWeights.
    """
    own, *others, judge = files
    usual = network.build(model, scale, (own,))
    robust = _build_robust(model, scale, others[0]) if others else None
    size = sum(file.path.stat().st_size for file in files)
    return JudgingUpscaler(usual, robust, _read_estimate(judge.path), files, size)


def _build_robust(model: Model, scale: int, file: Found) -> NetworkUpscaler:
    from pipelines.networks.checkpoints import read_network

    upscaler = NetworkUpscaler(model, scale, read_network(file.path), (file,), file.path.stat().st_size)
    upscaler.forwards()
    return upscaler


def _read_estimate(path: Path) -> "Estimate":
    from pipelines.networks.archs import estimate
    from pipelines.networks.file import copy_as_float32, read_tensors
    from pipelines.networks.shapes import Misfit

    name = printable_name(path)
    try:
        return estimate.build(copy_as_float32(read_tensors(path), name))
    except Misfit as error:
        raise BadWeights(f"{name} {error}") from error


def _telling(done: Upscaled, settings: Mapping[str, Any], notes: tuple[str, ...]) -> Upscaled:
    return replace(done, settings=settings, notes=(*notes, *done.notes))


def _blend(made: Pixels, pixels: Pixels, strength: np.float32) -> None:
    """Leaves `strength` of what `made` differs from the picture by, in its place, strip by strip."""
    if strength == 1:
        return
    rows = strip_height(made.shape[1], made.shape[2])
    for top in range(0, len(made), rows):
        strip, given = made[top : top + rows], pixels[top : top + rows]
        np.subtract(strip, given, out=strip)
        np.multiply(strip, strength, out=strip)
        np.add(strip, given, out=strip)
