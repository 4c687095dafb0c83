"""Denoising in tiles: what each counts, in which precision, and with how much memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.errors import BadWeights, OutOfMemory
from pipelines.networks.devices import Device
from pipelines.runs import Step, finish
from pipelines.upscalers.diffusion import denoising
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.denoisers import PLAIN, no_memory, run_plain, use
from tests.support.diffusion_parts import loaded


def test_weights_add_up_to_one_and_fade_at_the_border() -> None:
    cut = denoising.Cut(128, 264, 128, 8, 4)
    whole = torch.zeros(128, 264)
    for tile, weights in cut.weights().items():
        whole[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop] += weights
        assert tile.columns.stop == 264 or weights[64, -1] < 0.02
    torch.testing.assert_close(whole, torch.ones_like(whole))
    assert len({(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in cut.tiles}) == 1
    first, second, *_ = cut.tiles
    assert first.columns.stop - second.columns.start >= 32


@pytest.mark.parametrize("batch", [2, 4])
def test_the_batch_does_not_count_and_keeps_its_shape(
    batch: int, x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = smooth(40, 210)  # five tiles: the last group has to be filled up
    alone = run_plain(x4, pixels, prompt="a cat", tile=64, steps=2)
    shapes = set()
    unet = x4.parts(Device("cpu")).unet
    forward = unet.forward
    monkeypatch.setattr(unet, "forward", lambda tiles, *a, **k: shapes.add(tiles.shape) or forward(tiles, *a, **k))
    use(Device("cpu", batch=batch), monkeypatch)
    together = replace(x4, placed={Device("cpu", batch=batch): x4.parts(Device("cpu"))})
    done = run_plain(together, pixels, prompt="a cat", tile=64, steps=2)
    np.testing.assert_allclose(done.pixels, alone.pixels, atol=1e-4)
    assert len(shapes) == 1


def test_steps_count_every_tile_of_every_step(x4: DiffusionUpscaler) -> None:
    steps: list[Step] = []
    done = finish(x4.run(smooth(40, 90), replace(PLAIN, tile=64, prompt="a cat")), steps.append)
    counted = steps[1:]
    assert done.tiles == 2 and {step.total for step in counted} == {2 * 2 * 4 + 3 * 2}
    assert [step.done for step in counted] == sorted(step.done for step in counted)
    assert counted[-1].done == counted[-1].total and counted[-1].note == "decoding, tile 2 of 2"
    notes = list(dict.fromkeys(step.note for step in counted))
    assert notes[:3] == ["step 1 of 4, tile 1 of 2", "step 1 of 4, tile 2 of 2", "step 2 of 4, tile 1 of 2"]


@pytest.mark.parametrize(("dtype", "bound"), [("float16", 0.01), ("bfloat16", 0.03)])
def test_low_precision_is_near(
    dtype: Any, bound: float, x4: DiffusionUpscaler, x4_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = run_plain(x4, smooth(24, 24), prompt="a cat")
    use(Device("cpu", dtype), monkeypatch)
    low = loaded(x4_folder)
    done = run_plain(low, smooth(24, 24), prompt="a cat")
    placed = low.parts(Device("cpu", dtype))
    assert done.dtype == dtype and str(placed.unet.dtype).endswith(dtype) and placed.vae.dtype == torch.float32
    assert 0 < np.sqrt(np.square(done.pixels - exact.pixels).mean()) < bound


def test_what_overflows_in_half_precision_comes_out_right(
    x4_folder: Path, x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = run_plain(x4, smooth(12, 12))
    use(Device("cpu", "float16"), monkeypatch)
    low = loaded(x4_folder)
    passes: list[torch.dtype] = []

    def overflow(unet: Any, tiles: Any, made: tuple[torch.Tensor]) -> Any:
        passes.append(unet.dtype)
        return (made[0] * torch.inf,) if len(passes) == 2 else made

    low.parts(Device("cpu", "float16")).unet.register_forward_hook(overflow)
    done = run_plain(low, smooth(12, 12))
    assert done.notes[-1] == "a tile was too much for float16: float32 from there on"
    assert passes == [torch.float16] * 2 + [torch.float32] * 3
    assert np.sqrt(np.square(done.pixels - exact.pixels).mean()) < 0.01


def test_too_little_memory_for_float32_is_said(x4_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: the network does not become smaller by smaller tiles."""
    use(Device("cpu", "float16"), monkeypatch)
    low = loaded(x4_folder)
    unet = low.parts(Device("cpu", "float16")).unet
    monkeypatch.setattr(unet, "forward", lambda tiles, *a, **k: (tiles[:, :4] * torch.inf,))
    monkeypatch.setattr(type(unet), "float", no_memory)
    with pytest.raises(OutOfMemory, match=r"^A tile was too much for float16, and memory is too short for the network"):
        run_plain(low, smooth(8, 8))


def test_too_little_memory_for_what_the_network_is_told_is_a_memory_error(
    x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising.Predictor, "__init__", no_memory)
    with pytest.raises(MemoryError):
        run_plain(x4, smooth(8, 8))


def test_what_is_no_number_in_float32_is_said(x4_folder: Path) -> None:
    broken = loaded(x4_folder)
    broken.parts(Device("cpu")).unet.conv_in.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(BadWeights, match=r"^The network gives no finite numbers for this image\.$"):
        run_plain(broken, smooth(8, 8))
