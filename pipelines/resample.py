"""Classical enlargement: nearest, bilinear, bicubic and Lanczos, in float32.

The kernels are Pillow's: bicubic has a = -0.5 (Keys 1981, as MATLAB's imresize), Lanczos has three lobes. Pixel centres
are aligned at half pixels, and weights are renormalised at the border.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from pipelines.images import Pixels
from pipelines.runs import Run, Step

KERNELS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
STRIP_PIXELS = 1 << 18  # output pixels a strip: it stays in the cache while its three channels are woven together


def enlarge(pixels: Pixels, scale: int, kernel: str) -> Run[Pixels]:
    """Enlarge (H, W, 3) in [0, 1] to (s*H, s*W, 3) by "nearest" or one of KERNELS; overshoot is clipped to [0, 1].

    Works in strips of whole low-resolution rows on all cores. A strip reads the rows around it as well, so the result
    does not depend on where strips end.
    """
    height, width, _ = pixels.shape
    out = np.empty((height * scale, width * scale, 3), np.float32)
    fill = _nearest(pixels, scale, out) if kernel == "nearest" else _filtered(pixels, scale, kernel, out)
    rows = max(1, STRIP_PIXELS // (width * scale * scale))
    starts = range(0, height, rows)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        strips = [pool.submit(fill, start, min(start + rows, height)) for start in starts]
        for done, strip in enumerate(strips, 1):
            strip.result()
            yield Step(done, len(strips), "strips")
    finally:
        pool.shutdown(cancel_futures=True)
    return out


def _nearest(pixels: Pixels, scale: int, out: Pixels) -> Callable[[int, int], None]:
    import cv2

    def fill(start: int, stop: int) -> None:
        strip = out[start * scale : stop * scale]
        cv2.resize(pixels[start:stop], None, dst=strip, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)

    return fill


def _filtered(pixels: Pixels, scale: int, kernel: str, out: Pixels) -> Callable[[int, int], None]:
    width = pixels.shape[1]
    channels = [Image.fromarray(np.ascontiguousarray(pixels[..., c])) for c in range(3)]

    def fill(start: int, stop: int) -> None:
        size = (width * scale, (stop - start) * scale)
        strip = out[start * scale : stop * scale]
        for c, channel in enumerate(channels):
            enlarged = channel.resize(size, KERNELS[kernel], box=(0, start, width, stop))
            np.clip(np.asarray(enlarged), 0.0, 1.0, out=strip[..., c])

    return fill
