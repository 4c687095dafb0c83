"""Tiles hold the picture's own pixels, levels their means, and heat the difference in colours of a fixed scale."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipelines.images.picture import Pixels8
from pipelines.images.pyramid import HEAT, PYRAMID_TILE, Pyramid, compute_heat, heat_palette, write_pyramid
from pipelines.runs import finish
from tests.support.pictures import ramp


def joined(pyramid: Pyramid, level: int) -> Pixels8:
    """The level's tiles put together."""
    rows, columns = pyramid.grid(level)
    files = [[pyramid.file(level, row, column) for column in range(columns)] for row in range(rows)]
    # An opaque tile's file has no alpha.
    mode = "RGBA" if pyramid.clear else "RGB"
    tiles = [[np.asarray(Image.open(file).convert(mode)) for file in row] for row in files]
    return np.concatenate([np.concatenate(row, axis=1) for row in tiles])


@pytest.mark.parametrize(
    ("height", "width", "levels"),
    [(1, 1, 1), (PYRAMID_TILE, PYRAMID_TILE, 1), (PYRAMID_TILE + 1, 3, 2), (700, 1030, 3), (4096, 5, 4)],
)
def test_level_0_is_the_picture_and_the_last_one_a_single_tile(
    height: int, width: int, levels: int, tmp_path: Path
) -> None:
    pixels = ramp(height, width)
    pyramid = finish(write_pyramid(pixels, tmp_path / "new" / "tiles"))
    assert pyramid.levels == levels
    np.testing.assert_array_equal(joined(pyramid, 0), pixels)
    assert pyramid.grid(levels - 1) == (1, 1) and pyramid.top.is_file()
    assert set(pyramid.files()) == set((tmp_path / "new" / "tiles").iterdir())


def test_a_level_has_the_means_of_the_one_before(tmp_path: Path) -> None:
    """Of an odd side the last pixel is the mean of what there is, so that every level begins and ends at the same."""
    pixels = ramp(601, 700)
    pyramid = finish(write_pyramid(pixels, tmp_path))
    padded = np.concatenate([pixels, pixels[-1:]]).astype(np.float64)
    means = padded.reshape(301, 2, 350, 2, 3).mean(axis=(1, 3))
    half = joined(pyramid, 1)
    assert half.shape == (301, 350, 3)
    assert np.abs(half - means).max() <= 0.5


def test_heat_is_the_largest_channel_on_a_fixed_scale() -> None:
    original = np.full((2, 3, 3), 200, np.uint8)
    result = original.copy()
    result[0, 0] = (198, 200, 203)
    result[1, 2] = (200, 0, 255)
    found = compute_heat(result, original, 32)
    assert found[0, 0] == round(3 * 255 / 32) and found[1, 2] == 255
    assert np.count_nonzero(found) == 2
    np.testing.assert_array_equal(found, compute_heat(original, result, 32))


def test_heat_needs_one_size() -> None:
    with pytest.raises(ValueError, match="compared with"):
        compute_heat(ramp(3, 4), ramp(4, 3), 32)


def test_heat_is_painted_after_it_is_shrunk(tmp_path: Path) -> None:
    """Black beside the brightest is, from afar, the colour in the middle of the scale and not the mean of the two."""
    levels = np.zeros((600, 600), np.uint8)
    levels[:, ::2] = 255
    pyramid = finish(write_pyramid(levels, tmp_path))
    near, far = joined(pyramid, 0), joined(pyramid, 1)
    assert near[0, 0].tolist() == heat_palette()[255].tolist() and near[0, 1].tolist() == heat_palette()[0].tolist()
    np.testing.assert_array_equal(far, np.broadcast_to(heat_palette()[128], far.shape))


def test_the_scale_has_the_colours_it_names() -> None:
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in heat_palette()]
    assert colours[0] == HEAT[0] and colours[255] == HEAT[-1]


def test_closing_stops_the_writing(tmp_path: Path) -> None:
    run = write_pyramid(np.zeros((8 * PYRAMID_TILE, 8 * PYRAMID_TILE), np.uint8), tmp_path)
    next(run)
    run.close()
    assert not list(tmp_path.glob("1_*")), "a level begins once the one before is written"


def test_each_tile_has_the_profile(tmp_path: Path) -> None:
    """A browser would show the picture in other colours without."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pyramid = finish(write_pyramid(np.zeros((PYRAMID_TILE + 1, 9, 3), np.uint8), tmp_path, icc))
    tiles = [Image.open(BytesIO(file.read_bytes())) for file in pyramid.files()]
    assert [tile.info.get("icc_profile") == icc for tile in tiles] == [True] * 3


def test_transparency_is_in_the_tiles(tmp_path: Path) -> None:
    """Of the colours, those that are seen; a level's are the means of what is seen."""
    pixels = np.dstack([ramp(600, 700), np.zeros((600, 700), np.uint8)])
    pixels[:, 300:, 3] = 255
    pyramid = finish(write_pyramid(pixels, tmp_path))
    assert pyramid.clear and not finish(write_pyramid(ramp(5, 5), tmp_path / "solid")).clear
    whole, half = joined(pyramid, 0), joined(pyramid, 1)
    np.testing.assert_array_equal(whole[..., 3], pixels[..., 3])
    np.testing.assert_array_equal(whole[:, 300:], pixels[:, 300:])
    np.testing.assert_array_equal(half[:, :150, 3], 0)
    np.testing.assert_array_equal(half[:, 150:, 3], 255)
