"""The diffusion engine: what it does before and after denoising, and how it is loaded."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.errors import BadSetting
from pipelines.images import resample
from pipelines.images.picture import Picture
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.denoisers import no_memory, run_plain
from tests.support.diffusion_parts import loaded


def test_a_setting_out_of_range_is_refused_before_anything_is_run(x4: DiffusionUpscaler) -> None:
    with pytest.raises(BadSetting, match="Steps are a whole number"):
        next(enlarge(Picture(smooth(4, 4)), [x4], Settings(steps=0)))


def test_colours_are_brought_back(x4: DiffusionUpscaler) -> None:
    pixels = smooth(40, 40)
    plain = finish(resample.enlarge(pixels, 4, "bicubic"))
    errors = {}
    for how in ("none", "wavelet", "adain"):
        made = run_plain(x4, pixels, colour_fix=how).pixels
        errors[how] = np.abs(made.mean((0, 1)) - plain.mean((0, 1))).max()
    assert errors["wavelet"] < 0.3 * errors["none"] and errors["adain"] < 0.3 * errors["none"]


def test_pixels_that_may_not_be_written(x4: DiffusionUpscaler) -> None:
    pixels = smooth(8, 8)
    pixels.flags.writeable = False
    before = pixels.copy()
    run_plain(x4, pixels, colour_fix="adain")
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("method", ["to", "eval"])
def test_too_little_memory_to_load_is_a_memory_error(
    method: str, x4_folder: Path, x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(x4.parts(Device("cpu")).unet), method, no_memory)
    with pytest.raises(MemoryError):
        loaded(x4_folder)


def test_too_little_memory_to_try_the_parts_is_not_the_files_fault(
    x4_folder: Path, x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(x4.parts(Device("cpu")).unet), "forward", no_memory)
    with pytest.raises(MemoryError):
        loaded(x4_folder)
