"""What the networks have in common that enlarge the luma alone, as `cv2.dnn_superres` runs them.

Colours are brought back outside the network (upscalers/luma.py), as a picture's and not as a tile's matter.
"""

import torch
from torch import Tensor, nn

from pipelines.networks.network import COMPILES_WHOLE
from pipelines.networks.shapes import COLOUR_CHANNELS


class LumaNetwork(nn.Module):
    """Enlarges (N, 3, H, W) in [0, 1], three times the same luma, to (N, 3, scale*H, scale*W), again three times one.

    What a class of it has of its own is `read`, which maps luma (N, 1, H, W) to features, `trunk`, and `write`, which
    maps the trunk's features, and luma (N, 1, H, W), to (N, 1, scale*H, scale*W).
    """

    multiple = 1  # of which H and W must be multiples
    in_blocks = None  # it is not cut: tiles can overlap by all that it sees
    compiles = COMPILES_WHOLE  # where all of it is in float32

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(self.head(pixels)), pixels)

    def head(self, pixels: Tensor) -> Tensor:
        """See `Network`."""
        return self.read(_luma(pixels))

    def tail(self, features: Tensor, pixels: Tensor) -> Tensor:
        """See `Network`."""
        return torch.repeat_interleave(self.write(features, _luma(pixels)), COLOUR_CHANNELS, dim=1)

    def read(self, luma: Tensor) -> Tensor:
        raise NotImplementedError

    def trunk(self, features: Tensor) -> Tensor:
        raise NotImplementedError

    def write(self, features: Tensor, luma: Tensor) -> Tensor:
        raise NotImplementedError


def _luma(pixels: Tensor) -> Tensor:
    return torch.narrow(pixels, 1, 0, 1)
