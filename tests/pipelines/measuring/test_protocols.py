"""Low-resolution pictures are made as said, and nothing is changed in silence."""

import numpy as np
import pytest
from PIL import Image

from pipelines.catalog import rows as catalog
from pipelines.errors import BadPicture, BadSetting
from pipelines.images.picture import Extras, Picture, to_uint8
from pipelines.images.profiles import find_profile
from pipelines.measuring.kernels import KERNEL_NAMES
from pipelines.measuring.protocol import as_scored, shrink_original, take_as_small
from pipelines.measuring.protocols import NO_ORIGINAL, ROUND_TRIP, describe_conditions
from pipelines.runs import finish
from tests.conftest import smooth


@pytest.mark.parametrize("kernel", KERNEL_NAMES)
@pytest.mark.parametrize("scale", catalog.SCALES)
def test_the_reference_is_the_crop_and_low_is_it_shrunk(kernel: str, scale: int) -> None:
    pixels = smooth(50, 67)
    trial = finish(shrink_original(Picture(pixels), scale, kernel))
    rows, columns = 50 // scale * scale, 67 // scale * scale
    np.testing.assert_array_equal(trial.reference, to_uint8(pixels[:rows, :columns]))
    assert trial.low.pixels.shape == (rows // scale, columns // scale, 3)
    levels = trial.low.pixels * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert any("cropped from 67 x 50" in note for note in trial.notes) == ((rows, columns) != (50, 67))


def test_kernels_are_what_they_are_called() -> None:
    """Against Pillow and OpenCV at 8 bits: they round and clip between two passes, hence one level, no overshoot."""
    import cv2

    pixels = 0.3 + 0.4 * smooth(48, 72)
    reference = to_uint8(pixels)
    image = Image.fromarray(reference)
    expected = {
        "bicubic": np.asarray(image.resize((18, 12), Image.Resampling.BICUBIC)),
        "lanczos": np.asarray(image.resize((18, 12), Image.Resampling.LANCZOS)),
        "area": np.asarray(image.reduce(4)),
        "opencv-cubic": cv2.resize(reference, (18, 12), interpolation=cv2.INTER_CUBIC),
    }
    assert set(expected) == set(KERNEL_NAMES)
    for kernel, values in expected.items():
        low = to_uint8(finish(shrink_original(Picture(pixels), 4, kernel)).low.pixels)
        assert np.abs(low.astype(int) - values).max() <= 1, kernel


def test_greyscale_stays_one_channel() -> None:
    grey = np.broadcast_to(smooth(16, 24)[..., :1], (16, 24, 3))
    trial = finish(shrink_original(Picture(grey, grey=True), 2, "bicubic"))
    assert trial.reference.shape == (16, 24)
    assert trial.low.grey and trial.low.pixels.shape == (8, 12, 3)
    np.testing.assert_array_equal(trial.low.pixels[..., 0], trial.low.pixels[..., 2])
    assert as_scored(trial.low).shape == (8, 12)


def test_transparency_is_laid_over_white_and_said() -> None:
    alpha = np.zeros((16, 16), np.float32)
    alpha[:8] = 1
    trial = finish(shrink_original(Picture(np.zeros((16, 16, 3), np.float32), alpha), 2, "area"))
    assert (trial.reference[:8] == 0).all() and (trial.reference[8:] == 255).all()
    assert trial.low.alpha is None
    assert "transparency: scored over white" in trial.notes


def test_16_bits_are_rounded_and_said() -> None:
    trial = finish(shrink_original(Picture(np.full((8, 8, 3), 100.6 / 255, np.float32), depth=16), 2, "area"))
    assert (trial.reference == 101).all()
    assert "16 bits a channel: scored at 8" in trial.notes


def test_colours_that_no_profile_describes_get_one() -> None:
    """A linear picture (PNG's gAMA of 1) stays one: what is scored and shown has that in its profile."""
    linear = Picture(smooth(8, 8), extras=Extras(colour=(("gAMA", (100_000).to_bytes(4)),)))
    low = finish(shrink_original(linear, 2, "area")).low
    assert low.icc == find_profile(linear) is not None
    assert finish(shrink_original(Picture(smooth(8, 8)), 2, "area")).low.icc is None


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 3)])
def test_a_picture_smaller_than_the_scale(size: tuple[int, int]) -> None:
    with pytest.raises(BadPicture, match="too small to be shrunk by 8"):
        finish(shrink_original(Picture(np.zeros((*size, 3), np.float32)), 8, "bicubic"))


def test_an_unknown_kernel() -> None:
    with pytest.raises(BadSetting, match="no kernel 'sinc'"):
        finish(shrink_original(Picture(smooth(8, 8)), 2, "sinc"))


def test_without_an_original_the_picture_is_the_small_one() -> None:
    pixels = smooth(13, 17)
    trial = finish(take_as_small(Picture(pixels, np.full((13, 17), 0.5, np.float32), depth=16), 4, "bicubic"))
    assert trial.reference is None and trial.low.alpha is None
    np.testing.assert_array_equal(to_uint8(trial.low.pixels), to_uint8(pixels * 0.5 + 0.5))
    assert trial.notes == ("transparency: scored over white", "16 bits a channel: scored at 8")


def test_scores_say_under_which_conditions() -> None:
    said = "Shrunk by bicubic+jpeg75 (antialiased bicubic, as MATLAB's imresize, then stored as JPEG of quality 75)."
    assert describe_conditions(ROUND_TRIP, "bicubic+jpeg75") == said
    assert describe_conditions(ROUND_TRIP, "spline") == "Shrunk by spline."
    assert describe_conditions(NO_ORIGINAL, "bicubic") == "Consistency by antialiased bicubic."
