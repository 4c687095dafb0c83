"""Stable Diffusion x4 with a tiny network: diffusers' own pipeline's results, in tiles, at any size."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import StableDiffusionUpscalePipeline

from pipelines.catalog.rows import Options, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.denoising import Cut
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.denoisers import (
    Stock,
    assert_any_size,
    assert_ends_within_one_pass,
    assert_equals_stock,
    assert_halves_tiles,
    assert_near_whole,
    assert_repeatable,
    each_pass,
    run_plain,
)
from tests.support.diffusion_parts import MODEL, loaded, saved

SIZES = [(24, 32), (20, 12), (4, 36)]


@pytest.fixture(scope="module")
def stock(x4_folder: Path) -> Stock:
    return Stock(StableDiffusionUpscalePipeline, x4_folder)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("prompt", "negative", "guidance"), [("a cat", "", 9.0), ("a cat", "dog", 3.0), ("", "", 1.0)])
def test_one_tile_equals_diffusers(
    prompt: str, negative: str, guidance: float, size: tuple[int, int], stock: Stock, x4: DiffusionUpscaler
) -> None:
    """By the scheduler of the files."""
    words = {"prompt": prompt, "negative_prompt": negative}
    ours = {**words, "guidance": guidance, "noise_level": 40, "colour_fix": "none"}
    own = replace(x4, own_scheduler=True)
    done = assert_equals_stock(
        own, stock, smooth(*size), {**words, "guidance_scale": guidance, "noise_level": 40}, **ours
    )
    assert done.settings["scheduler"] == "DDIMScheduler"


def test_a_network_that_predicts_noise_equals_diffusers(tmp_path: Path) -> None:
    stock = Stock(StableDiffusionUpscalePipeline, saved(tmp_path, prediction="epsilon"))
    own = loaded(stock.folder, own_scheduler=True)
    assert_equals_stock(own, stock, smooth(24, 20), {"prompt": "a cat"}, prompt="a cat", colour_fix="none")


def test_a_scheduler_that_draws_noise_equals_diffusers(stock: Stock, x4: DiffusionUpscaler) -> None:
    """DDPM adds noise at each step, from the run's own generator."""
    everything = x4.parts(Device("cpu"))
    drawing = replace(everything, scheduler={**everything.scheduler, "_class_name": "DDPMScheduler"})
    own = replace(x4, own_scheduler=True, placed={Device("cpu"): drawing})
    stock = replace(stock, scheduler=drawing.make_scheduler(Options(steps=4), "cpu", own=True).wrapped)
    done = assert_equals_stock(own, stock, smooth(12, 16), {"prompt": "a cat"}, prompt="a cat", colour_fix="none")
    assert done.settings["scheduler"] == "DDPMScheduler"


def test_dpm_is_the_default_and_equals_diffusers_with_it(stock: Stock, x4: DiffusionUpscaler) -> None:
    scheduler = x4.parts(Device("cpu")).make_scheduler(Options(steps=4), "cpu").wrapped
    assert type(scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert scheduler.config.prediction_type == "v_prediction"
    stock = replace(stock, scheduler=scheduler)
    done = assert_equals_stock(x4, stock, smooth(16, 24), {"prompt": "a cat"}, prompt="a cat", colour_fix="none")
    assert done.settings["scheduler"] == "DPM++ 2M"


def test_the_defaults_are_the_models_own() -> None:
    assert resolve_options(MODEL, Settings()) == Options("", "", 20, 9.0, 20, 0, "wavelet")
    assert resolve_options(MODEL, Settings(prompt=" a cat\n", guidance=3)) == Options(
        "a cat", "", 20, 3, 20, 0, "wavelet"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 12},
        {"prompt": "a cow"},
        {"negative_prompt": "dog"},
        {"guidance": 3.0},
        {"noise_level": 350},
        {"steps": 5},
        {"colour_fix": "wavelet"},
        {"colour_fix": "adain"},
    ],
    ids=str,
)
def test_each_setting_counts(change: dict[str, Any], x4: DiffusionUpscaler) -> None:
    before, after = (run_plain(x4, smooth(12, 16), **{"prompt": "a cat", **changes}) for changes in ({}, change))
    assert np.abs(after.pixels - before.pixels).mean() > 2e-3
    assert {name for name, value in after.settings.items() if value != before.settings[name]} == {*change}


