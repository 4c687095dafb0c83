"""Stable Diffusion x2 with a tiny network: diffusers' own pipeline's results, in tiles, at any size."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionLatentUpscalePipeline

from pipelines.catalog.rows import Options, find, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting, BadWeights
from pipelines.networks.devices import Device
from pipelines.upscalers.diffusion.denoising import Cut
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.parts import PromptedParts
from pipelines.upscalers.diffusion.prompt import embed_prompt
from tests.conftest import smooth
from tests.support.denoisers import (
    FOUR,
    Stock,
    assert_any_size,
    assert_cannot_use,
    assert_ends_within_one_pass,
    assert_equals_stock,
    assert_halves_tiles,
    assert_lacking_named,
    assert_near_whole,
    assert_parts_refused,
    assert_repeatable,
    each_pass,
    run,
    use,
)
from tests.support.diffusion_parts import MODEL_X2, loaded


@pytest.fixture(scope="module")
def stock(x2_folder: Path) -> Stock:
    return Stock(StableDiffusionLatentUpscalePipeline, x2_folder)


@pytest.mark.parametrize("size", [(64, 96), (96, 64)])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, {"prompt": "not read", "guidance_scale": 0}),
        ({"prompt": "a cat"}, {"prompt": "a cat", "guidance_scale": 1}),
        (
            {"prompt": "a cat", "negative_prompt": "dog", "guidance": 5.0},
            {"prompt": "a cat", "negative_prompt": "dog", "guidance_scale": 5},
        ),
    ],
    ids=["no words", "words", "guidance"],
)
def test_one_tile_equals_diffusers(
    given: dict[str, Any], words: dict[str, Any], size: tuple[int, int], stock: Stock, x2: DiffusionUpscaler
) -> None:
    assert_equals_stock(x2, stock, smooth(*size), words, **given)


def test_words_are_those_before_the_last_norm(x2: DiffusionUpscaler) -> None:
    """Which this network learned from; whatever a later version of transformers calls the last of the hidden states."""
    parts = x2.parts(Device("cpu"))
    assert isinstance(parts, PromptedParts)
    words = embed_prompt(parts, Options(prompt="a cat"))
    assert (words.before_norm - words.embedding).abs().mean() > 0.01
    norm = parts.text_encoder.final_layer_norm
    torch.testing.assert_close(norm(words.before_norm), words.embedding)


def test_what_it_does_by_itself(monkeypatch: pytest.MonkeyPatch, x2: DiffusionUpscaler) -> None:
    """Words are read, but unless guidance is asked for the network runs once a step."""
    row = find("sd-x2")
    assert resolve_options(row, Settings()) == Options("", "", 20, 1.0, 0, 0, "none")
    passes = each_pass(x2, monkeypatch)
    run(x2, smooth(8, 8), prompt="a cat")
    run(x2, smooth(8, 8), prompt="a cat", guidance=2)
    assert passes == [1] * 4 + [2] * 4


@pytest.mark.parametrize(
    "change", [{"prompt": "a cow"}, {"negative_prompt": "dog"}, {"guidance": 9.0}, {"steps": 7}], ids=str
)
def test_each_setting_counts(change: dict[str, Any], x2: DiffusionUpscaler) -> None:
    guided = {"prompt": "a cat", "guidance": 5.0}
    before, after = (run(x2, smooth(12, 16), **{**guided, **changes}) for changes in ({}, change))
    assert np.abs(after.pixels - before.pixels).mean() > 1e-3


@pytest.mark.parametrize("given", [{"noise_level": 20}, {"colour_fix": "wavelet"}, {"denoise": 0.5}], ids=str)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], x2: DiffusionUpscaler) -> None:
    assert_cannot_use(x2, given)


def test_a_tile_is_in_pixels_of_the_picture(x2: DiffusionUpscaler) -> None:
    """Of which four a side are one latent."""
    with pytest.raises(BadSetting, match=r"^A tile for Tiny x2 has 128 to 2048 pixels a side, not 64\.$"):
        run(x2, smooth(4, 4), tile=64)


@pytest.mark.parametrize("size", [(1, 1), (3, 41), (65, 130)])
def test_any_size_gives_exactly_twice_it(size: tuple[int, int], x2: DiffusionUpscaler) -> None:
    assert_any_size(x2, size)


def test_the_same_seed_gives_the_same_picture(x2: DiffusionUpscaler, x2_folder: Path) -> None:
    assert_repeatable(x2, loaded(x2_folder, model=MODEL_X2), smooth(12, 16))


def test_tiles_are_near_the_whole(x2: DiffusionUpscaler) -> None:
    assert_near_whole(x2, smooth(200, 150), 128, 0.2)


def test_a_run_ends_within_one_pass_of_the_network(x2: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_ends_within_one_pass(x2, smooth(40, 180), 128, monkeypatch)


def test_a_picture_is_encoded_in_tiles(x2: DiffusionUpscaler) -> None:
    """And each is a step, so that a large picture can be cancelled."""
    run, notes = x2.run(smooth(8, 1100), replace(FOUR, tile=128)), []
    while not notes or not notes[-1].startswith("step"):
        notes.append(next(run).note)
    run.close()
    assert len([note for note in notes if note.startswith("encoding")]) > 2


def test_half_precision_is_near(x2: DiffusionUpscaler, x2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = run(x2, smooth(24, 24), prompt="a cat")
    use(Device("cpu", "float16"), monkeypatch)
    done = run(loaded(x2_folder, model=MODEL_X2), smooth(24, 24), prompt="a cat")
    assert done.dtype == "float16" and 0 < np.sqrt(np.square(done.pixels - exact.pixels).mean()) < 0.01


def test_too_little_memory_is_smaller_tiles_and_then_said(
    x2: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pixels of the picture both."""
    assert_halves_tiles(x2, smooth(200, 300), "160", "128", monkeypatch)


