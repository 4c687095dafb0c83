"""Colours around networks of the luma: as OpenCV has them for 8 bits, and rounded nowhere for more."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.opencv import OPENCV
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.upscalers.luma import is_8_bit, with_colours
from tests.conftest import smooth
from tests.support import dnn_superres

HERE = [(row.key, scale) for row in OPENCV if row.key != "edsr" for scale in row.scales]


@pytest.mark.parametrize(("key", "scale"), HERE)
def test_real_networks_equal_opencv(key: str, scale: int, assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    weights = catalog.find(key).scales[scale]
    assert weights is not None
    dnn_superres.assert_the_same(assets / "weights" / "opencv" / Path(weights.files[0].name).name, key, scale)


def nearest(batch: Pixels) -> Pixels:
    """Stands for a network that keeps the luma."""
    assert (batch == batch[..., :1]).all(), "it is given the luma three times"
    return batch.repeat(2, axis=1).repeat(2, axis=2)


@pytest.mark.parametrize("eight_bits", [False, True])
def test_a_colour_comes_back(eight_bits: bool) -> None:
    """To one level of chroma where that is rounded, and else to what OpenCV's own rounded coefficients leave."""
    flat = np.broadcast_to(np.float32([200, 51, 26]) / np.float32(255), (2, 5, 7, 3))
    made = with_colours(nearest, 2, eight_bits)(np.ascontiguousarray(flat))
    assert made.shape == (2, 10, 14, 3) and np.ptp(made, axis=(0, 1, 2)).max() == 0
    assert np.abs(made - flat[:, :1, :1]).max() <= (1.5 if eight_bits else 0.3) / 255


def test_more_than_8_bits_are_rounded_nowhere(own_weights: Path) -> None:
    """A hundredth of a level more of red, green and blue in the picture is as much more in the result."""
    pixels = smooth(20, 30) * np.float32(0.5) + np.float32(0.3)
    more = pixels + np.float32(0.01 / 255)
    assert not is_8_bit(pixels) and is_8_bit(smooth(20, 30))
    network = load("espcn", 2)
    first, second = (finish(network.run(each, Settings(), 16)).pixels for each in (pixels, more))
    gained = (second - first) * 255
    assert 0.005 < gained.mean() < 0.015 and np.abs(gained).max() < 0.03


def test_two_pictures_of_a_batch_keep_their_own_colours() -> None:
    batch = np.stack([smooth(6, 5), smooth(6, 5)[::-1]])
    made = with_colours(nearest, 2, True)(batch)
    alone = [with_colours(nearest, 2, True)(each[None])[0] for each in batch]
    np.testing.assert_array_equal(made, np.stack(alone))
