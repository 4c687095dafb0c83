"""What was done to a picture: the sections that are looked at, what is told of them, and in which words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.images import door as images
from pipelines.networks.archs import estimate
from pipelines.networks.archs.estimate import CLASSES, Estimate, luma_of
from pipelines.networks.estimating import Judged, judge
from pipelines.networks.file import copy_as_float32, read_tensors
from pipelines.networks.shapes import Misfit
from pipelines.weights.local import BUNDLED
from tests.conftest import smooth
from tests.support.telling import Telling


def test_all_sections_together_give_one_answer() -> None:
    pixels = smooth(500, 700)
    network = Telling("soft", 14.9)
    told = judge(network, pixels)
    assert network.shown == (8, 1, 96, 96) and told.kind == "soft" and told.noise == pytest.approx(15, rel=1e-4)
    flat = judge(Telling("soft", 0), np.full((200, 300, 3), 0.7, np.float32))
    assert flat.quality == pytest.approx(70, abs=0.1) and flat.noise == 0


def test_sections_with_nothing_in_them_are_left_out() -> None:
    """A picture that is white but for a corner: the corner is looked at."""
    pixels = np.ones((960, 960, 3), np.float32)
    pixels[:480, :480] = smooth(480, 480) * 0.5
    assert judge(Telling("soft", 0), pixels).quality < 60


@pytest.mark.parametrize(("height", "width", "shown"), [(30, 900, (5, 1, 30, 30)), (24, 24, (1, 1, 24, 24))])
def test_narrow_pictures_are_looked_at_too(height: int, width: int, shown: tuple[int, ...]) -> None:
    network = Telling("soft", 0)
    judge(network, smooth(height, width))
    assert network.shown == shown


def test_what_is_too_small_to_tell_is_not_careful() -> None:
    told = judge(Telling("antialiased", 0), smooth(23, 400), 95)
    assert (told.kind, told.quality, told.careful, told.describe()) == ("", 95, False, "JPEG 95, too small to tell")


def test_the_file_is_believed_unless_the_pixels_are_far_worse() -> None:
    """Then they were a JPEG of low quality before they were saved at a high one."""
    pixels = np.full((100, 100, 3), 0.7, np.float32)
    assert [judge(Telling("soft", 0), pixels, quality).quality for quality in (50, 85)] == [50, 85]
    assert judge(Telling("soft", 0), pixels, 95).quality == pytest.approx(70, abs=0.1)


def test_words_and_choice() -> None:
    clean = Judged("antialiased", 100, 0.4)
    assert clean.careful and clean.describe() == "antialiased"
    assert Judged("antialiased", 100, 0, jagged=0.05).careful and not Judged("antialiased", 100, 0, jagged=0.2).careful
    for other in (Judged("not antialiased", 100, 0), Judged("antialiased", 78, 0), Judged("antialiased", 100, 9)):
        assert not other.careful
    assert Judged("not antialiased", 78.2, 9.1).describe() == "JPEG 78, not antialiased, noise of 9 levels"


def test_a_file_of_something_else_is_a_misfit() -> None:
    state = Estimate().state_dict()
    pixels = torch.rand(2, 3, 40, 50)
    torch.testing.assert_close(estimate.build(state)(luma_of(pixels)).shape, torch.Size([2, len(CLASSES) + 2]))
    with pytest.raises(Misfit, match="is not the network that tells"):
        estimate.build({"first.weight": torch.ones(1)})
    with pytest.raises(Misfit, match=r"does not fit together: told\.bias is 3"):
        estimate.build(state | {"told.bias": torch.ones(3)})


def test_brightness_is_no_matter() -> None:
    torch.manual_seed(0)
    network, luma = Estimate().eval(), torch.rand(1, 1, 40, 40) * 0.5
    torch.testing.assert_close(network(luma), network(luma + 0.3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("noise", [5, 10, 25])
def test_noise_on_photographs_is_told_within_fifteen_percent(noise: int, assets: Path) -> None:
    network = estimate.build(copy_as_float32(read_tensors(BUNDLED / "swift-estimate.safetensors"), "estimate"))
    photos = [images.read(path).pixels for path in sorted((assets / "images" / "Kodak24").glob("*.png"))[::3]]
    draw = np.random.default_rng(0)
    noisy = [(np.rint(photo * 255 + noise * draw.standard_normal(photo.shape)) / 255).clip(0, 1) for photo in photos]
    told = [judge(network, each.astype(np.float32)).noise for each in noisy]
    assert len(told) == 8 and np.mean(told) == pytest.approx(noise, rel=0.15)
