"""A network on its device, in tiles or block by block, and once more in float32 for what less is not enough for."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import numpy.typing as npt

from pipelines.errors import BadWeights
from pipelines.networks.devices import Device

if TYPE_CHECKING:
    from pipelines.networks.blocks import ByBlocks
    from pipelines.networks.forward import Batch, Forward
    from pipelines.networks.network import Network

# Low-resolution pixels. Tiles of a network that sees no further overlap by that, and equal the whole picture; one that
# sees further is run block by block, or else its tiles are feathered.
AFFORDABLE_OVERLAP = 64
BLACK_LEVEL = 5 / 255  # a tile with something lighter than this is not black


class Forwards:
    """A network on a device, and once more in float32; and each of them block by block, where it is run like that."""

    def __init__(self, network: "Network", device: Device) -> None:
        from pipelines.networks.forward import Forward

        self.network, self.device = network, device
        self.usual = Forward(network, device)
        self._made: dict[tuple[bool, str], Forward | ByBlocks] = {(False, device.dtype): self.usual}
        self._lock = threading.Lock()

    @property
    def sees_too_far(self) -> bool:
        """Returns whether its tiles cannot equal the whole picture, but those of its blocks do."""
        return self.network.radius > AFFORDABLE_OVERLAP and self.network.in_blocks is not None

    def exact(self) -> "Forward":
        """Returns the network in float32, at the same place; made when it is asked for first."""
        from pipelines.networks.forward import Forward

        return cast("Forward", self._make(Forward, "float32"))

    def by_blocks(self, exact: bool) -> "ByBlocks":
        """Returns the network as it is run block by block, in float32 if `exact`; made when it is asked for first."""
        from pipelines.networks.blocks import ByBlocks

        return cast("ByBlocks", self._make(ByBlocks, "float32" if exact else self.device.dtype))

    @property
    def nbytes(self) -> int:
        """Memory that the engines hold beside the network, in bytes, about."""
        return sum(made.nbytes for made in tuple(self._made.values()))

    def release(self) -> None:
        """Gives back what was only needed while running."""
        for made in tuple(self._made.values()):
            made.release()

    def _make(self, kind: "type[Forward] | type[ByBlocks]", dtype: Literal["float16", "bfloat16", "float32"]) -> object:
        key = kind.__name__ == "ByBlocks", dtype
        with self._lock:
            if key not in self._made:
                self._made[key] = kind(self.network, replace(self.device, dtype=dtype))
            return self._made[key]


def find_broken(batch: "Batch", made: "Batch") -> npt.NDArray[np.bool_]:
    """Returns which tiles have a value that is no number, or are black where the picture is not."""
    axes = (1, 2, 3)
    broken: npt.NDArray[np.bool_] = ~_finite(made) | ((made.max(axes) <= 0) & (batch.max(axes) > BLACK_LEVEL))
    return broken


def clamp(made: "Batch", name: str) -> None:
    """Clamps to [0, 1], in place. Raises BadWeights, with the model's name, where there are other than numbers."""
    if not _finite(made).all():
        raise BadWeights(f"The network of {name} gives no finite numbers for this image.")
    np.clip(made, 0, 1, out=made)


def _finite(made: "Batch") -> npt.NDArray[np.bool_]:
    """Returns which tiles have numbers alone: a sum of float32 cannot leave the range of float64 by itself."""
    with np.errstate(invalid="ignore"):
        finite: npt.NDArray[np.bool_] = np.isfinite(made.sum((1, 2, 3), dtype=np.float64))
    return finite
