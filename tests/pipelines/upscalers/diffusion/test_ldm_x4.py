"""Latent diffusion x4 with a tiny network: diffusers' own pipeline's results, in tiles, at any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LDMSuperResolutionPipeline, VQModel

from pipelines.catalog.rows import Options, find, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.networks.devices import Device
from pipelines.runs import Preview, finish
from pipelines.upscalers.diffusion import decoder
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.denoisers import (
    FOUR,
    Stock,
    assert_any_size,
    assert_cannot_use,
    assert_ends_within_one_pass,
    assert_equals_stock,
    assert_lacking_named,
    assert_near_whole,
    assert_parts_refused,
    assert_repeatable,
)
from tests.support.diffusion_parts import MODEL_LDM, loaded, paths


@pytest.mark.parametrize("size", [(32, 64), (24, 8)])
def test_one_tile_equals_diffusers(size: tuple[int, int], ldm_folder: Path, ldm: DiffusionUpscaler) -> None:
    """Whose pipeline takes a picture in [-1, 1]."""
    image = torch.from_numpy(smooth(*size)).permute(2, 0, 1)[None] * 2 - 1
    assert_equals_stock(ldm, Stock(LDMSuperResolutionPipeline, ldm_folder), smooth(*size), {"image": image})


def test_what_it_does_by_itself() -> None:
    assert resolve_options(find("ldm-x4"), Settings()) == Options("", "", 100, 1.0, 0, 0, "none")


@pytest.mark.parametrize("given", [{"prompt": "a cat"}, {"guidance": 2.0}, {"colour_fix": "none"}], ids=str)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], ldm: DiffusionUpscaler) -> None:
    assert_cannot_use(ldm, given)


@pytest.mark.parametrize("size", [(1, 1), (3, 41), (37, 70)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], ldm: DiffusionUpscaler) -> None:
    assert_any_size(ldm, size)


def test_the_same_seed_gives_the_same_picture(ldm: DiffusionUpscaler, ldm_folder: Path) -> None:
    assert_repeatable(ldm, loaded(ldm_folder, model=MODEL_LDM), smooth(12, 16))


def test_tiles_are_near_the_whole(ldm: DiffusionUpscaler) -> None:
    """Less so than in other models: latents about half-way between two entries of the codebook differ altogether."""
    assert_near_whole(ldm, smooth(100, 80), 64, 0.4, seam=0.03)


def test_a_run_ends_within_one_pass_of_the_network(ldm: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_ends_within_one_pass(ldm, smooth(12, 90), 64, monkeypatch)


def test_previews_have_a_pixel_for_each_latent(ldm: DiffusionUpscaler) -> None:
    previews: list[Preview] = []
    finish(ldm.run(smooth(20, 30), FOUR), lambda step: isinstance(step, Preview) and previews.append(step))
    assert previews[-1].picture.shape == (24, 32, 3) and np.ptp(previews[-1].picture) > 50


def test_a_codebook_is_looked_up_in_pieces(ldm: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    autoencoder, latents = ldm.parts(Device("cpu")).vae, torch.randn(2, 3, 5, 7)
    assert isinstance(autoencoder, VQModel)
    with torch.inference_mode():
        expected, *_ = autoencoder.quantize(latents)
        monkeypatch.setattr(decoder, "LOOKED_UP", 3)
        entries = decoder.look_up_codes(autoencoder.quantize.embedding.weight, latents)
    torch.testing.assert_close(entries, expected)


@pytest.mark.parametrize(
    ("path", "changes", "said"),
    [
        ("scheduler/scheduler_config.json", {"_class_name": "PNDMScheduler"}, "does not describe DDIMScheduler"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "neither of noise nor of velocity"),
        ("vqvae/config.json", {"_class_name": "AutoencoderKL"}, "does not describe VQModel"),
        ("vqvae/config.json", {"norm_type": "spatial"}, "is not one that can be used"),
        ("unet/config.json", {"in_channels": 3}, "conv_in.weight differs"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(
    path: str, changes: dict[str, object], said: str, ldm_folder: Path, tmp_path: Path
) -> None:
    assert_parts_refused(ldm_folder, MODEL_LDM, path, changes, said, tmp_path)


@pytest.mark.parametrize("path", paths(MODEL_LDM))
def test_what_lacks_is_named(path: str, ldm_folder: Path, tmp_path: Path) -> None:
    assert_lacking_named(ldm_folder, MODEL_LDM, path, tmp_path)
