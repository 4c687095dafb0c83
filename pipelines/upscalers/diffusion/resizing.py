"""Bringing an enlarged picture to the size that is worked at."""

import torch
from torch.nn.functional import interpolate

from pipelines.images.picture import Pixels
from pipelines.images.resample import enlarge
from pipelines.runs import Run, Step, map_steps


def enlarge_plainly(pixels: Pixels, scale: int, height: int, width: int) -> Run[Pixels]:
    """Enlarges (H, W, 3) by bicubic, then resizes to the size that is worked at: see `resize`."""
    plain = yield from map_steps(enlarge(pixels, scale, "bicubic"), lambda step: Step(0, 1, "upscaling plainly"))
    return resize(plain, height, width)


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resizes (H, W, 3) by antialiased bicubic, as torch has it: values may leave [0, 1]."""
    if pixels.shape[:2] == (height, width):
        return pixels
    values = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    resized = interpolate(values, size=(height, width), mode="bicubic", antialias=True)[0]
    made: Pixels = resized.permute(1, 2, 0).contiguous().numpy()
    return made
