"""Networks that see further than tiles can overlap: any size, any tile gives what the whole picture gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting
from pipelines.images.picture import Pixels
from pipelines.networks import devices
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.canvas import Canvas
from pipelines.networks.devices import Device
from pipelines.networks.network import Network
from pipelines.runs import Step, finish
from pipelines.upscalers import forwards, running
from pipelines.upscalers.loading import load
from tests.conftest import smooth
from tests.pipelines.upscalers.test_network import FLOAT32, loaded, once, saved, use
from tests.support.networks import haesr, rcan, rrdb


def wide_rrdb(scale: int = 4) -> RRDBNet:
    """An RRDB network that sees further than tiles can overlap."""
    made = rrdb(scale, depth=5)
    for parameter in made.body.parameters():
        if parameter.ndim == 4:
            parameter.data.mul_(1.9)  # or little of what is far away would be seen
    assert made.radius > forwards.AFFORDABLE_OVERLAP
    return made


# By what is seen: far, of squares of four pixels each, and of the whole picture by its means.
NETWORKS: dict[str, Callable[[], Network]] = {
    "rrdb x2": lambda: wide_rrdb(2),
    "rrdb x4": wide_rrdb,
    "rcan x2": lambda: rcan(2),
    "rcan x4": lambda: rcan(4),
}


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    use(FLOAT32, monkeypatch)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    return saved(wide_rrdb(), tmp_path / "wide.pth")


def continued(pixels: Pixels, multiple: int) -> Pixels:
    """The picture with its last row and column again, until both sides are multiples."""
    height, width, _ = pixels.shape
    rows, columns = (np.minimum(np.arange(-(-side // multiple) * multiple), side - 1) for side in (height, width))
    return pixels[rows][:, columns]


@pytest.mark.parametrize("name", NETWORKS)
def test_any_size_in_any_tiles_is_the_whole(name: str, tmp_path: Path) -> None:
    """Odd sizes are padded where squares of pixels are folded. What fits into a tile is run as it is, without a seam.

    A strip of 4000 px is cut even without being asked to.
    """
    made = NETWORKS[name]()
    scale, multiple = made.scale, made.multiple
    upscaler = load("real-esrgan", scale, saved(made, tmp_path / "own.pth"))
    for height, width in [(1, 1), (17, 3), (61, 75), (1, 4000)]:
        pixels = smooth(height, width)
        expected = once(made, continued(pixels, multiple))[: height * scale, : width * scale]
        for tile in (None, 32):
            done = finish(upscaler.run(pixels, Settings(tile=tile)))
            cut = width == 4000 or (width == 75 and tile is not None)
            assert (done.seam, done.tiles > 1) == (0.0 if cut else None, cut)
            assert not [note for note in done.notes if "memory" in note or "differs" in note]
            np.testing.assert_allclose(done.pixels, expected, atol=1e-5)
            assert done.tiling is not None and (not cut or done.tiling.side == tile or tile is None)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_memory_for_its_features_a_picture_is_run_in_parts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of 160 px overlap by 64: each sees enough beyond what it writes for a difference that nobody sees."""
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 0)
    made, steps = NETWORKS[name](), list[Step]()
    pixels, scale = smooth(170, 21), made.scale
    upscaler = load("real-esrgan", scale, saved(made, tmp_path / "own.pth"))
    done = finish(upscaler.run(pixels, Settings()), steps.append)
    assert done.tiles == 2 and done.seam is not None and 0 < done.seam < 0.02
    assert any(note.startswith("memory ran short: the image was upscaled in 2 parts") for note in done.notes)
    expected = once(made, continued(pixels, made.multiple))[:, : 21 * scale]
    np.testing.assert_allclose(done.pixels, expected, atol=0.04)
    assert {step.total for step in steps} == {2} and len(steps) > 20


def test_what_goes_over_its_maps_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HAESR: whole in one tile, else in passes that give the same, and in parts only where its maps do not fit."""
    network, pixels = haesr(), smooth(61, 330)
    upscaler, expected = load("haesr", 4, saved(network, tmp_path / "own.pth")), once(network, pixels)
    for tile, tiles in [(400, 1), (64, 6), (45, 16), (None, 2)]:
        done = finish(upscaler.run(pixels, Settings(tile=tile)))
        assert (done.tiles, done.seam, done.notes) == (tiles, None if tiles == 1 else 0.0, ())
        np.testing.assert_allclose(done.pixels, expected, atol=1e-4)
    with pytest.raises(BadSetting, match="45 to"):  # its large kernels reach 15 places
        finish(upscaler.run(pixels, Settings(tile=44)))
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 0)
    done = finish(upscaler.run(pixels, Settings()))
    assert done.tiles > 1 and done.notes[0].startswith("memory ran short") and done.seam
    assert np.abs(done.pixels - expected).mean() < 0.05


def test_features_that_do_not_fit_after_all_are_cut(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that seemed to be there, and is gone once it is asked for."""
    upscaler = loaded("real-esrgan", 4, wide)
    way = upscaler.forwards()[0].by_blocks(exact=True)
    make = way._make_canvas

    def limited(pixels: Pixels) -> Canvas:
        if len(pixels) > 200:
            raise MemoryError
        return make(pixels)

    monkeypatch.setattr(way, "_make_canvas", limited)
    done = finish(upscaler.run(smooth(210, 10), Settings(tile=32)))
    assert done.tiles == 3 and done.notes[0].startswith("memory ran short: the image was upscaled in 3 parts")
    np.testing.assert_allclose(done.pixels, once(wide_rrdb(), smooth(210, 10)), atol=0.02)


def test_by_blocks_what_overflows_is_made_again_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Device("cpu", "float16"), monkeypatch)
    made, pixels = wide_rrdb(), smooth(16, 20)
    for parameter in made.conv_hr.parameters():
        parameter.data.mul_(1e6)
    made.conv_last.weight.data.div_(1e6)
    done = finish(load("real-esrgan", 4, saved(made, tmp_path / "own.pth")).run(pixels, Settings(tile=16)))
    assert done.notes == ("the image was too much for float16 and made again in float32",)
    np.testing.assert_allclose(done.pixels, once(made, pixels), atol=1e-4)


def test_what_has_no_blocks_is_feathered_and_the_seam_is_told(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less overlap than the product has: a tiny network sees too little to leave a seam there."""
    monkeypatch.setattr(RRDBNet, "in_blocks", None)
    monkeypatch.setattr(running, "FEATHERED_OVERLAP", 8)
    upscaler, pixels = load("real-esrgan", 4, wide), smooth(60, 70)
    whole, tiled = (finish(upscaler.run(pixels, Settings(tile=tile))) for tile in (80, 36))
    assert (whole.tiles, whole.seam) == (1, None)
    assert tiled.tiles == 9 and tiled.tiling is not None and tiled.tiling[:2] == (36, 8)
    assert tiled.seam is not None and 1e-4 < tiled.seam < 0.5
    assert np.abs(tiled.pixels - whole.pixels).mean() < 0.02
    np.testing.assert_allclose(tiled.pixels[:16, :16], whole.pixels[:16, :16], atol=0.05)
