"""The classical engine: interpolation, no weights."""

from dataclasses import dataclass

from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.images import resample
from pipelines.images.picture import Depth, Pixels
from pipelines.runs import Run
from pipelines.upscalers.base import Upscaled
from pipelines.weights.local import Found


@dataclass(frozen=True, slots=True)
class Classical:
    """Interpolation by the kernel that the model's key names."""

    model: Model
    scale: int
    weights_sha256: tuple[str, ...] = ()
    weights_bytes: int = 0
    nbytes: int = 0

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """See `Upscaler.run`."""
        return Upscaled((yield from resample.enlarge(pixels, self.scale, self.model.key)))


def build(model: Model, scale: int, files: tuple[Found, ...]) -> Classical:
    """An upscaler for a classical row; there are no files to read."""
    return Classical(model, scale)
