"""The side of blocks' tiles by what was measured on this machine, and kept."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.images.picture import Picture
from pipelines.networks import devices
from pipelines.networks.archs.rcan import Rcan
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.blocks import ByBlocks, Sweep
from pipelines.networks.devices import Device
from pipelines.networks.network import Network
from pipelines.runs import finish
from pipelines.upscalers import kept, quickest, running
from pipelines.upscalers.loading import load
from pipelines.upscalers.quickest import GAIN, choose_quickest_side
from tests.conftest import smooth
from tests.pipelines.upscalers.test_network import saved, use
from tests.support.networks import fill, haesr, rrdb

FLOAT32 = Device("cpu")
USUAL = 192


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured yet, and tiny pictures are worth it. The cache is the test's own: see tests/conftest.py."""
    monkeypatch.setattr(quickest, "LEAST_WORK", 0)
    monkeypatch.setattr(quickest.kept.machine, "features", frozenset)
    forget()


def forget() -> None:
    restart()
    kept.find(quickest.FILE).unlink(missing_ok=True)


def restart() -> None:
    quickest._measured.clear()


def make(depth: int = 1) -> RRDBNet:
    """As many channels as a network has that is measured."""
    network = RRDBNet(2, width=16, depth=depth, growth=16)
    fill(network)
    return network


class Timed(ByBlocks):
    """Takes as many seconds for each place as it is told, 1 unless told; `asked` are the sides that it measured."""

    def __init__(self, network: Network, pace: dict[int, float], device: Device = FLOAT32) -> None:
        super().__init__(network, FLOAT32)
        self.pace, self.asked, self.device = pace, list[int](), device

    def time_block(self, sides: Iterable[int], repeats: int = 3) -> dict[int, float]:
        sides = [*sides]
        self.asked += sides
        return {side: side**2 * self.pace.get(side, 1.0) for side in sides if self.pace.get(side) != math.inf}

    def choose(self, *size: int, usual: int = USUAL) -> int:
        return choose_quickest_side(self, self._network, usual, (size[0], size[-1])).side


def choose(pace: dict[int, float], *size: int) -> int:
    """The side for a picture of that size, where nothing is known yet."""
    forget()
    return Timed(make(), pace).choose(*size)


def test_at_one_pace_the_picture_is_one_tile_where_it_fits_into_one() -> None:
    assert [choose({}, side) for side in (250, 256, 300, 384)] == [256, 256, 384, 384]


def test_the_pace_decides_where_it_outweighs_the_overlap() -> None:
    """As in a cache: at 256 px four tiles of 133 px compute 1.08 times as much as one."""
    slow = {384: 2.0}
    assert choose(slow | {256: 1.04}, 256) == 256 and choose(slow | {256: 1.1}, 256) == USUAL
    assert choose({96: 0.5}, 256) == 96 and choose({96: 0.5}, 2000, 100) == 96


def test_what_is_hardly_better_is_left_alone() -> None:
    """Else chance would decide. Tiles of 128 px overlap by so much more that they compute 1.06 times as much."""
    slow = {96: 2.0, 256: 2.0, 384: 2.0}
    assert choose(slow | {128: (GAIN + 0.01) / 1.06}, 10_000) == USUAL
    assert choose(slow | {128: (GAIN - 0.01) / 1.06}, 10_000) == 128


def test_all_are_measured_at_a_time_and_only_once() -> None:
    """Also after a restart; but anew where the usual side is another one, as what was slow then may not be now."""
    timed, all_ = Timed(make(), {}), [96, 128, 192, 256, 384]
    first, again = (choose_quickest_side(timed, make(), USUAL, (side, side)) for side in (1000, 200))
    assert timed.asked == all_ and first.spent > 0 and again.side == 256
    restart()
    timed.choose(1000)
    assert timed.asked == all_
    timed.choose(1000, usual=176)
    assert timed.asked == [*all_, 96, 128, 176, 192, 256, 384]
    other = Timed(make(depth=2), {})
    other.choose(1000)
    assert other.asked == all_, "another network has its own"


