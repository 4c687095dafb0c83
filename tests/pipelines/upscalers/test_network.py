"""The network engine: sizes, tiles, broken tiles, denoising, memory, cancelling, forked processes, real weights."""

import math
import multiprocessing
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import File
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge, enlarge_by
from pipelines.errors import BadSetting, BadWeights, OutOfMemory, WeightsUnavailable
from pipelines.images import door as images
from pipelines.images.picture import Picture, Pixels
from pipelines.images.resample import shrink_to
from pipelines.measuring.metrics.metric import crop_border
from pipelines.measuring.metrics.pixelwise import luma, psnr
from pipelines.measuring.protocol import as_scored, shrink_original
from pipelines.networks import devices
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.archs.srcnn import Srcnn
from pipelines.networks.archs.swift import Swift
from pipelines.networks.devices import Device
from pipelines.networks.forward import Batch, Forward
from pipelines.networks.network import Network
from pipelines.networks.tiling import plan_tiles
from pipelines.runs import Finished, Step, finish, send
from pipelines.upscalers import loading, sides
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.judging import JudgingUpscaler
from pipelines.upscalers.loading import load
from pipelines.upscalers.network import NetworkUpscaler
from pipelines.weights.fetch import YOUR_FILE, Found
from tests.conftest import smooth
from tests.support.networks import compact, fill, rrdb

# What runs by a file of its name in the user's folder; real-esrgan stands for the others of its network.
NAMED = [model for model in catalog.MODELS if model.engine == "network" and not model.key.startswith("edsr-")]
ROWS = [(model.key, scale) for model in NAMED for scale in model.scales]
GENERAL, TWIN, ANIME = "realesr-general-x4v3.pth", "realesr-general-wdn-x4v3.pth", "realesr-animevideov3.pth"
FLOAT32, LOW = Device("cpu"), Device("cpu", "bfloat16")


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the processor has, unless a test chooses otherwise."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")


@pytest.fixture
def chosen_anew() -> Iterator[None]:
    """The device is chosen in this test, for it alone."""
    devices._choose_once.cache_clear()
    yield
    devices._choose_once.cache_clear()


def use(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "choose_device", lambda light=False: device)


def loaded(key: str, scale: int, weights: Path | None = None) -> NetworkUpscaler:
    upscaler = load(key, scale, weights)
    upscaler = upscaler.usual if isinstance(upscaler, JudgingUpscaler) else upscaler
    assert isinstance(upscaler, NetworkUpscaler)
    return upscaler


def run(key: str, scale: int, pixels: Pixels, **settings: float) -> Upscaled:
    return finish(load(key, scale).run(pixels, Settings(**settings)))  # type: ignore[arg-type]


def saved(made: Network, path: Path) -> Path:
    torch.save(made.state_dict(), path)
    return path


def once(made: Network, pixels: Pixels) -> Pixels:
    """The whole picture by the network itself, without anything of the engine's."""
    with torch.inference_mode():
        enlarged = made(torch.from_numpy(pixels[None]).permute(0, 3, 1, 2))
    return enlarged[0].permute(1, 2, 0).clamp(0, 1).numpy()


# --- what it gives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "scale"), ROWS)
def test_any_size_gives_exactly_s_times_it(key: str, scale: int, own_networks: Path) -> None:
    upscaler = load(key, scale)
    for height, width in [(1, 1), (1, 7), (37, 53)]:
        first, second = (finish(upscaler.run(smooth(height, width), Settings())).pixels for _ in range(2))
        assert first.shape == (height * scale, width * scale, 3) and first.dtype == np.float32
        assert first.min() >= 0 and first.max() <= 1
        assert first.size < 50 or first.std() > 0.01
        np.testing.assert_array_equal(first, second)


def test_it_is_the_network(own_networks: Path) -> None:
    pixels = smooth(20, 30)
    np.testing.assert_allclose(run("real-esrgan", 4, pixels).pixels, once(rrdb(4), pixels), atol=1e-5)
    np.testing.assert_allclose(run("real-esrgan", 2, pixels).pixels, once(rrdb(2), pixels), atol=1e-5)
    np.testing.assert_allclose(run("real-esrgan-anime", 4, pixels).pixels, once(compact(4, seed=2), pixels), atol=1e-5)


def test_another_networks_file_is_told_for_what_it_is(tmp_path: Path) -> None:
    """By the key alone a result would be taken for that of a model that never ran."""
    own = loaded("swift", 4, saved(rrdb(4), tmp_path / "4x_own.pth"))
    details = finish(enlarge(Picture(smooth(8, 8)), [own])).details
    assert "4x_own.pth holds a network of another architecture than Swift: rrdb" in details.notes
    assert not [note for note in run("swift", 4, smooth(8, 8)).notes if "architecture" in note]


