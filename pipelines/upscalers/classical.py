"""The classical engine: interpolation, no weights."""

from dataclasses import dataclass

from pipelines import resample
from pipelines.catalog import Model
from pipelines.picture import Pixels
from pipelines.runs import Run
from pipelines.upscalers.base import Settings, Upscaled, check
from pipelines.weights import Found


@dataclass(frozen=True, slots=True)
class Classical:
    """Interpolation by the kernel that the model's key names."""

    model: Model
    scale: int
    weights_sha256: tuple[str, ...] = ()
    weights_bytes: int = 0
    nbytes: int = 0

    def run(self, pixels: Pixels, settings: Settings) -> Run[Upscaled]:
        """See `Upscaler.run`."""
        check([self.model], settings)
        return Upscaled((yield from resample.enlarge(pixels, self.scale, self.model.key)))


def build(model: Model, scale: int, files: tuple[Found, ...]) -> Classical:
    """An upscaler for a classical row; there are no files to read."""
    return Classical(model, scale)
