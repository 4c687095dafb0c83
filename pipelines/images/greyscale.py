"""Pictures without colour, whether a file stores them as greyscale or as three channels. Knows no file format."""

import numpy as np

from pipelines.images.picture import Pixels, strip_height

# A lossy WebP of a grey picture comes back with one level of 255 between its channels in some 2 % of the pixels: what
# its decoder rounds. A flat #808081 has it everywhere, and is a colour. (Half a level more is for float32.)
ROUNDING = 1.5 / 255
MOST_ROUNDED = 0.1  # share of the pixels


def is_grey(pixels: Pixels) -> bool:
    """Returns whether the channels of (H, W, 3) are equal, but for what a lossy decoder rounds.

    That is one level of 255 at the most, in a tenth of the pixels at the most.
    """
    height, width, _ = pixels.shape
    rows, rounded = strip_height(width, 3), 0
    for top in range(0, height, rows):
        red, green, blue = np.moveaxis(pixels[top : top + rows], 2, 0)
        spread = np.maximum(np.abs(red - green), np.abs(green - blue))
        if np.maximum(spread, np.abs(red - blue)).max() > ROUNDING:
            return False
        rounded += int(np.count_nonzero(spread))
    return bool(rounded <= MOST_ROUNDED * height * width)


def as_grey(pixels: Pixels) -> Pixels:
    """Returns (H, W, 3) with the mean of the three channels in all of them; the same pixels where they are equal."""
    mean = np.empty(pixels.shape[:2], np.float32)
    rows, equal = strip_height(pixels.shape[1], 3), True
    for top in range(0, len(pixels), rows):
        strip = pixels[top : top + rows]
        first = strip[..., :1]
        # Of three equal numbers the mean may differ by a rounding: the first one and the mean difference do not.
        mean[top : top + rows] = first[..., 0] + (strip - first).mean(axis=2)
        equal = equal and bool((strip == first).all())
    return pixels if equal else np.broadcast_to(mean[..., None], pixels.shape)
