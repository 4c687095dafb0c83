"""`cv2.dnn_superres`, which reads the same .pb files: the reference for the networks that are followed from them."""

from pathlib import Path

import cv2
import numpy as np

from pipelines.catalog import rows as catalog
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels8, to_uint8
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from tests.conftest import smooth


def enlarge(file: Path, key: str, scale: int, rgb: Pixels8) -> Pixels8:
    """What OpenCV makes of a picture by the file of a model of the catalog's."""
    network = cv2.dnn_superres.DnnSuperResImpl.create()
    network.readModel(str(file))
    network.setModel(catalog.find(key).arch, scale)
    return np.asarray(network.upsample(np.ascontiguousarray(rgb[..., ::-1])))[..., ::-1]


def assert_the_same(file: Path, key: str, scale: int) -> None:
    """Ours is within a level of OpenCV's, in colour and in grey, and tiles differ from the whole by nothing at all."""
    colour = smooth(47, 61)
    colour[:12, :20] = np.float32(
        [[[0.2, 0.4, 1.0]]]
    )  # a flat corner of a strong colour, out of every range at its end
    for pixels in (colour, np.repeat(colour[..., :1], 3, axis=2)):
        ours = finish(load(key, scale, file).run(pixels, Settings()))
        theirs = enlarge(file, key, scale, to_uint8(pixels))
        assert _levels_apart(to_uint8(ours.pixels), theirs) <= 1
        assert np.abs(ours.pixels * 255 - theirs).max() < 1.01
        assert theirs.std() > 10, "there is something to compare"
    whole, cut = (finish(load(key, scale, file).run(smooth(33, 110), Settings(tile=tile))) for tile in (200, 80))
    assert (whole.tiles, cut.tiles > 1) == (1, True)
    assert np.abs(cut.pixels - whole.pixels).max() <= 1e-5


def _levels_apart(one: Pixels8, other: Pixels8) -> int:
    return int(np.abs(one.astype(int) - other).max())
