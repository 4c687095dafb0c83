"""A network run block by block gives what it gives for the whole picture, whatever the tiles, the engine, the size."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from pipelines.images.picture import Pixels
from pipelines.networks.archs.srvgg import SRVGGNetCompact
from pipelines.networks.blocks import ByBlocks, Sweep, blocks_of, count_maps
from pipelines.networks.devices import Device
from pipelines.networks.forward import Batch
from pipelines.networks.network import Network
from pipelines.runs import Preview, Step, finish
from pipelines.upscalers.sides import reach_of
from tests.support.networks import compact, edsr, fill, haesr, noise, rcan, rrdb, srgan

KEPT_SIZES = 2  # that a kind of block stays compiled for
FLOAT32, LOW = Device("cpu"), Device("cpu", "bfloat16")
COMPILED = (Device("cpu", "float32", "openvino"), Device("cpu", "bfloat16", "openvino"))


def deep_compact() -> Network:
    """Three groups of convolutions, of which the last is smaller."""
    made = SRVGGNetCompact(2, width=8, depth=18)
    fill(made)
    made.body[-1].weight.data.mul_(0.2)
    return made


NETWORKS: dict[str, Callable[[], Network]] = {
    **{f"rrdb x{scale}": lambda scale=scale: rrdb(scale) for scale in (1, 2, 4, 8)},
    "compact": deep_compact,
    **{f"edsr x{scale}": lambda scale=scale: edsr(scale) for scale in (3, 4)},
    "srgan x4": lambda: srgan(4),
    **{f"rcan x{scale}": lambda scale=scale: rcan(scale) for scale in (2, 3)},
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


def unchecked(batch: Batch, made: Batch) -> None:
    assert made.shape[1] % batch.shape[1] == 0


def run(by_blocks: ByBlocks, pixels: Pixels, side: int = 4096) -> Pixels:
    return finish(by_blocks.run(pixels, Sweep(side), unchecked))


def picture(height: int, width: int) -> Pixels:
    return np.ascontiguousarray(noise(height, width)[0].permute(1, 2, 0).numpy())


def once(made: Network, pixels: Pixels) -> Pixels:
    with torch.inference_mode():
        return made(torch.from_numpy(pixels)[None].permute(0, 3, 1, 2))[0].permute(1, 2, 0).numpy()


def assert_near(made: Pixels, expected: Pixels) -> None:
    assert made.shape == expected.shape and made.dtype == np.float32
    assert np.abs(made - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("device", [FLOAT32, COMPILED[0]], ids=lambda device: device.engine)
def test_tiles_of_blocks_equal_the_network(device: Device, network: Network) -> None:
    if device.engine == "openvino":
        pytest.importorskip("openvino")
    by_blocks, multiple = ByBlocks(network, device), network.multiple
    assert (by_blocks.device, by_blocks.notes) == (device, ())
    least = 2 * reach_of(network) + 3
    for height, width in [(1, 1), (1, 3 * least), (17, 3), (least + 5, least + 2)]:
        pixels = picture(height * multiple, width * multiple)
        assert_near(run(by_blocks, pixels, least), once(network, pixels))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (1, 200), (17, 3), (61, 75)])
def test_passes_over_whole_maps_equal_the_network(height: int, width: int) -> None:
    """Windows, grids and gates lie where they do in the whole picture; sides that are no windows are continued."""
    network, pixels = haesr(), picture(height, width)
    by_passes, expected, steps = ByBlocks(network, FLOAT32), once(network, pixels), list[Step]()
    sweep = Sweep(40)
    made = finish(by_passes.run(pixels, sweep, unchecked), steps.append)
    assert np.abs(made - expected).max() <= 2e-5 * np.abs(expected).max() and made.shape == expected.shape
    assert (steps[-1].done, steps[-1].total) == (77, 77) and (sweep.tiles > 200) == (max(height, width) > 40)
    assert_near(run(by_passes, pixels), made)
    for side in (8, 16, 20):  # less than some of its jobs read
        assert_near(run(by_passes, pixels[:24, :24], side), once(network, pixels[:24, :24].copy()))


@pytest.mark.parametrize("device", [LOW, COMPILED[1]], ids=lambda device: device.engine)
def test_low_precision_is_the_same_in_any_tiles(device: Device, network: Network) -> None:
    """But for what rounding does to eight channels, whose sums are formed in another order in tiles of another size."""
    if device.engine == "openvino":
        pytest.importorskip("openvino")
    by_blocks = ByBlocks(network, device)
    pixels = picture(40 * network.multiple, 33 * network.multiple)
    whole, tiled = run(by_blocks, pixels), run(by_blocks, pixels, 2 * reach_of(network) + 3)
    assert np.abs(tiled - whole).max() <= 0.02 * np.abs(whole).max()
    assert np.abs(whole - once(network, pixels)).max() < 0.15 * np.abs(whole).max()


def test_blocks_that_are_alike_share_a_model() -> None:
    """Else the 69 of Real-ESRGAN would take seconds to compile. Each still has its own numbers."""
    pytest.importorskip("openvino")
    by_blocks = ByBlocks(rrdb(4, depth=4), COMPILED[0])
    models = [each._model for each in by_blocks._compiled]
    assert len(models) == 13 and len(set(map(id, models))) == 3


def test_several_sizes_at_once_of_which_the_last_stay_compiled() -> None:
    """A server's threads run what they like, in whatever sizes."""
    pytest.importorskip("openvino")
    by_blocks = ByBlocks(rrdb(4), COMPILED[0])
    pictures = [picture(9 + number, 20 - number) for number in range(4)]
    alone = [run(by_blocks, each) for each in pictures]
    by_blocks.release()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: run(by_blocks, each), pictures * 2))
    for number, made in enumerate(together):
        np.testing.assert_array_equal(made, alone[number % 4])
    assert {len(each._model._sized._compiled) for each in by_blocks._compiled} == {KEPT_SIZES}


