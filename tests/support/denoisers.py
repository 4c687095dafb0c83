"""What holds of every diffusion model, asserted of a tiny one."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.errors import BadSetting, BadWeights, OutOfMemory, UpscaleError
from pipelines.images.picture import Picture, Pixels
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import Preview, Step, finish
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.diffusion_parts import changed_json, loaded

FOUR = Settings(steps=4, seed=11)
PLAIN = replace(FOUR, colour_fix="none")  # of a model that brings colours back


@contextmanager
def one_thread() -> Iterator[None]:
    """So little work takes longer in several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def use(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on that device from now on."""
    monkeypatch.setattr(devices, "choose_device", lambda light=False: device)


def run(upscaler: DiffusionUpscaler, pixels: Pixels, **changes: Any) -> Upscaled:
    """Four steps of the seed 11, unless told otherwise."""
    return finish(upscaler.run(pixels, replace(FOUR, **changes)))


def run_plain(upscaler: DiffusionUpscaler, pixels: Pixels, **changes: Any) -> Upscaled:
    """The same, and without bringing colours back."""
    return run(upscaler, pixels, **{"colour_fix": "none", **changes})


def no_memory(*args: Any, **kwargs: Any) -> Any:
    """What torch does on a GPU that is full."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def each_pass(upscaler: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled while the network runs: by how many tiles it saw at each pass."""
    unet, seen = upscaler.parts(Device("cpu")).unet, list[int]()
    forward = unet.forward
    monkeypatch.setattr(unet, "forward", lambda tiles, *a, **k: seen.append(len(tiles)) or forward(tiles, *a, **k))
    return seen


def assert_any_size(upscaler: DiffusionUpscaler, size: tuple[int, int]) -> None:
    height, width = size
    done = run(upscaler, smooth(height, width), steps=1)
    assert done.pixels.shape == (upscaler.scale * height, upscaler.scale * width, 3)
    assert done.pixels.dtype == np.float32 and 0 <= done.pixels.min() <= done.pixels.max() <= 1


def assert_repeatable(upscaler: DiffusionUpscaler, anew: DiffusionUpscaler, pixels: Pixels) -> None:
    """Whatever ran before, here or elsewhere; without one the seed is 0; and torch's own generator is left alone."""
    state = torch.get_rng_state()
    first = run(upscaler, pixels).pixels
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    np.testing.assert_array_equal(run(anew, pixels).pixels, first)
    unseeded, zero = (run(upscaler, pixels, seed=seed).pixels for seed in (None, 0))
    np.testing.assert_array_equal(unseeded, zero)
    assert np.abs(zero - first).mean() > 2e-3


def assert_near_whole(
    upscaler: DiffusionUpscaler, pixels: Pixels, tile: int, share: float, seam: float = 0.01, **changes: Any
) -> None:
    """In tiles the root of the mean square error is no more than a share of the picture's deviation."""
    whole, tiled = run(upscaler, pixels, **changes), run(upscaler, pixels, tile=tile, **changes)
    assert whole.tiles == 1 and tiled.tiles > 1 and tiled.tiling is not None and tiled.tiling.side == tile
    assert np.sqrt(np.square(tiled.pixels - whole.pixels).mean()) < share * whole.pixels.std()
    assert tiled.seam is None or tiled.seam < seam


def assert_ends_within_one_pass(
    upscaler: DiffusionUpscaler, pixels: Pixels, tile: int, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> None:
    """Steps count all there is to do, and between two of them the network runs once at most."""
    passes = each_pass(upscaler, monkeypatch)
    steps, before = list[Step](), 0
    run = upscaler.run(pixels, replace(FOUR, tile=tile, **changes))
    for step in run:
        assert len(passes) - before <= 1
        steps.append(step)
        before = len(passes)
    assert len(passes) >= 8 and len({step.total for step in steps}) == 1
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[0].done == 0 and steps[-1].done == steps[-1].total
    assert any(isinstance(step, Preview) for step in steps)
    cancelled = upscaler.run(pixels, replace(FOUR, tile=tile, **changes))
    while len(passes) == before:
        next(cancelled)
    cancelled.close()
    assert len(passes) == before + 1


def assert_halves_tiles(
    upscaler: DiffusionUpscaler,
    pixels: Pixels,
    said: str,
    smallest: str,
    monkeypatch: pytest.MonkeyPatch,
    **changes: Any,
) -> Upscaled:
    """Where memory lasts for tiles of 60 latents they become smaller, which a note tells; of 20 it is an error."""
    unet = upscaler.parts(Device("cpu")).unet
    forward, largest = unet.forward, 60

    def short(tiles: torch.Tensor, *a: Any, **k: Any) -> Any:
        if max(tiles.shape) > largest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(tiles, *a, **k)

    monkeypatch.setattr(unet, "forward", short)
    done = run(upscaler, pixels, **changes)
    assert done.notes[-1] == f"memory ran short: tiles were cut to {said} px" and done.tiles > 1
    largest = 20
    with pytest.raises(OutOfMemory, match=rf"^Not enough memory even for a tile of {smallest} pixels a side\.$"):
        run(upscaler, pixels, **changes)
    return done


def assert_cannot_use(upscaler: DiffusionUpscaler, given: Mapping[str, Any]) -> None:
    """Before anything is run."""
    with pytest.raises(BadSetting, match=rf"^{upscaler.model.name} cannot use the setting"):
        next(enlarge(Picture(smooth(4, 4)), [upscaler], Settings(**given)))


def assert_parts_refused(
    folder: Path, model: Model, path: str, changes: Mapping[str, object], said: str, tmp_path: Path
) -> None:
    """With such changes in one file, by one sentence."""
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    changed_json(parts / path, changes)
    with pytest.raises(BadWeights, match=said) as refused:
        loaded(parts, model=model)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


def assert_lacking_named(folder: Path, model: Model, path: str, tmp_path: Path) -> None:
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    (parts / path).unlink()
    with pytest.raises(UpscaleError, match=path):
        loaded(parts, model=model)


@dataclass(frozen=True)
class Stock:
    """diffusers' own pipeline of parts in a folder; with another scheduler, if one is given, than that of the files."""

    kind: type[DiffusionPipeline]
    folder: Path
    scheduler: Any = None

    def __call__(self, pixels: Pixels, **arguments: Any) -> Pixels:
        """What it makes of the picture in 4 steps of the seed 11."""
        pipeline = _loaded_stock(self.kind, self.folder)
        scheduler = pipeline.scheduler
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        generator = torch.Generator().manual_seed(11)
        given = {"image": image, "num_inference_steps": 4, "generator": generator, "output_type": "np", **arguments}
        try:
            pipeline.scheduler = self.scheduler or scheduler
            made: Pixels = pipeline(**given).images[0]
        finally:
            pipeline.scheduler = scheduler
        return made


@cache
def _loaded_stock(kind: type[DiffusionPipeline], folder: Path) -> Any:
    pipeline: Any = kind.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def assert_equals_stock(
    upscaler: DiffusionUpscaler, stock: Stock, pixels: Pixels, given: Mapping[str, Any], **changes: Any
) -> Upscaled:
    """In one tile it is what diffusers makes of the same parts; `given` is what its pipeline calls the changes."""
    done = run(upscaler, pixels, **changes)
    np.testing.assert_allclose(done.pixels, stock(pixels, **given), atol=1e-4)
    assert done.pixels.std() > 0.1 and done.tiles == 1
    return done
