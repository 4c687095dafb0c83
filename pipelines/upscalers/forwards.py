"""A network on its device, in tiles or block by block, and once more in float32 for what less is not enough for."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

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

Way: TypeAlias = "Forward | ByBlocks"
"""How a network is run."""


class Forwards:
    """A network on a device, and once more in float32."""

    def __init__(self, network: "Network", device: Device) -> None:
        self.network, self.device = network, device
        self.usual = _make(network, device)
        self._exact = self.usual if device.dtype == "float32" else None
        self._lock = threading.Lock()

    def exact(self) -> Way:
        """Returns the network in float32, at the same place; made when it is asked for first."""
        with self._lock:
            if self._exact is None:
                self._exact = _make(self.network, replace(self.device, dtype="float32"))
            return self._exact

    @property
    def nbytes(self) -> int:
        """Memory that the engines hold beside the network, in bytes, about."""
        return sum(way.nbytes for way in {self.usual, self._exact} if way is not None)

    def release(self) -> None:
        """Gives back what was only needed while running."""
        self.usual.release()
        if self._exact is not None:
            self._exact.release()


def _make(network: "Network", device: Device) -> Way:
    from pipelines.networks.blocks import ByBlocks
    from pipelines.networks.forward import Forward

    if network.radius > AFFORDABLE_OVERLAP and network.in_blocks is not None:
        return ByBlocks(network, device)
    return Forward(network, device)


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