def test_how_many_maps_are_kept() -> None:
    """Of RRDB the head's, what the residual block was given, and what the dense block reads and writes."""
    assert count_maps(blocks_of(rrdb(4))) == 4
    assert count_maps(blocks_of(edsr(4))) == 2
    assert count_maps(blocks_of(compact(4))) == 1
    assert count_maps(blocks_of(rcan(2))) == 5
    assert count_maps(blocks_of(haesr())) == 10


def test_means_are_of_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all tiles, and of all rows; a tile's own would make another picture."""
    monkeypatch.setattr("pipelines.networks.canvas.ROWS_AT_ONCE", 7)
    network, pixels = rcan(2), picture(50, 33)
    pixels[:25] *= 0.1
    made = run(ByBlocks(network, FLOAT32), pixels, 2 * reach_of(network) + 9)
    assert_near(made, once(network, pixels))
    half = once(network, pixels[:25].copy())
    assert np.abs(half[:20] - made[:20]).max() > 0.01


def test_one_step_a_tile_and_blocks_are_counted() -> None:
    """Head, three blocks and end, each in two tiles."""
    by_blocks, steps, sweep = ByBlocks(rrdb(4, depth=1), FLOAT32), list[Step](), Sweep(20)
    finish(by_blocks.run(picture(30, 14), sweep, unchecked), steps.append)
    assert steps == [Step(done, 5, "blocks") for done in (0, 1, 1, 2, 2, 3, 3, 4, 4, 5)] and sweep.tiles == 10


def test_the_end_shows_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.networks.blocks.PREVIEW_SECONDS", 0)
    shown = list[Step]()
    finish(ByBlocks(rrdb(4, depth=1), FLOAT32).run(picture(30, 14), Sweep(20), unchecked, previews=True), shown.append)
    previews = [step for step in shown if isinstance(step, Preview)]
    assert previews == shown[-2:] and [each.picture[..., 3].mean() < 255 for each in previews] == [True, False]


def short(by_blocks: ByBlocks, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes tiles of more than so many places too much for memory."""

    def limited(part: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def run(*tiles: torch.Tensor) -> torch.Tensor:
            if tiles[0][..., 0].numel() > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return part(*tiles)

        return run

    monkeypatch.setattr(by_blocks, "_parts", [limited(part) for part in by_blocks._parts])


def test_short_of_memory_tiles_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    network = rrdb(4)
    by_blocks, pixels, sweep, steps = ByBlocks(network, FLOAT32), picture(90, 70), Sweep(80), list[Step]()
    short(by_blocks, 50 * 50, monkeypatch)
    assert_near(finish(by_blocks.run(pixels, sweep, unchecked), steps.append), once(network, pixels))
    assert sweep.side == sweep.halved_to and 42 <= sweep.side <= 45
    done = [step.done for step in steps]
    assert done == sorted(done) and done[-1] == steps[-1].total
    short(by_blocks, 30 * 30, monkeypatch)
    with pytest.raises(MemoryError):
        run(by_blocks, pixels, 80)


def test_what_the_check_raises_ends_it() -> None:
    def refuse(batch: Batch, made: Batch) -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        finish(ByBlocks(rrdb(2), FLOAT32).run(picture(8, 8), Sweep(64), refuse))


def test_the_picture_stays_as_it_was() -> None:
    pixels = picture(12, 12)
    pixels.flags.writeable = False
    before = pixels.copy()
    for device, side in product([FLOAT32, replace(LOW)], [7 + 16, 4096]):
        run(ByBlocks(rrdb(4), device), pixels, side)
    np.testing.assert_array_equal(pixels, before)
