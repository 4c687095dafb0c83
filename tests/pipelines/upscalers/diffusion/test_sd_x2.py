"""Stable Diffusion x2 with a tiny network: diffusers' own pipeline's results, in tiles, at any size."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionLatentUpscalePipeline

from pipelines.catalog.rows import Options, find, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting, BadWeights, OutOfMemory, UpscaleError
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.upscalers.diffusion import denoising
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.parts import PromptedParts
from pipelines.upscalers.diffusion.prompt import embed_prompt
from tests.conftest import smooth
from tests.support import denoisers
from tests.support.denoisers import run, use
from tests.support.diffusion_parts import MODEL_X2, changed_json, loaded, saved_x2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_x2(tmp_path_factory.mktemp("x2"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> DiffusionUpscaler:
    return loaded(folder, model=MODEL_X2)


@pytest.fixture(autouse=True)
def _processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(Device("cpu"), monkeypatch)
    with denoisers.one_thread():
        yield


def stock(folder: Path, pixels: Pixels, **arguments: Any) -> Pixels:
    return denoisers.stock(StableDiffusionLatentUpscalePipeline, folder, pixels, **arguments)


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
    given: dict[str, Any], words: dict[str, Any], size: tuple[int, int], folder: Path, tiny: DiffusionUpscaler
) -> None:
    done = run(tiny, smooth(*size), **given)
    np.testing.assert_allclose(done.pixels, stock(folder, smooth(*size), **words), atol=1e-4)
    assert done.pixels.std() > 0.1 and done.tiles == 1


def test_words_are_those_before_the_last_norm(tiny: DiffusionUpscaler) -> None:
    """Which this network learned from; whatever a later version of transformers calls the last of the hidden states."""
    parts = tiny.parts(Device("cpu"))
    assert isinstance(parts, PromptedParts)
    words = embed_prompt(parts, Options(prompt="a cat"))
    assert (words.before_norm - words.embedding).abs().mean() > 0.01
    norm = parts.text_encoder.final_layer_norm
    torch.testing.assert_close(norm(words.before_norm), words.embedding)


def test_what_it_does_by_itself(monkeypatch: pytest.MonkeyPatch, tiny: DiffusionUpscaler) -> None:
    """Words are read, but unless guidance is asked for the network runs once a step."""
    row = find("sd-x2")
    assert resolve_options(row, Settings()) == Options("", "", 20, 1.0, 0, 0, "none")
    passes = denoisers.each_pass(tiny, monkeypatch)
    run(tiny, smooth(8, 8), prompt="a cat")
    run(tiny, smooth(8, 8), prompt="a cat", guidance=2)
    assert passes == [1] * 4 + [2] * 4


@pytest.mark.parametrize(
    "change", [{"prompt": "a cow"}, {"negative_prompt": "dog"}, {"guidance": 9.0}, {"steps": 7}], ids=str
)
def test_each_setting_counts(change: dict[str, Any], tiny: DiffusionUpscaler) -> None:
    guided = {"prompt": "a cat", "guidance": 5.0}
    before, after = (run(tiny, smooth(12, 16), **{**guided, **changes}) for changes in ({}, change))
    assert np.abs(after.pixels - before.pixels).mean() > 1e-3


@pytest.mark.parametrize("given", [{"noise_level": 20}, {"colour_fix": "wavelet"}, {"denoise": 0.5}], ids=str)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], tiny: DiffusionUpscaler) -> None:
    with pytest.raises(BadSetting, match=r"^Tiny x2 cannot use the setting"):
        next(tiny.run(smooth(4, 4), Settings(**given)))


def test_a_tile_is_in_pixels_of_the_picture(tiny: DiffusionUpscaler) -> None:
    """Of which four a side are one latent."""
    with pytest.raises(BadSetting, match=r"^A tile for Tiny x2 has 128 to 2048 pixels a side, not 64\.$"):
        run(tiny, smooth(4, 4), tile=64)


@pytest.mark.parametrize("size", [(1, 1), (3, 41), (65, 130)])
def test_any_size_gives_exactly_twice_it(size: tuple[int, int], tiny: DiffusionUpscaler) -> None:
    denoisers.assert_any_size(tiny, size)


def test_the_same_seed_gives_the_same_picture(tiny: DiffusionUpscaler, folder: Path) -> None:
    denoisers.assert_repeatable(tiny, loaded(folder, model=MODEL_X2), smooth(12, 16))


def test_tiles_are_near_the_whole(tiny: DiffusionUpscaler) -> None:
    denoisers.assert_near_whole(tiny, smooth(200, 150), 128, 0.2)


def test_a_run_ends_within_one_pass_of_the_network(tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    denoisers.assert_ends_within_one_pass(tiny, smooth(40, 180), 128, monkeypatch)


def test_a_picture_is_encoded_in_tiles(tiny: DiffusionUpscaler) -> None:
    """And each is a step, so that a large picture can be cancelled."""
    run, notes = tiny.run(smooth(8, 1100), replace(denoisers.FOUR, tile=128)), []
    while not notes or not notes[-1].startswith("step"):
        notes.append(next(run).note)
    run.close()
    assert len([note for note in notes if note.startswith("encoding")]) > 2


def test_half_precision_is_near(tiny: DiffusionUpscaler, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = run(tiny, smooth(24, 24), prompt="a cat")
    use(Device("cpu", "float16"), monkeypatch)
    done = run(loaded(folder, model=MODEL_X2), smooth(24, 24), prompt="a cat")
    assert done.dtype == "float16" and 0 < np.sqrt(np.square(done.pixels - exact.pixels).mean()) < 0.01


def test_too_little_memory_is_smaller_tiles_and_then_said(
    tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pixels of the picture both."""
    unet = tiny.parts(Device("cpu")).unet
    forward, largest = unet.forward, 60

    def short(tiles: torch.Tensor, *a: Any, **k: Any) -> Any:
        if max(tiles.shape) > largest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(tiles, *a, **k)

    monkeypatch.setattr(unet, "forward", short)
    done = run(tiny, smooth(200, 300))
    assert done.notes[-1] == "memory ran short: tiles were cut to 160 px" and done.tiles > 1
    largest = 20
    with pytest.raises(OutOfMemory, match=r"^Not enough memory even for a tile of 128 pixels a side\.$"):
        run(tiny, smooth(200, 300))


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
    path: str, changes: dict[str, object], said: str, folder: Path, tmp_path: Path
) -> None:
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    changed_json(parts / path, changes)
    with pytest.raises(BadWeights, match=said) as refused:
        loaded(parts, model=MODEL_X2)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "path", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/vocab.json"]
)
def test_what_lacks_is_named(path: str, folder: Path, tmp_path: Path) -> None:
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    (parts / path).unlink()
    with pytest.raises(UpscaleError, match=path):
        loaded(parts, model=MODEL_X2)


def test_the_decoder_of_another_model_is_refused(folder: Path) -> None:
    (weights,) = MODEL_X2.scales.values()
    with pytest.raises(BadWeights, match=r"^The decoder of Tiny x2 enlarges by 8, not by 16\.$"):
        loaded(folder, model=replace(MODEL_X2, scales={4: weights}))


def test_a_flat_picture_shows_no_grid(tiny: DiffusionUpscaler) -> None:
    """Neighbouring columns differ no more where one tile hands over to the next than where there are no tiles."""
    flat = np.full((64, 480, 3), 0.5, np.float32)
    whole, tiled = run(tiny, flat), run(tiny, flat, tile=192)
    assert (whole.tiles, tiled.tiles) == (1, 4)
    usual, differences = (np.abs(np.diff(done.pixels, axis=1)).mean(axis=(0, 2)) for done in (whole, tiled))
    for tile in denoising.Cut(16, 120, 48, 8, 1).tiles[1:]:
        near = slice(8 * tile.columns.first - 16, 8 * tile.columns.first + 16)
        assert differences[near].mean() < 1.1 * usual[near].mean()
        assert differences[near].max() < 1.3 * usual[near].max()