def test_the_same_seed_gives_the_same_picture(x4: DiffusionUpscaler, x4_folder: Path) -> None:
    assert_repeatable(x4, loaded(x4_folder), smooth(12, 16))


@pytest.mark.parametrize(
    ("given", "passes", "said"),
    [
        ({}, 1, ("no words, so no guidance",)),
        ({"prompt": "  ", "guidance": 9.0}, 1, ("no words, so no guidance",)),
        ({"guidance": 1}, 1, ()),
        ({"prompt": "a cat", "guidance": 1}, 1, ()),
        ({"prompt": "a cat"}, 2, ()),
        ({"negative_prompt": "dog", "guidance": 2.5}, 2, ()),
    ],
    ids=str,
)
def test_without_words_the_network_runs_once(
    given: dict[str, Any], passes: int, said: tuple[str, ...], x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = each_pass(x4, monkeypatch)
    done = run_plain(x4, smooth(8, 8), **given)
    assert sizes == [passes] * 4
    assert done.notes == said


def test_it_tells_every_choice_of_a_run(x4: DiffusionUpscaler) -> None:
    """What was not given too: a later version may choose otherwise. Blanks around words do not count."""
    usual = {"prompt": "", "negative_prompt": "", "steps": 20, "guidance": 9.0, "noise_level": 20, "seed": 0}
    left = finish(x4.run(smooth(4, 4), Settings()))
    others = {"colour_fix": "wavelet", "creativity": None, "tile": 128, "scheduler": "DPM++ 2M"}
    assert left.settings == usual | others
    given = Settings(100, 7, " a cat ", "dog", 3, 2.5, 40, "adain")
    told = dict(finish(x4.run(smooth(4, 4), given)).settings)
    assert told.pop("scheduler") == "DPM++ 2M"
    assert Settings(**told) == replace(given, prompt="a cat", tile=96), "a tile is a multiple of 8"


@pytest.mark.parametrize("tile", [31, 513, 0, True, "64", 64.0])
def test_a_tile_out_of_range_is_refused(tile: Any, x4: DiffusionUpscaler) -> None:
    given = f'"{tile}"' if isinstance(tile, str) else tile
    with pytest.raises(BadSetting, match=rf"^A tile for Tiny x4 has 32 to 512 pixels a side, not {given}\.$"):
        run_plain(x4, smooth(4, 4), tile=tile)


@pytest.mark.parametrize("size", [(1, 1), (3, 41), (2, 5), (37, 70)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], x4: DiffusionUpscaler) -> None:
    assert_any_size(x4, size)


@pytest.mark.parametrize("size", [(96, 80), (90, 75)])
def test_tiles_are_near_the_whole(size: tuple[int, int], x4: DiffusionUpscaler) -> None:
    """Of another plan and so another padding too, but of the same noise."""
    assert_near_whole(x4, smooth(*size), 64, 0.3, prompt="a cat", colour_fix="none")


def test_a_flat_picture_shows_no_grid(x4: DiffusionUpscaler) -> None:
    """Neighbouring columns differ no more where one tile hands over to the next than elsewhere."""
    done = run_plain(x4, np.full((40, 150, 3), 0.5, np.float32), tile=64, steps=8).pixels
    differences = np.abs(np.diff(done, axis=1)).mean(axis=(0, 2))
    cut = Cut(40, 152, 64, 8, 1)
    handovers = {tile.columns.first for tile in cut.tiles} - {0}
    assert len(handovers) >= 2
    for place in handovers:
        near = differences[4 * place - 8 : 4 * place + 8]
        assert near.mean() < 1.15 * differences.mean() and near.max() < 1.1 * np.percentile(differences, 99.5)


def test_a_run_ends_within_one_pass_of_the_network(x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_ends_within_one_pass(x4, smooth(40, 150), 64, monkeypatch, colour_fix="none")


def test_too_little_memory_is_smaller_tiles_and_then_said(
    x4: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"prompt": "a cat", "colour_fix": "none"}
    whole = run_plain(x4, smooth(96, 80), **given)
    done = assert_halves_tiles(x4, smooth(96, 80), "48", "32", monkeypatch, **given)
    assert done.tiles > 4 and np.sqrt(np.square(done.pixels - whole.pixels).mean()) < 0.5 * whole.pixels.std()
