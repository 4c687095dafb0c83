"""Classical kernels, up and down, in float32.

Bilinear, bicubic and Lanczos are Pillow's: bicubic has a = -0.5 (Keys 1981, as MATLAB's imresize), Lanczos has three
lobes. Pixel centres are aligned at half pixels, and weights are renormalised at the border. Shrinking widens a kernel
by the scale, which is what keeps it from aliasing; "opencv-cubic" is the one that does not.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from pipelines.images.picture import Pixels
from pipelines.images.strips import map_strips
from pipelines.runs import Run, Step, finish

PILLOW_KERNELS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SHRINKING_KERNELS = {
    "bicubic": "antialiased bicubic, as MATLAB's imresize",
    "area": "the mean of each block of pixels",
    "lanczos": "antialiased Lanczos, three lobes",
    "opencv-cubic": "cv2.resize with INTER_CUBIC (a = -0.75), which does not antialias",
}
# Pixels of the larger picture a strip: it stays in the cache while its channels are woven together.
RESAMPLED_STRIP = 1 << 18

Fill = Callable[[int, int], None]


def enlarge(pixels: Pixels, scale: int, kernel: str) -> Run[Pixels]:
    """Enlarges (H, W, 3) in [0, 1] to (s*H, s*W, 3) by "nearest" or one of PILLOW_KERNELS, clipped to [0, 1].

    Works in strips of whole low-resolution rows on all cores. A strip reads the rows around it as well, so the result
    does not depend on where strips end.
    """
    height, width, channels = pixels.shape
    out = np.empty((height * scale, width * scale, channels), np.float32)
    fill = _nearest(pixels, scale, out) if kernel == "nearest" else _filtered(pixels, out, PILLOW_KERNELS[kernel])
    rows = max(1, RESAMPLED_STRIP // (width * scale * scale)) * scale
    yield from map_strips(fill, len(out), rows, "strips")
    return out


def shrink(pixels: Pixels, scale: int, kernel: str) -> Run[Pixels]:
    """Shrinks (H, W, C) in [0, 1] to (H/s, W/s, C) by one of SHRINKING_KERNELS, clipped to [0, 1].

    H and W must be multiples of the scale (else ValueError): nothing is cropped here, and no pixel is shrunk by a
    little more than the others.
    """
    import cv2

    height, width, channels = pixels.shape
    if height % scale or width % scale:
        raise ValueError(f"{width} by {height} is no multiple of {scale}")
    size = (width // scale, height // scale)
    out = np.empty((size[1], size[0], channels), np.float32)
    if kernel in PILLOW_KERNELS:
        rows = max(1, RESAMPLED_STRIP // (width * scale))
        yield from map_strips(_filtered(pixels, out, PILLOW_KERNELS[kernel]), len(out), rows, "strips")
    else:
        flag = {"area": cv2.INTER_AREA, "opencv-cubic": cv2.INTER_CUBIC}[kernel]
        out[:] = cv2.resize(pixels, size, interpolation=flag).reshape(out.shape).clip(0, 1)
        yield Step(1, 1, "shrinking")
    return out


def shrink_to(pixels: Pixels, height: int, width: int) -> Pixels:
    """Does as `shrink_to_size`, without steps: for tiles and other small pictures."""
    return finish(shrink_to_size(pixels, height, width))


def shrink_to_size(pixels: Pixels, height: int, width: int) -> Run[Pixels]:
    """Shrinks (H, W, C) in [0, 1] by antialiased bicubic to (height, width, C), which need not divide H and W.

    Goes channel by channel: Pillow needs a copy of what it reads, and of a large picture one channel's is enough.
    """
    out = np.empty((height, width, pixels.shape[2]), np.float32)
    rows = max(1, RESAMPLED_STRIP * height // pixels[..., 0].size)
    for channel in range(pixels.shape[2]):
        one = np.s_[..., channel : channel + 1]
        yield from map_strips(_filtered(pixels[one], out[one], PILLOW_KERNELS["bicubic"]), height, rows, "strips")
    return out


def _nearest(pixels: Pixels, scale: int, out: Pixels) -> Fill:
    import cv2

    def fill(start: int, stop: int) -> None:
        rows = pixels[start // scale : stop // scale]
        cv2.resize(rows, None, dst=out[start:stop], fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)

    return fill


def _filtered(pixels: Pixels, out: Pixels, kernel: Image.Resampling) -> Fill:
    """Resizes to the shape of `out`, whichever is larger."""
    (height, width, channels), (rows, columns, _) = pixels.shape, out.shape
    planes = [Image.fromarray(np.ascontiguousarray(pixels[..., c])) for c in range(channels)]

    def fill(start: int, stop: int) -> None:
        box = (0, start * height / rows, width, stop * height / rows)
        for c, plane in enumerate(planes):
            resized = plane.resize((columns, stop - start), kernel, box=box)
            np.clip(np.asarray(resized), 0.0, 1.0, out=out[start:stop, :, c])

    return fill