@pytest.mark.parametrize(
    ("path", "changes", "said"),
    [
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "DDIMScheduler"},
            "does not describe EulerDiscreteScheduler",
        ),
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}, "a prediction that is not of the picture"),
        ("vae/config.json", {"_class_name": "VQModel"}, "does not describe AutoencoderKL"),
        ("unet/config.json", {"time_cond_proj_dim": None}, "has time_embedding.cond_proj.weight too"),
        ("unet/config.json", {"in_channels": 7}, "conv_in.weight differs"),
        ("unet/config.json", {"class_embed_type": "identity"}, "is not one that can be used"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(
    path: str, changes: dict[str, object], said: str, x2_folder: Path, tmp_path: Path
) -> None:
    assert_parts_refused(x2_folder, MODEL_X2, path, changes, said, tmp_path)


@pytest.mark.parametrize(
    "path", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/vocab.json"]
)
def test_what_lacks_is_named(path: str, x2_folder: Path, tmp_path: Path) -> None:
    assert_lacking_named(x2_folder, MODEL_X2, path, tmp_path)


def test_the_decoder_of_another_model_is_refused(x2_folder: Path) -> None:
    (weights,) = MODEL_X2.scales.values()
    with pytest.raises(BadWeights, match=r"^The decoder of Tiny x2 upscales by 8, not by 16\.$"):
        loaded(x2_folder, model=replace(MODEL_X2, scales={4: weights}))


def test_a_flat_picture_shows_no_grid(x2: DiffusionUpscaler) -> None:
    """Neighbouring columns differ no more where one tile hands over to the next than where there are no tiles."""
    flat = np.full((64, 480, 3), 0.5, np.float32)
    whole, tiled = run(x2, flat), run(x2, flat, tile=192)
    assert (whole.tiles, tiled.tiles) == (1, 4)
    usual, differences = (np.abs(np.diff(done.pixels, axis=1)).mean(axis=(0, 2)) for done in (whole, tiled))
    for tile in Cut(16, 120, 48, 8, 1).tiles[1:]:
        near = slice(8 * tile.columns.first - 16, 8 * tile.columns.first + 16)
        assert differences[near].mean() < 1.1 * usual[near].mean()
        assert differences[near].max() < 1.3 * usual[near].max()