def test_what_is_small_or_unlike_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes have no blocks; channels that are no multiple of 16 are summed up otherwise in tiles of another size."""
    for network in (haesr(), rrdb(4)):
        timed = Timed(network, {96: 0.1})
        assert timed.choose(500) == USUAL and not timed.asked
    timed = Timed(make(), {96: 0.1})
    assert timed.choose(96) == USUAL and not timed.asked, "one tile, whatever its side"
    parameters = sum(parameter.numel() for parameter in timed._network.parameters())
    monkeypatch.setattr(quickest, "LEAST_WORK", 500 * 500 * parameters)
    assert timed.choose(500, 499) == USUAL and not timed.asked
    assert timed.choose(500) == 96


def test_where_memory_is_short_nothing_is_measured_nor_made_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose({384: 0.5}, 1000) == 384
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 0)
    timed = Timed(make(), {})
    assert timed.choose(1000, usual=64) == 64 and not timed.asked


def test_a_side_that_was_too_much_is_not_tried_again() -> None:
    timed = Timed(make(), {384: math.inf})
    assert [timed.choose(384), timed.choose(384)] == [256, 256] and len(timed.asked) == 5
    timed = Timed(make(depth=2), {USUAL: math.inf})
    assert timed.choose(384) == 384, "if not even the usual one is possible"


def test_nobody_measures_beside_another() -> None:
    with quickest._measuring:
        assert choose({96: 0.1}, 1000) == USUAL
    with devices.sharing(2):
        assert choose({96: 0.1}, 1000) == USUAL
    assert choose({96: 0.1}, 1000) == 96


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_gpu_has_sides_of_its_own(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 1 << 36)
    timed = Timed(make(), {quickest.SIDES[kind][0]: 0.1}, Device(kind, "float16"))
    assert timed.choose(2000, usual=quickest.SIDES[kind][1]) == quickest.SIDES[kind][0]
    assert timed.asked == [*quickest.SIDES[kind]]


DAMAGED = (7, {"96": "soon"}, {"x": 1}, {"96": -1}, {"-9": 1}, {"96": None}, {"96": int("9" * 400)})


@pytest.mark.parametrize(
    "damaged", [None, 7, [], *({"rrdb": each} for each in DAMAGED)], ids=lambda each: str(each)[:30]
)
def test_a_damaged_file_counts_for_nothing(damaged: Any) -> None:
    assert choose({96: 0.1}, 1000) == 96
    path = kept.find(quickest.FILE)
    content = json.loads(path.read_text())
    if isinstance(damaged, dict):
        (key,) = content["networks"]
        damaged = {key: damaged["rrdb"]}
    path.write_text(json.dumps(content | {"networks": damaged}))
    restart()
    timed = Timed(make(), {96: 0.1})
    assert timed.choose(1000) == 96 and timed.asked


def test_another_machine_measures_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose({96: 0.1}, 1000) == 96
    restart()
    monkeypatch.setattr(kept.machine, "features", lambda: frozenset({"amx_bf16"}))
    timed = Timed(make(), {})
    assert timed.choose(250) == 256 and timed.asked


def test_what_cannot_be_kept_still_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(kept, "find", lambda name: tmp_path / "file" / name)
    timed = Timed(make(), {96: 0.1})
    assert [timed.choose(1000), timed.choose(1000)] == [96, 96] and len(timed.asked) == 5


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_side_changes_no_bit(dtype: Any, engine: Any) -> None:
    """Of networks of a real width: residual blocks, and groups whose channels are weighed by their means."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    networks = RRDBNet(2, depth=1), Rcan(2, 64, 1, 2)
    for network in networks:
        fill(network)
        by_blocks, pixels = ByBlocks(network, Device("cpu", dtype, engine)), smooth(70, 150)
        made = [finish(by_blocks.run(pixels, Sweep(side, 96), lambda batch, made: None)) for side in (96, 128, 192)]
        assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_real_blocks_are_timed(dtype: Any, engine: Any) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    for network in (rrdb(4), rrdb(2)):
        seconds = ByBlocks(network, Device("cpu", dtype, engine)).time_block((16, 64), repeats=2)
        assert seconds.keys() == {16, 64} and min(seconds.values()) > 0


def test_a_side_that_is_too_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    by_blocks = ByBlocks(rrdb(4), FLOAT32)
    run = by_blocks._run_block

    def refuse(part: Any, read: Any, means: Any, out: Any, scratch: Any, tile: Any) -> None:
        if tile.rows.stop == 40:
            raise MemoryError
        run(part, read, means, out, scratch, tile)

    monkeypatch.setattr(by_blocks, "_run_block", refuse)
    assert by_blocks.time_block((24, 40, 16)).keys() == {24, 16}


def test_the_end_keeps_its_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each pixel it takes the most memory: what is told of that does not depend on the other tiles."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    use(FLOAT32, monkeypatch)
    own, pixels = saved(make(depth=5), tmp_path / "own.pth"), smooth(20, 700)
    ends, run_end = list[int](), ByBlocks._run_end

    def note_end(self: ByBlocks, *args: Any) -> None:
        ends.append(args[-1].columns.stop - args[-1].columns.start)
        run_end(self, *args)

    monkeypatch.setattr(ByBlocks, "_run_end", note_end)
    made, told = {}, {}
    for quick, tiles in ((USUAL, 4), (96, 9), (384, 2)):

        def time_block(self: ByBlocks, sides: Iterable[int], quick: int = quick) -> dict[int, float]:
            return {side: side**2 * (0.2 if side == quick else 1) for side in sides}

        monkeypatch.setattr(ByBlocks, "time_block", time_block)
        forget()
        ends.clear()
        done = finish(load("real-esrgan", 4, own).run(pixels, Settings()))
        assert done.tiling is not None and (done.tiles, done.seam, done.tiling.side) == (tiles, 0.0, quick)
        assert max(ends) <= USUAL
        made[quick], told[quick] = done.pixels, done.tiling.held * done.tiling.side**2
    assert np.array_equal(made[96], made[USUAL]) and np.array_equal(made[384], made[USUAL])
    assert told[384] == pytest.approx(told[USUAL], rel=0.01) and told[96] < told[USUAL]
    asked = finish(load("real-esrgan", 4, own).run(pixels, Settings(tile=64)))
    assert asked.tiling is not None and asked.tiling.side == 64, "what was asked for counts"


def test_nothing_is_learned_from_the_seconds_of_measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come once."""
    use(FLOAT32, monkeypatch)
    monkeypatch.setattr(running, "choose_quickest_side", lambda *given: quickest.Chosen(USUAL, 1000.0))
    upscaler = load("real-esrgan", 4, saved(make(depth=5), tmp_path / "own.pth"))
    done = finish(enlarge(Picture(smooth(20, 700)), [upscaler]))
    assert done.stages[0].seconds < -900 and done.details.seconds < -900
