"""What a picture looks like before it is decoded: each latent's colour by a linear map, fitted to the picture at hand.

No small decoder is published for these latents. A map fitted to one picture knows its colours, and takes as long as
encoding a small copy of it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from diffusers import VQModel
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pipelines.images.picture import Pixels, to_uint8
from pipelines.images.resample import enlarge, shrink_to
from pipelines.runs import finish
from pipelines.upscalers.diffusion.parts import Parts

FITTED_SIDE = 32  # pixels: the longer side of the copy that the map is fitted to
PREVIEW_SIDE = 256  # pixels: the longer side of a preview


@dataclass(frozen=True, slots=True, eq=False)
class ColourMap:
    """The map: (C + 1, 3), from a latent's C values and a 1 to its colour in [0, 1]."""

    weights: npt.NDArray[np.float32]

    def paint(self, latents: Tensor) -> npt.NDArray[np.uint8]:
        """Shows latents (1, C, H, W) as a picture (h, w, 3): a pixel for each latent, or for the mean of a few."""
        apart = -(-max(latents.shape[2:]) // PREVIEW_SIDE)
        means = avg_pool2d(latents, apart, ceil_mode=True)[0].permute(1, 2, 0).float().cpu().numpy()
        return to_uint8(means @ self.weights[:-1] + self.weights[-1])


def fit_colours(parts: Parts, pixels: Pixels) -> ColourMap:
    """Fits the map to a picture (H, W, 3) by least squares, from its bicubic enlargement's latents to its pixels."""
    height, width, _ = pixels.shape
    share = min(1, FITTED_SIDE / max(height, width))
    small = shrink_to(pixels, max(1, round(share * height)), max(1, round(share * width)))
    plain = torch.from_numpy(finish(enlarge(small, parts.enlarges, "bicubic"))).permute(2, 0, 1)[None]
    encoded = parts.vae.encode(plain.to(parts.vae.device) * 2 - 1)
    encoded = encoded.latents if isinstance(parts.vae, VQModel) else encoded.latent_dist.mode()
    latents = (encoded * parts.scaling)[0].flatten(1).T.cpu().numpy()
    known = np.column_stack([latents, np.ones(len(latents), np.float32)])
    weights, *_ = np.linalg.lstsq(known, small.reshape(-1, 3), rcond=1e-4)
    return ColourMap(weights.astype(np.float32))
