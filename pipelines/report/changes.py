"""Where a model's result differs most from what a plain method makes of the same small picture."""

import numpy as np
from PIL import Image

from pipelines.images.picture import Pixels8
from pipelines.report.crops import MOST_CROPS, Square, compute_luma, find_squares

CHANGED_SIDE = 96  # px of the result
COMPARED_PIXELS = 2_000_000  # at most, of a picture that is compared at every pixel or at every few
LEAST_LEVELS = 4  # of 255: less is rounding
PLAIN_KERNELS = {"bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}


def find_changes(small: Pixels8, result: Pixels8, plain: str = "bicubic") -> list[Square]:
    """Finds up to MOST_CROPS squares of the result where it differs most from the small picture enlarged by `plain`.

    Both are (h, w, 3) uint8. What counts is luma. A large result is compared at every second pixel, or at fewer still,
    never at fewer than the small picture has; the plain method gives those pixels alone. The list is empty where
    nothing differs by LEAST_LEVELS.
    """
    (height, width), (rows, columns) = small.shape[:2], result.shape[:2]
    most = max(1, min(rows // height, columns // width))
    stride = next((each for each in range(1, most) if rows * columns <= COMPARED_PIXELS * each**2), most)
    first = stride // 2
    seen = compute_luma(result[first::stride, first::stride])
    number = [(extent - first) // stride for extent in (columns, rows)]
    if min(number) < 1:
        return []
    # The middle of each pixel that is compared, in pixels of the small picture, is where its kernel is put.
    edges = [first + 0.5 - stride / 2, *(first + 0.5 - stride / 2 + stride * each for each in number)]
    box = (
        edges[0] * width / columns,
        edges[0] * height / rows,
        edges[1] * width / columns,
        edges[2] * height / rows,
    )
    luma = Image.fromarray(compute_luma(small))
    enlarged = np.asarray(luma.resize((number[0], number[1]), PLAIN_KERNELS[plain], box=box))
    seen = seen[: number[1], : number[0]]
    apart = np.maximum(seen, enlarged) - np.minimum(seen, enlarged)
    apart[apart < LEAST_LEVELS] = 0
    found = find_squares(apart, MOST_CROPS, max(1, CHANGED_SIDE // stride))
    return [Square(each.x * stride, each.y * stride, each.side * stride) for each in found]
