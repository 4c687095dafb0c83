"""The OpenCV engine: the networks of `cv2.dnn_superres`, read from TensorFlow .pb files.

They read and write BGR at 8 bits. All but EDSR enlarge only the luma; OpenCV enlarges the chroma by its own bicubic
(a = -0.75).
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings, check_tile
from pipelines.errors import BadWeights
from pipelines.images.picture import Depth, Pixels, strip_height, to_uint8
from pipelines.networks.tiling import run_tiled
from pipelines.runs import Run
from pipelines.upscalers.base import Upscaled
from pipelines.weights.local import Found

# Side of a tile by (network, scale), in low-resolution pixels: the size that ran fastest a pixel, smaller where the
# network's layers would take more than half a gigabyte (LapSRN at x8). EDSR's are reckoned, not measured: its overlap
# is wide, and its largest layer takes about a gigabyte in such a tile.
TILE_SIDES = {("lapsrn", 4): 192, ("lapsrn", 8): 128, ("edsr", 2): 512, ("edsr", 3): 384, ("edsr", 4): 320}
USUAL_TILE_SIDE = 256

# OpenCV keeps the layers of the last tile until the next: megabytes by (network, scale), measured with those tiles
# except EDSR's.
HELD_MEGABYTES = {
    ("espcn", 3): 62,
    ("fsrcnn", 2): 77,
    ("fsrcnn", 3): 85,
    ("fsrcnn", 4): 94,
    ("lapsrn", 2): 93,
    ("lapsrn", 4): 230,
}
HELD_MEGABYTES |= {("lapsrn", 8): 430, ("edsr", 2): 1500, ("edsr", 3): 1500, ("edsr", 4): 1500}
USUALLY_HELD_MEGABYTES = 60


@dataclass(frozen=True, slots=True)
class OpenCv:
    """A network of dnn_superres. One instance gives garbage when two threads call it at once, hence the lock."""

    model: Model
    scale: int
    network: Any  # cv2.dnn_superres.DnnSuperResImpl; cv2 is not imported before a model is loaded
    weights_sha256: tuple[str, ...]
    weights_bytes: int
    nbytes: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """See `Upscaler.run`."""
        assert self.model.tiles is not None, "each row of this engine has a range"
        check_tile(self.model, settings, *self.model.tiles)
        side = settings.tile or TILE_SIDES.get((self.model.arch, self.scale), USUAL_TILE_SIDE)
        # Eight bits of the picture's own range are more levels than eight of all, where it has more bits than eight.
        bottom, span = (0.0, 1.0) if (exact := _is_8_bit(pixels)) else _range(pixels)
        stretched = span < 1

        def enlarge(batch: Pixels) -> Pixels:
            if not stretched:
                return self._enlarge(batch)
            made = self._enlarge((batch - np.float32(bottom)) / np.float32(span))
            return made * np.float32(span) + np.float32(bottom)

        tiled = yield from run_tiled(pixels, self.scale, enlarge, side, self.model.radius, previews=True)
        return Upscaled(
            tiled.pixels,
            tiled.tiles,
            dtype="float32",
            tiling=Tiling(side, self.model.radius),
            notes=_notes(exact, span, tiled.halved_to),
        )

    def _enlarge(self, batch: Pixels) -> Pixels:
        import cv2

        (pixels,) = batch
        bgr = cv2.cvtColor(to_uint8(pixels), cv2.COLOR_RGB2BGR)
        try:
            with self.lock:
                enlarged = self.network.upsample(bgr)
        except cv2.error as error:
            if getattr(error, "code", None) == cv2.Error.STS_NO_MEM or "bad_alloc" in str(error):
                raise MemoryError from error
            raise
        rgb: Pixels = np.divide(cv2.cvtColor(enlarged, cv2.COLOR_BGR2RGB), np.float32(255), dtype=np.float32)
        return rgb[None]


def build(model: Model, scale: int, files: tuple[Found, ...]) -> OpenCv:
    """Reads the network from its .pb file. Raises BadWeights where OpenCV cannot, or it enlarges by another scale."""
    import cv2

    (file,) = files
    network = cv2.dnn_superres.DnnSuperResImpl.create()
    try:
        network.readModel(str(file.path))
        network.setModel(model.arch, scale)
        fits = network.upsample(np.zeros((8, 9, 3), np.uint8)).shape == (8 * scale, 9 * scale, 3)
    except cv2.error:
        fits = False
    if not fits:
        raise BadWeights(f"{file.path.name} is not a network that OpenCV can run as {model.name} x{scale}.")
    held = HELD_MEGABYTES.get((model.arch, scale), USUALLY_HELD_MEGABYTES) * 1_000_000
    return OpenCv(model, scale, network, (file.sha256,), file.path.stat().st_size, held)


def _range(pixels: Pixels) -> tuple[float, float]:
    """The darkest value of all channels, and how far above it the lightest one lies; all of 0 to 1 if that is nothing.

    One range for all channels: each of its own would change colours.
    """
    bottom, top = float(pixels.min()), float(pixels.max())
    return (bottom, top - bottom) if top > bottom else (0.0, 1.0)


def _notes(exact: bool, span: float, halved_to: int | None) -> tuple[str, ...]:
    notes = []
    if not exact:
        notes.append(
            "the network reads 8 bits a channel: the image was rounded for it to 256 levels"
            + (f" of its own range, {100 * span:.2g} % of all" if span < 1 else "")
        )
    if halved_to is not None:
        notes.append(f"memory ran short: tiles were cut to {halved_to} px")
    return tuple(notes)


def _is_8_bit(pixels: Pixels) -> bool:
    """Returns whether every value is a multiple of 1/255, to float32's precision."""
    rows = strip_height(pixels.shape[1], 3)
    for top in range(0, len(pixels), rows):
        scaled = pixels[top : top + rows] * np.float32(255)
        if np.abs(scaled - np.rint(scaled)).max() > 1e-3:
            return False
    return True
