"""The side of blocks' tiles by what was measured on this machine, and kept."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.catalog.settings import Settings
from pipelines.networks import devices
from pipelines.networks.blocks import ByBlocks
from pipelines.networks.devices import Device
from pipelines.networks.network import Network
from pipelines.runs import finish
from pipelines.upscalers import kept, quickest
from pipelines.upscalers.loading import load
from pipelines.upscalers.quickest import GAIN, choose_quickest_side
from tests.conftest import smooth
from tests.pipelines.upscalers.test_by_blocks import wide_rrdb
from tests.pipelines.upscalers.test_network import saved, use
from tests.support.networks import haesr, rrdb

FLOAT32 = Device("cpu")
USUAL = 192


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny networks are measured as well, by a way that keeps nothing back from another test."""
    monkeypatch.setattr(quickest, "LEAST_WORK", 0)


class Timed(ByBlocks):
    """Takes as many seconds for each place as it is told; `asked` are the sides that it was asked for."""

    def __init__(self, network: Network, pace: dict[int, float]) -> None:
        super().__init__(network, FLOAT32)
        self.pace, self.asked = pace, list[int]()

    def time_block(self, sides: Iterable[int], repeats: int = 3) -> dict[int, float]:
        self.asked += sides
        return {side: side**2 * self.pace.get(side, 1.0) for side in self.asked[-len([*sides]) :]}


def choose(pace: dict[int, float], *size: int) -> int:
    """The side for a picture of that size, where nothing is kept yet."""
    kept.find(quickest.FILE).unlink(missing_ok=True)
    network = rrdb(4)
    return choose_quickest_side(Timed(network, pace), network, USUAL, (size[0], size[-1]))


def test_at_one_pace_the_picture_is_one_tile_where_it_fits_into_one() -> None:
    assert [choose({}, side) for side in (250, 256, 300, 384)] == [256, 256, 384, 384]


def test_the_pace_decides_where_it_outweighs_the_overlap() -> None:
    """As in a cache: at 256 px four tiles of 133 px compute 1.08 times as much as one."""
    assert choose({256: 1.04}, 256) == 256 and choose({256: 1.1}, 256) == USUAL
    assert choose({96: 0.5}, 256) == 96 and choose({96: 0.5}, 2000, 100) == 96


def test_what_is_hardly_better_is_left_alone() -> None:
    """Else chance would decide. Tiles of 128 px overlap by so much more that they compute 1.06 times as much."""
    slow = {96: 2.0, 256: 2.0, 384: 2.0}
    assert choose(slow | {128: (GAIN + 0.01) / 1.06}, 10_000) == USUAL
    assert choose(slow | {128: (GAIN - 0.01) / 1.06}, 10_000) == 128


def test_only_what_counts_is_measured_and_only_once() -> None:
    network = rrdb(4)
    timed = Timed(network, {})
    for side in (200, 90, 200, 1000):
        choose_quickest_side(timed, network, USUAL, (side, side))
    assert timed.asked == [96, 128, 192, 256, 384]
    again = Timed(network, {})
    choose_quickest_side(again, network, USUAL, (1000, 1000))
    assert not again.asked
    other = Timed(wide_rrdb(), {})
    choose_quickest_side(other, wide_rrdb(), USUAL, (1000, 1000))
    assert other.asked == [96, 128, 192, 256, 384], "another network has its own"


def test_small_pictures_and_passes_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = haesr()
    timed = Timed(attention, {96: 0.1})
    assert choose_quickest_side(timed, attention, USUAL, (500, 500)) == USUAL and not timed.asked
    network = rrdb(4)
    timed = Timed(network, {96: 0.1})
    parameters = sum(parameter.numel() for parameter in network.parameters())
    monkeypatch.setattr(quickest, "LEAST_WORK", 500 * 500 * parameters)
    assert choose_quickest_side(timed, network, USUAL, (500, 499)) == USUAL and not timed.asked
    assert choose_quickest_side(timed, network, USUAL, (500, 500)) == 96


def test_where_memory_is_short_nothing_is_measured_nor_made_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose({384: 0.5}, 1000) == 384
    network = rrdb(4)
    monkeypatch.setattr(devices, "free_device_memory", lambda device: 0)
    timed = Timed(network, {})
    assert choose_quickest_side(timed, network, 64, (1000, 1000)) == 64 and not timed.asked


def test_nobody_waits_while_another_measures() -> None:
    with quickest._measuring:
        assert choose({96: 0.1}, 1000) == USUAL
    assert choose({96: 0.1}, 1000) == 96


@pytest.mark.parametrize(
    "damaged",
    [None, 7, [], {"rrdb": 7}, {"rrdb": {"96": "soon"}}, {"rrdb": {"x": 1}}, {"rrdb": {"96": -1}}, {"rrdb": {"-9": 1}}],
    ids=str,
)
def test_a_damaged_file_counts_for_nothing(damaged: Any) -> None:
    assert choose({96: 0.1}, 1000) == 96
    path = kept.find(quickest.FILE)
    content = json.loads(path.read_text())
    if isinstance(damaged, dict):
        (key,) = content["networks"]
        damaged = {key: damaged["rrdb"]}
    path.write_text(json.dumps(content | {"networks": damaged}))
    network = rrdb(4)
    timed = Timed(network, {96: 0.1})
    assert choose_quickest_side(timed, network, USUAL, (1000, 1000)) == 96 and timed.asked


def test_another_machine_measures_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose({96: 0.1}, 1000) == 96
    monkeypatch.setattr(kept.machine, "features", lambda: frozenset({"amx_bf16"}))
    network = rrdb(4)
    timed = Timed(network, {})
    assert choose_quickest_side(timed, network, USUAL, (250, 250)) == 256 and timed.asked


def test_what_cannot_be_kept_still_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(kept, "find", lambda name: tmp_path / "file" / name)
    network = rrdb(4)
    assert choose_quickest_side(Timed(network, {96: 0.1}), network, USUAL, (1000, 1000)) == 96


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


def test_the_result_is_the_same_and_so_is_what_the_end_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end's tiles stay at the usual side, for they take the most memory."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    use(FLOAT32, monkeypatch)
    own, pixels = saved(wide_rrdb(), tmp_path / "wide.pth"), smooth(20, 700)
    ends, run_end = list[int](), ByBlocks._run_end

    def note_end(self: ByBlocks, *args: Any) -> None:
        ends.append(args[-1].columns.stop - args[-1].columns.start)
        run_end(self, *args)

    monkeypatch.setattr(ByBlocks, "_run_end", note_end)
    made = {}
    for quick, tiles in ((USUAL, 4), (96, 9), (384, 2)):
        monkeypatch.setattr(
            ByBlocks,
            "time_block",
            lambda self, sides, quick=quick: {side: side**2 * (0.2 if side == quick else 1) for side in sides},
        )
        kept.find(quickest.FILE).unlink(missing_ok=True)
        done = finish(load("real-esrgan", 4, own).run(pixels, Settings()))
        assert (done.tiles, done.seam) == (tiles, 0.0) and done.tiling is not None and done.tiling.side == quick
        made[quick] = done.pixels
    assert max(ends) <= USUAL and len(ends) == 4 + 8 + 4
    np.testing.assert_allclose(made[96], made[USUAL], atol=1e-5)
    np.testing.assert_allclose(made[384], made[USUAL], atol=1e-5)
    asked = finish(load("real-esrgan", 4, own).run(pixels, Settings(tile=64)))
    assert asked.tiling is not None and asked.tiling.side == 64, "what was asked for counts"