@pytest.mark.parametrize("key", sorted({key for key, _ in ROWS}))
def test_a_models_own_architecture_is_not_told(key: str, own_networks: Path) -> None:
    scale = min(catalog.find(key).scales)
    assert catalog.find(key).arch == loaded(key, scale).network.arch
    assert not [note for note in run(key, scale, smooth(8, 8)).notes if "architecture" in note]


@pytest.mark.parametrize("scale", [2, 3])
def test_a_smaller_scale_is_shrunk_and_said(scale: int, own_networks: Path) -> None:
    pixels = smooth(21, 30)
    done = run("real-esrgan-general", scale, pixels)
    expected = shrink_to(once(compact(4), pixels), 21 * scale, 30 * scale)
    np.testing.assert_allclose(done.pixels, expected, atol=1e-5)
    assert done.notes[0] == f"the network upscales by 4: shrunk to {scale} by antialiased bicubic"


def test_what_is_not_shrunk_is_not_said_to_be(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FLOAT32, monkeypatch)
    assert run("real-esrgan-general", 4, smooth(9, 9)).notes == ()


def test_pixels_that_may_not_be_written(own_networks: Path) -> None:
    pixels = smooth(9, 9)
    pixels.flags.writeable = False
    for key, scale in ROWS[::2]:
        assert run(key, scale, pixels).pixels.shape == (9 * scale, 9 * scale, 3)


