"""Kernels that end in a JPEG file: what of the small image is left, and what is no kernel."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BadSetting
from pipelines.images.picture import Picture, to_uint8
from pipelines.measuring.kernels import (
    KERNEL_NAMES,
    OFFERED_KERNELS,
    Kernel,
    describe_kernel,
    name_kernel,
    parse_kernel,
    store_as_jpeg,
)
from pipelines.measuring.protocol import shrink_original
from pipelines.runs import finish
from tests.conftest import smooth


@pytest.mark.parametrize("kernel", KERNEL_NAMES)
@pytest.mark.parametrize("grey", [False, True])
def test_the_small_image_is_what_a_jpeg_file_of_it_gives(kernel: str, grey: bool) -> None:
    """The original is not touched, and neither is a channel added to a grey one."""
    pixels = smooth(64, 96)
    if grey:
        pixels = np.broadcast_to(pixels[..., :1], pixels.shape)
    plain = finish(shrink_original(Picture(pixels, grey=grey), 2, kernel))
    trial = finish(shrink_original(Picture(pixels, grey=grey), 2, f"{kernel}+jpeg75"))
    assert plain.reference is not None
    np.testing.assert_array_equal(trial.reference, plain.reference)
    small, file = to_uint8(plain.low.pixels), BytesIO()
    Image.fromarray(small[..., 0] if grey else small).save(file, "JPEG", quality=75, subsampling="4:2:0")
    expected = np.asarray(Image.open(file))
    found = to_uint8(trial.low.pixels)
    np.testing.assert_array_equal(found[..., 0] if grey else found, expected)
    assert trial.low.grey == grey and not np.array_equal(found, small)


def test_less_quality_leaves_less() -> None:
    values = to_uint8(smooth(48, 48) * np.random.default_rng(0).random((48, 48, 1), np.float32))
    errors = [np.abs(store_as_jpeg(values, quality).astype(int) - values).mean() for quality in (100, 90, 75, 10, 1)]
    assert errors == sorted(errors) and errors[0] < errors[-1] / 2


def test_a_single_pixel_can_be_stored() -> None:
    assert store_as_jpeg(np.full((1, 1, 3), 200, np.uint8), 90).shape == (1, 1, 3)


def test_every_kernel_takes_a_quality_of_1_to_100() -> None:
    for name in KERNEL_NAMES:
        assert parse_kernel(name) == Kernel(name)
        assert parse_kernel(f"{name}+jpeg1") == Kernel(name, 1) and parse_kernel(f"{name}+jpeg100") == Kernel(name, 100)
    assert [parse_kernel(each).quality for each in OFFERED_KERNELS] == [None] * 4 + [90, 75]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sinc", "no kernel 'sinc' to shrink by"),
        ("sinc+jpeg75", "no kernel 'sinc"),
        ("bicubic+", "jpeg and a quality from 1 to 100"),
        ("bicubic+jpeg", "such as bicubic+jpeg75, not 'jpeg'."),
        ("bicubic+jpeg0", "not 'jpeg0'"),
        ("bicubic+jpeg101", "not 'jpeg101'"),
        ("bicubic+jpeg7.5", "not 'jpeg7.5'"),
        ("bicubic+jpeg-1", "not 'jpeg-1'"),
        ("bicubic+jpeg²", "not 'jpeg²'"),
        ("bicubic+webp75", "not 'webp75'"),
        ("area+jpeg75+jpeg75", "such as area+jpeg75, not 'jpeg75+jpeg75'"),
        (None, "no kernel 'None'"),
    ],
)
def test_what_is_no_kernel_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(BadSetting) as caught:
        parse_kernel(text)
    assert said in str(caught.value)


def test_a_kernel_is_told_in_words() -> None:
    assert name_kernel("bicubic") == "bicubic" and name_kernel("bicubic+jpeg75") == "bicubic, then JPEG 75"
    assert describe_kernel("area+jpeg90") == "the mean of each block of pixels, then stored as JPEG of quality 90"
    assert describe_kernel("spline") == ""