def test_it_says_where_and_how_it_ran(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(replace(LOW, note="there is a better way"), monkeypatch)
    done = run("real-esrgan", 4, smooth(9, 9))
    assert (done.device, done.dtype, done.notes) == ("cpu", "bfloat16", ("there is a better way",))


def test_what_torch_ran_for_openvino_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a network whose trunk has an operation that OpenVINO's translation lacks."""
    pytest.importorskip("openvino")

    class Wavy(Swift):
        arch = "wavy"

        def trunk(self, features: torch.Tensor) -> torch.Tensor:
            return torch.sin(super().trunk(features))

    use(Device("cpu", "float32", "openvino"), monkeypatch)
    made, pixels = Wavy(2, width=8, depth=2), smooth(20, 30)
    fill(made)
    found = Found(File("own.pth", 0), Path("own.pth"), "0" * 64, YOUR_FILE, "unpinned")
    done = finish(NetworkUpscaler(catalog.find("swift"), 2, made, (found,), 0).run(pixels, Settings()))
    assert (done.device, done.notes) == (
        "cpu",
        (
            "own.pth holds a network of another architecture than Swift: wavy",
            "OpenVINO does not know sin: torch ran that part",
        ),
    )
    np.testing.assert_allclose(done.pixels, once(made, pixels), atol=1e-5)


def test_who_asks_for_a_gpu() -> None:
    light = {"swift", "cleaner", "espcn", "fsrcnn", "fsrcnn-small"}
    assert {key for key, _ in ROWS if not catalog.find(key).gpu} == light


# --- tiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_compact_tiles_equal_the_whole(scale: int, own_networks: Path) -> None:
    pixels = smooth(70, 93)
    whole, tiled = (run("real-esrgan-general", scale, pixels, tile=tile) for tile in (100, 20))
    assert (whole.tiles, tiled.tiles > 20, tiled.seam) == (1, True, None)
    np.testing.assert_allclose(tiled.pixels, whole.pixels, atol=1e-5)


@pytest.mark.parametrize("size", [(131, 160), (120, 141)])
@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_of_a_narrow_rrdb_equal_the_whole(scale: int, size: tuple[int, int], tmp_path: Path) -> None:
    """At x2 squares of two by two pixels are folded, so tiles have to begin at even ones, in odd pictures too."""
    made = rrdb(scale, depth=1)
    upscaler = load("real-esrgan", scale, saved(made, tmp_path / "own.pth"))
    whole, tiled = (finish(upscaler.run(smooth(*size), Settings(tile=tile))) for tile in (200, 3 * made.radius + 5))
    assert (whole.tiles, tiled.tiles > 1, tiled.seam) == (1, True, None)
    np.testing.assert_allclose(tiled.pixels, whole.pixels, atol=1e-5)


@pytest.mark.parametrize(("tile", "said"), [(15, "16 to 4096"), (5000, "16 to 4096")])
def test_a_tile_out_of_range_is_refused(tile: int, said: str, own_networks: Path) -> None:
    with pytest.raises(BadSetting, match=f"has {said} pixels a side, not {tile}"):
        run("real-esrgan-anime", 4, smooth(8, 8), tile=tile)


def test_a_long_strip_takes_little_memory(own_networks: Path) -> None:
    """Memory that NumPy holds: the result, and tiles that do not grow with it."""
    upscaler, pixels = load("real-esrgan-anime", 4), np.tile(smooth(20, 100), (1, 200, 1))
    tracemalloc.start()
    try:
        done = finish(upscaler.run(pixels, Settings()))
        beyond = tracemalloc.get_traced_memory()[1] - done.pixels.nbytes
    finally:
        tracemalloc.stop()
    assert done.pixels.shape == (80, 80_000, 3) and done.tiles > 25
    assert beyond < 8_000_000
    expected = once(compact(4, seed=2), pixels[:, 9_900:10_100])
    np.testing.assert_allclose(done.pixels[:, 39_680:40_320], expected[:, 80:-80], atol=1e-5)


def test_one_step_a_tile(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FLOAT32, monkeypatch)
    steps: list[Step] = []
    done = finish(load("real-esrgan-general", 4).run(smooth(40, 60), Settings(tile=24)), steps.append)
    assert steps == [Step(n, done.tiles, "tiles") for n in range(1, done.tiles + 1)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that networks are called with."""
    shapes: list[tuple[int, ...]] = []
    call = Forward.__call__

    def counted(self: Forward, batch: Batch) -> Batch:
        shapes.append(batch.shape)
        return call(self, batch)

    monkeypatch.setattr(Forward, "__call__", counted)
    return shapes


def test_closing_stops_within_a_tile(own_networks: Path, calls: list[tuple[int, ...]]) -> None:
    going = load("real-esrgan-general", 4).run(smooth(60, 60), Settings(tile=24))
    next(going)
    going.close()
    assert len(calls) == 1


def test_a_batch_is_what_the_device_takes_at_once(
    own_networks: Path, calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Device("cpu", batch=4), monkeypatch)
    together = run("real-esrgan-general", 4, smooth(40, 56), tile=24)
    assert together.tiles == 6 and [shape[0] for shape in calls] == [4, 2]
    use(FLOAT32, monkeypatch)
    alone = run("real-esrgan-general", 4, smooth(40, 56), tile=24)
    np.testing.assert_allclose(together.pixels, alone.pixels, atol=1e-6)


# --- memory -------------------------------------------------------------------------------------------------------


def side_with(free: int, made: Network, overlap: int, monkeypatch: pytest.MonkeyPatch, feather: bool = False) -> int:
    monkeypatch.setattr(devices, "free_device_memory", lambda device: free)
    return sides.choose_side(made, FLOAT32, overlap, feather)


def test_less_memory_makes_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        made = network_in_use = rrdb_in_use(4)
    sides = [side_with(free, made, 16, monkeypatch, feather=True) for free in (1 << 40, 1 << 30, 1 << 28, 1 << 20, 0)]
    assert sides == sorted(sides, reverse=True) and sides[0] == 288 and sides[-1] == 64
    for side, free in zip(sides[1:3], (1 << 30, 1 << 28), strict=True):
        assert 4 * network_in_use.floats_per_pixel * side**2 <= free // 2


def test_a_tile_takes_little_memory_where_it_overlaps_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is cleared before it is given: SRCNN x4 takes 0.58 of its time at 256 px so. Not on a GPU."""
    srcnn, deep = Srcnn(4), compact(4)
    assert side_with(1 << 40, srcnn, srcnn.radius, monkeypatch) == 192
    assert 4 * srcnn.floats_per_pixel * 192**2 < sides.QUICK_BYTES < 4 * srcnn.floats_per_pixel * 208**2
    assert side_with(1 << 40, deep, deep.radius, monkeypatch) == sides.CUT_SIDE
    wide = side_with(1 << 40, srcnn, 6, monkeypatch)
    assert 192 < wide < 304 and (wide / (wide - 2 * 6)) ** 2 == pytest.approx(1.1, rel=0.01), "overlapping by more"
    on_gpu = sides.choose_side(srcnn, Device("cuda", "float16"), srcnn.radius, feather=False)
    assert on_gpu == sides.CUT_SIDE


def test_the_result_is_subtracted_from_what_tiles_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 bytes of a pixel for three channels of float32, 4 for its encoding."""
    made, result = compact(4), 12_800_000
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 300_000_000)
    side = sides.choose_side(made, FLOAT32, 16, False, result)
    assert side == side_with(300_000_000 - 16 * result, made, 16, monkeypatch)
    assert side < side_with(300_000_000, made, 16, monkeypatch)


@pytest.mark.parametrize("overlap", [3, 16, 36, 64])
def test_a_tile_always_has_something_to_write(overlap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    side = side_with(0, compact(4), overlap, monkeypatch)
    assert side >= 2 * overlap + 32 and len(plan_tiles(1000, 1000, side, overlap)) <= (1000 // 32 + 1) ** 2


def test_a_little_more_or_less_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feathered, the result depends on the tiles: it should be the same tomorrow."""
    with torch.device("meta"):
        made = rrdb_in_use(4)
    sides = {side_with(500_000_000 + n * 1_000_000, made, 16, monkeypatch, feather=True) for n in range(-10, 11)}
    assert len(sides) == 1


@pytest.mark.parametrize("overlap", [18, 34, 64])
def test_tiles_with_a_wide_overlap_are_larger(overlap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed is at most 1.6 times what is written."""
    side = side_with(1 << 40, compact(4), overlap, monkeypatch)
    assert (side / (side - 2 * overlap)) ** 2 < 1.6


def rrdb_in_use(scale: int) -> Network:

    return RRDBNet(*{2: (2, 2), 4: (2, 1), 8: (3, 1)}[scale])


def test_with_next_to_no_memory_it_goes_on(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = smooth(90, 70)
    usual = run("real-esrgan-general", 4, pixels)
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 0)
    short = run("real-esrgan-general", 4, pixels)
    assert (usual.tiles, short.tiles) == (1, 6)
    np.testing.assert_allclose(short.pixels, usual.pixels, atol=1e-5)


class Short:
    """A network for which more than so many low-resolution pixels are too much."""

    def __init__(self, inner: Callable[[Batch], Batch], most: int) -> None:
        self.inner, self.most = inner, most

    def __call__(self, batch: Batch) -> Batch:
        if batch[..., 0].size > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return self.inner(batch)


def test_out_of_memory_halves_the_tile_and_is_told(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FLOAT32, monkeypatch)
    upscaler, pixels = loaded("real-esrgan-general", 4), smooth(150, 100)
    whole = finish(upscaler.run(pixels, Settings()))
    forward = upscaler.forwards()[0].usual
    monkeypatch.setattr(forward, "_in_parts", Short(forward._in_parts, 80 * 80))
    short = finish(upscaler.run(pixels, Settings()))
    assert whole.notes == () and short.notes == ("memory ran short: tiles were cut to 56 px",)
    np.testing.assert_allclose(short.pixels, whole.pixels, atol=1e-5)
    monkeypatch.setattr(forward, "_in_parts", Short(forward._in_parts, 0))
    with pytest.raises(OutOfMemory, match="Not enough memory even for a tile"):
        finish(upscaler.run(pixels, Settings()))


def test_models_used_lately_stay_loaded(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("real-esrgan", 2)
    run("real-esrgan", 2, smooth(9, 9))
    assert load("real-esrgan", 2) is first
    monkeypatch.setattr(loading, "kept_bytes", lambda: first.nbytes + 1)
    load("real-esrgan", 4)
    assert load("real-esrgan", 2) is not first


def test_a_mix_counts_as_memory_held(own_networks: Path) -> None:
    upscaler = load("real-esrgan-general", 4)
    before = upscaler.nbytes
    finish(upscaler.run(smooth(5, 5), Settings(denoise=0.5)))
    assert upscaler.nbytes == 2 * before


def test_what_it_weighs_is_known_after_the_file_is_gone(tmp_path: Path) -> None:
    own = saved(compact(4), tmp_path / "own.pth")
    size = own.stat().st_size
    upscaler = load("real-esrgan-anime", 4, own)
    own.unlink()
    assert upscaler.weights_bytes == size


# --- precision ----------------------------------------------------------------------------------------------------


def test_exact_is_float32_even_for_a_model_that_is_loaded(
    own_networks: Path, chosen_anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting is read on each call."""
    monkeypatch.setenv("UPSCALE_PRECISION", "auto")
    monkeypatch.setattr(devices, "_has_bf16", lambda: True)
    upscaler, pixels = load("real-esrgan", 4), smooth(12, 12)
    usual = finish(upscaler.run(pixels, Settings()))
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    assert load("real-esrgan", 4) is upscaler
    exact = finish(upscaler.run(pixels, Settings()))
    assert (usual.dtype, exact.dtype) == ("bfloat16", "float32")
    np.testing.assert_allclose(exact.pixels, once(rrdb(4), pixels), atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_16_bits_are_computed_in_float32(
    engine: Literal["torch", "openvino"], own_networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has 8 bits of precision: half of what such a picture, or its opacity, has would be lost on the way."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    use(Device("cpu", "bfloat16", engine), monkeypatch)
    pixels, alpha = smooth(12, 12), smooth(12, 12)[..., 0]
    stages = [load("real-esrgan-anime", 4), load("real-esrgan-anime", 2)]
    fine, coarse = (finish(enlarge(Picture(pixels, alpha, depth=bits), stages)) for bits in (16, 8))
    assert (fine.details.dtype, coarse.details.dtype) == ("float32", "bfloat16")
    assert '"dtype": "float32"' in (fine.picture.about or "")
    first = once(compact(4, seed=2), pixels)
    np.testing.assert_allclose(fine.stages[0].pixels, first, atol=1e-5)
    second = shrink_to(once(compact(4, seed=2), first), 96, 96)
    np.testing.assert_allclose(fine.picture.pixels, second, atol=1e-4)
    assert np.abs(coarse.stages[0].pixels - first).max() > 1e-4, (
        "the network is one that bfloat16 makes a difference to"
    )
    made = [each.picture.alpha for each in (fine, coarse)]
    assert made[0] is not None and made[1] is not None and np.abs(made[0] - made[1]).max() > 1e-4


class Failing:
    """A network in low precision that gives `value` for the tiles in which it finds the brightest pixel."""

    def __init__(self, inner: Callable[[Batch], Batch], value: float) -> None:
        self.inner, self.value = inner, np.float32(value)

    def __call__(self, batch: Batch) -> Batch:
        made = self.inner(batch)
        bright = batch.max((1, 2, 3)) > 0.99
        made[bright] = self.value
        return made


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0, -1])
def test_a_broken_tile_is_made_again_in_float32(
    value: float, own_networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = smooth(40, 40) * np.float32(0.5)
    pixels[2, 2] = 1
    use(LOW, monkeypatch)
    upscaler = loaded("real-esrgan-general", 4)
    untroubled = finish(upscaler.run(pixels, Settings(tile=24)))
    forward = upscaler.forwards()[0].usual
    monkeypatch.setattr(forward, "_in_parts", Failing(forward._in_parts, value))
    done = finish(upscaler.run(pixels, Settings(tile=24)))
    assert done.notes == ("1 tile was too much for bfloat16 and made again in float32",)
    np.testing.assert_allclose(done.pixels, once(compact(4), pixels), atol=0.05)
    np.testing.assert_allclose(done.pixels[:16, :16], once(compact(4), pixels)[:16, :16], atol=1e-5)
    np.testing.assert_array_equal(done.pixels[100:, 100:], untroubled.pixels[100:, 100:])


def test_of_several_tiles_at_once_only_the_broken_ones(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = smooth(20, 60) * np.float32(0.5)
    pixels[2, 2] = pixels[2, 57] = 1
    use(Device("cpu", "bfloat16", batch=4), monkeypatch)
    upscaler = loaded("real-esrgan-general", 4)
    forward = upscaler.forwards()[0].usual
    monkeypatch.setattr(forward, "_in_parts", Failing(forward._in_parts, np.nan))
    done = finish(upscaler.run(pixels, Settings(tile=24)))
    assert done.tiles == 4 and done.notes == ("2 tiles were too much for bfloat16 and made again in float32",)
    assert np.isfinite(done.pixels).all()


def overflowing(factor: float) -> Network:
    """A network whose inner numbers are larger than float16 can tell, by a factor that its end takes out again."""
    made = rrdb(4)
    for parameter in made.conv_hr.parameters():
        parameter.data.mul_(factor)
    made.conv_last.weight.data.div_(factor)
    return made


def test_what_overflows_in_half_precision_comes_out_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Device("cpu", "float16"), monkeypatch)
    made, pixels = overflowing(1e6), smooth(16, 20)
    done = finish(load("real-esrgan", 4, saved(made, tmp_path / "own.pth")).run(pixels, Settings()))
    assert done.notes == ("1 tile was too much for float16 and made again in float32",)
    np.testing.assert_allclose(done.pixels, once(made, pixels), atol=1e-4)


@pytest.mark.parametrize("device", [FLOAT32, LOW], ids=lambda device: device.dtype)
def test_what_overflows_in_any_precision_is_said(
    device: Device, tmp_path: Path, calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """float32 is not tried again: it would give the same."""
    use(device, monkeypatch)
    made = rrdb(4)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        made.get_submodule(name).weight.data.mul_(1e12)
    with pytest.raises(BadWeights, match=r"^The network of Real-ESRGAN gives no finite numbers for this image\.$"):
        finish(load("real-esrgan", 4, saved(made, tmp_path / "own.pth")).run(smooth(9, 9), Settings()))
    assert len(calls) == (1 if device == FLOAT32 else 2)


@pytest.mark.parametrize("device", [FLOAT32, LOW], ids=lambda device: device.dtype)
def test_a_black_picture_may_be_black(
    device: Device, tmp_path: Path, calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(device, monkeypatch)
    made = compact(4)
    made.body[-1].weight.data.zero_()
    upscaler = load("real-esrgan-general", 4, saved(made, tmp_path / "own.pth"))
    done = finish(upscaler.run(np.zeros((9, 9, 3), np.float32), Settings()))
    assert (done.pixels == 0).all() and done.notes == () and len(calls) == 1


# --- denoising ----------------------------------------------------------------------------------------------------


def mean(share: float) -> Network:
    one, other = compact(4, seed=0), compact(4, seed=1)
    for parameter, noisy in zip(one.parameters(), other.parameters(), strict=True):
        parameter.data = share * parameter.data + (1 - share) * noisy.data
    return one


@pytest.mark.parametrize("share", [0, 0.0, 0.3, 0.99, 1, 1.0])
def test_denoise_is_the_mean_of_the_parameters(share: float, own_networks: Path) -> None:
    pixels = smooth(15, 15)
    done = run("real-esrgan-general", 4, pixels, denoise=share)
    np.testing.assert_allclose(done.pixels, once(mean(share), pixels), atol=1e-5)
    said = [note for note in done.notes if "mixed with" in note]
    assert (said == []) == (share == 1)
    assert share == 1 or said[0] == f"denoise {share:g}: mixed with {TWIN}"
    assert len(done.more_sha256) == (share != 1)


def test_none_of_it_is_the_twin_alone(own_networks: Path) -> None:
    pixels = smooth(15, 15)
    twin = finish(load("real-esrgan-general", 4, own_networks / TWIN).run(pixels, Settings()))
    np.testing.assert_allclose(run("real-esrgan-general", 4, pixels, denoise=0).pixels, twin.pixels, atol=1e-6)


def test_all_of_it_needs_no_twin(own_networks: Path) -> None:
    (own_networks / TWIN).unlink()
    first, second = (run("real-esrgan-general", 4, smooth(9, 9), **each) for each in ({}, {"denoise": 1}))
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_denoise_may_change_from_run_to_run(own_networks: Path) -> None:
    """And does not disturb the run without it."""
    pixels, shares = smooth(9, 9), (0.5, 0.25, 1, 0.5)
    results = [run("real-esrgan-general", 4, pixels, denoise=share).pixels for share in shares]
    np.testing.assert_array_equal(results[0], results[3])
    assert not any(np.array_equal(results[0], other) for other in results[1:3])
    np.testing.assert_array_equal(results[2], run("real-esrgan-general", 4, pixels).pixels)


def test_another_twin_is_another_mix(own_networks: Path) -> None:
    before = run("real-esrgan-general", 4, smooth(9, 9), denoise=0.5)
    saved(compact(4, seed=5), own_networks / TWIN)
    after = run("real-esrgan-general", 4, smooth(9, 9), denoise=0.5)
    assert before.more_sha256 != after.more_sha256 and not np.array_equal(before.pixels, after.pixels)


@pytest.mark.parametrize("share", [-0.1, 1.01, math.nan, math.inf, -math.inf])
def test_denoise_out_of_range_is_refused(share: float, own_networks: Path) -> None:
    with pytest.raises(BadSetting, match=r"^Denoise is a number from 0 \(keeps noise\) to 1, not \S+\.$"):
        finish(enlarge(Picture(smooth(9, 9)), [load("real-esrgan-general", 4)], Settings(denoise=share)))


def test_a_model_without_a_twin_takes_no_denoise(own_networks: Path) -> None:
    with pytest.raises(BadSetting, match=r"cannot use the setting denoise\."):
        finish(enlarge(Picture(smooth(9, 9)), [load("real-esrgan-anime", 4)], Settings(denoise=0.5)))


def test_a_twin_that_is_not_here_is_asked_for(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The general file came with the program, as it were: then the twin is looked for in all places."""
    upscaler = loaded("real-esrgan-general", 4)
    monkeypatch.delenv("UPSCALE_WEIGHTS_DIR")
    bundled = replace(upscaler, files=(replace(upscaler.files[0], origin="bundled"),))
    with pytest.raises(
        WeightsUnavailable,
        match=rf"^Denoise below 1 needs {TWIN} \(4\.9 MB\), which is not here: "
        r"`python -m pipelines weights pull real-esrgan-general` downloads it\.$",
    ):
        finish(bundled.run(smooth(9, 9), Settings(denoise=0.5)))


def test_a_folder_without_the_twin_is_told_so(own_networks: Path) -> None:
    (own_networks / TWIN).unlink()
    with pytest.raises(WeightsUnavailable, match=f"has no {TWIN}"):
        run("real-esrgan-general", 4, smooth(9, 9), denoise=0.5)


def test_a_file_alone_cannot_be_mixed(own_networks: Path) -> None:
    with pytest.raises(
        BadSetting, match=r"^Denoise mixes two files: give a folder that has both as your own weights\.$"
    ):
        finish(load("real-esrgan-general", 4, own_networks / GENERAL).run(smooth(9, 9), Settings(denoise=0.5)))


def test_a_folder_can_be_mixed(own_networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPSCALE_WEIGHTS_DIR")
    pixels = smooth(9, 9)
    done = finish(load("real-esrgan-general", 4, own_networks).run(pixels, Settings(denoise=0.5)))
    np.testing.assert_allclose(done.pixels, once(mean(0.5), pixels), atol=1e-5)


@pytest.mark.parametrize("twin", [compact(4, depth=3), compact(2), rrdb(4)], ids=["deeper", "x2", "rrdb"])
def test_a_twin_of_another_network_is_refused(twin: Network, own_networks: Path) -> None:
    saved(twin, own_networks / TWIN)
    with pytest.raises(BadWeights, match=f"^{TWIN} belongs to another network than the one it is to be mixed with"):
        run("real-esrgan-general", 4, smooth(9, 9), denoise=0.5)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [compact(4), compact(2), rrdb(4), rrdb(2)], ids=["c4", "c2", "r4", "r2"])
def test_any_network_of_that_scale_may_be_the_users_own(made: Network, tmp_path: Path) -> None:
    save_file(made.state_dict(), tmp_path / "own.safetensors")
    upscaler, pixels = load("real-esrgan", made.scale, tmp_path / "own.safetensors"), smooth(14, 20)
    np.testing.assert_allclose(finish(upscaler.run(pixels, Settings())).pixels, once(made, pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("key", "scale", "made"),
    [
        ("real-esrgan", 2, compact(4)),
        ("real-esrgan", 4, compact(2)),
        ("real-esrgan-general", 3, compact(2)),
        ("real-esrgan-general", 4, compact(1)),
    ],
    ids=str,
)
def test_weights_for_another_scale_are_refused(key: str, scale: int, made: Network, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=rf"^own\.pth upscales by {made.scale}, not by {scale}(: choose x2)?\.$"):
        load(key, scale, saved(made, tmp_path / "own.pth"))


# --- pictures -----------------------------------------------------------------------------------------------------


def test_a_picture_that_is_all_transparent(own_networks: Path) -> None:
    picture = Picture(smooth(12, 14), alpha=np.zeros((12, 14), np.float32))
    done = finish(enlarge(picture, [load("real-esrgan", 4)])).picture
    assert done.alpha is not None and done.alpha.shape == (48, 56) and (done.alpha == 0).all()


def test_alpha_of_a_made_picture_goes_through_the_network(own_networks: Path) -> None:
    picture = Picture(smooth(30, 33), alpha=smooth(30, 33)[..., 0], depth=16)
    done = finish(enlarge(picture, [load("real-esrgan-general", 3)])).picture
    assert done.alpha is not None and done.alpha.shape == (90, 99) and done.depth == 16


@pytest.fixture
def real(assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The assets, with the real compact networks as the user's folder."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(assets / "weights" / "real-esrgan"))
    return assets


@pytest.mark.parametrize("name", ["children-alpha.png", "tree_alpha_16bit.png", "wolf_gray.jpg"])
def test_real_pictures_come_back_in_kind(name: str, real: Path, tmp_path: Path) -> None:
    """The middle of each, 96 pixels a side."""
    before = middle(images.read(real / "images" / "alpha_and_grey" / name), 96)
    images.write(finish(enlarge(before, [load("real-esrgan-anime", 4)])).picture, tmp_path / "out.png")
    after = images.read(tmp_path / "out.png")
    assert (after.grey, after.depth, after.alpha is None) == (before.grey, before.depth, before.alpha is None)
    assert after.pixels.shape == (384, 384, 3)
    assert before.depth == 8 or len(np.unique(after.pixels)) > 256
    low = shrink_to(after.pixels, 96, 96)
    opaque = slice(None) if before.alpha is None else before.alpha > 0.99
    assert np.abs(low - before.pixels)[opaque].mean() < 0.06
    if before.alpha is not None and after.alpha is not None:
        assert before.alpha.std() > 0
        assert np.abs(shrink_to(after.alpha[..., None], 96, 96)[..., 0] - before.alpha).mean() < 0.05


def middle(picture: Picture, side: int) -> Picture:
    height, width, _ = picture.pixels.shape
    cut = tuple(slice((length - side) // 2, (length + side) // 2) for length in (height, width))
    alpha = None if picture.alpha is None else picture.alpha[cut]
    return replace(picture, pixels=picture.pixels[cut], alpha=alpha)


# --- the numbers of Set5 ------------------------------------------------------------------------------------------


SET5 = ("baby", "bird", "butterfly", "head", "woman")
SMALLER = ("bird", "butterfly")  # what bfloat16 is tried with: many a processor only plays it, slowly


def psnr_y(assets: Path, key: str, settings: Settings, dtype: str, names: Sequence[str] = SET5) -> dict[str, float]:
    """PSNR of luma at x4, from MATLAB's low-resolution files, by picture."""
    folder, upscaler, scores = assets / "images" / "Set5", load(key, 4), {}
    for name in names:
        reference = finish(shrink_original(images.read(folder / "HR" / f"{name}.png"), 4, "bicubic")).reference
        low = images.read(folder / "LR_bicubic" / "X4" / f"{name}x4.png")
        done = finish(enlarge(low, [upscaler], settings))
        lumas = (luma(crop_border(each, 4)) for each in (reference, as_scored(done.picture)))
        value = psnr(*lumas)
        assert value is not None and done.details.dtype == dtype
        scores[name] = value
    return scores


@pytest.mark.parametrize(("key", "figure"), [("span", 31.74), ("disp", 31.94), ("haesr", 32.46)])
def test_set5_of_small_networks(key: str, figure: float, assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As their teams' own networks score, with the published files; in float32 wherever a CPU runs them."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(assets / "weights" / "ntire2026"))
    exact = psnr_y(assets, key, Settings(), "float32")
    assert np.mean(list(exact.values())) == pytest.approx(figure, abs=0.006)
    use(LOW, monkeypatch)
    assert psnr_y(assets, key, Settings(), "float32", SMALLER[:1])["bird"] == pytest.approx(exact["bird"], abs=1e-3)


@pytest.mark.parametrize(
    ("key", "denoise", "figure"),
    [("real-esrgan-general", None, 26.64), ("real-esrgan-general", 0.0, 26.70), ("real-esrgan-anime", None, 28.25)],
)
def test_set5(key: str, denoise: float | None, figure: float, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As measured with the authors' own network in float32. bfloat16 between the two ends costs next to nothing."""
    settings = Settings(denoise=denoise)
    exact = psnr_y(real, key, settings, "float32")
    assert np.mean(list(exact.values())) == pytest.approx(figure, abs=0.03)
    use(LOW, monkeypatch)
    for name, low in psnr_y(real, key, settings, "bfloat16", SMALLER).items():
        assert low > exact[name] - 0.02


def test_real_esrgan_by_blocks_is_the_whole(assets: Path) -> None:
    """23 residual blocks as they were trained, which see 349 px far: in any tiles what the whole picture gives."""
    own = assets / "weights" / "real-esrgan-x4plus" / "RealESRGAN_x4plus.safetensors"
    upscaler = loaded("real-esrgan-x4plus", 4, own)
    photo = middle(images.read(assets / "images" / "Kodak24" / "15.png"), 40).pixels
    done = finish(upscaler.run(photo, Settings(tile=32)))
    assert (done.tiles, done.seam, done.dtype) == (4, 0.0, "float32")
    np.testing.assert_allclose(done.pixels, once(upscaler.network, photo), atol=1e-4)


# --- a forked process, as on ZeroGPU ------------------------------------------------------------------------------


def answer(pipe: Connection, picture: Picture, stages: list[Stage]) -> None:
    for message in send(enlarge_by(picture, stages)):
        pipe.send(message)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("loaded_before", [False, True])
@pytest.mark.parametrize("openvino", [False, True])
def test_a_forked_process_runs_it(
    openvino: bool, loaded_before: bool, own_networks: Path, chosen_anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent computed with several threads, which a fork does not have: it would wait for them for ever."""
    if not openvino:
        monkeypatch.setattr(devices, "find_spec", lambda name: None)
    torch.nn.functional.conv2d(torch.rand(1, 16, 128, 128), torch.rand(16, 16, 3, 3))
    picture, stages = Picture(smooth(40, 50)), [Stage("real-esrgan", 4), Stage("real-esrgan-general", 2)]
    if loaded_before:
        finish(enlarge_by(picture, stages))
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs, picture, stages))
    process.start()
    theirs.close()
    try:
        messages = []
        while not messages or isinstance(messages[-1], Step):
            assert ours.poll(20), "the forked process waits for ever"
            messages.append(ours.recv())
        process.join(20)
    finally:
        process.kill()
        process.join()
        ours.close()
    (done,) = [message.result for message in messages if isinstance(message, Finished)]
    here = finish(enlarge_by(picture, stages))
    np.testing.assert_allclose(done.picture.pixels, here.picture.pixels, atol=1e-5)
    assert done.details.weights_sha256 == here.details.weights_sha256
