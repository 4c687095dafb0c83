"""Latent diffusion x4 with a tiny network: diffusers' own pipeline's results, in tiles, at any size."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LDMSuperResolutionPipeline, VQModel

from pipelines.catalog.rows import Options, find, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting, BadWeights, UpscaleError
from pipelines.networks.devices import Device
from pipelines.runs import Preview, finish
from pipelines.upscalers.diffusion import decoder
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support import denoisers
from tests.support.denoisers import run, use
from tests.support.diffusion_parts import FILES_LDM, MODEL_LDM, changed_json, loaded, saved_ldm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_ldm(tmp_path_factory.mktemp("ldm"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> DiffusionUpscaler:
    return loaded(folder, model=MODEL_LDM)


@pytest.fixture(autouse=True)
def _processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(Device("cpu"), monkeypatch)
    with denoisers.one_thread():
        yield


@pytest.mark.parametrize("size", [(32, 64), (24, 8)])
def test_one_tile_equals_diffusers(size: tuple[int, int], folder: Path, tiny: DiffusionUpscaler) -> None:
    pipeline = LDMSuperResolutionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    image, generator = torch.from_numpy(smooth(*size)).permute(2, 0, 1)[None] * 2 - 1, torch.Generator().manual_seed(11)
    expected = pipeline(image, num_inference_steps=4, generator=generator, output_type="np").images[0]
    done = run(tiny, smooth(*size))
    np.testing.assert_allclose(done.pixels, expected, atol=1e-4)
    assert done.pixels.std() > 0.1 and done.tiles == 1


def test_what_it_does_by_itself() -> None:
    assert resolve_options(find("ldm-x4"), Settings()) == Options("", "", 100, 1.0, 0, 0, "none")


@pytest.mark.parametrize("given", [{"prompt": "a cat"}, {"guidance": 2.0}, {"colour_fix": "none"}], ids=str)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], tiny: DiffusionUpscaler) -> None:
    with pytest.raises(BadSetting, match=r"^Tiny latent x4 cannot use the setting"):
        next(tiny.run(smooth(4, 4), Settings(**given)))


@pytest.mark.parametrize("size", [(1, 1), (3, 41), (37, 70)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], tiny: DiffusionUpscaler) -> None:
    denoisers.assert_any_size(tiny, size)


def test_the_same_seed_gives_the_same_picture(tiny: DiffusionUpscaler, folder: Path) -> None:
    denoisers.assert_repeatable(tiny, loaded(folder, model=MODEL_LDM), smooth(12, 16))


def test_tiles_are_near_the_whole(tiny: DiffusionUpscaler) -> None:
    """Less so than in other models: latents about half-way between two entries of the codebook differ altogether."""
    denoisers.assert_near_whole(tiny, smooth(100, 80), 64, 0.4, seam=0.03)


def test_a_run_ends_within_one_pass_of_the_network(tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    denoisers.assert_ends_within_one_pass(tiny, smooth(12, 90), 64, monkeypatch)


def test_previews_have_a_pixel_for_each_latent(tiny: DiffusionUpscaler) -> None:
    previews: list[Preview] = []
    finish(tiny.run(smooth(20, 30), denoisers.FOUR), lambda step: isinstance(step, Preview) and previews.append(step))
    assert previews[-1].picture.shape == (24, 32, 3) and np.ptp(previews[-1].picture) > 50


def test_a_codebook_is_looked_up_in_pieces(tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    autoencoder, latents = tiny.parts(Device("cpu")).vae, torch.randn(2, 3, 5, 7)
    assert isinstance(autoencoder, VQModel)
    with torch.inference_mode():
        expected, *_ = autoencoder.quantize(latents)
        monkeypatch.setattr(decoder, "LOOKED_UP", 3)
        entries = decoder._look_up(autoencoder.quantize.embedding.weight, latents)
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
    path: str, changes: dict[str, object], said: str, folder: Path, tmp_path: Path
) -> None:
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    changed_json(parts / path, changes)
    with pytest.raises(BadWeights, match=said) as refused:
        loaded(parts, model=MODEL_LDM)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize("path", FILES_LDM)
def test_what_lacks_is_named(path: str, folder: Path, tmp_path: Path) -> None:
    parts = Path(shutil.copytree(folder, tmp_path / "parts"))
    (parts / path).unlink()
    with pytest.raises(UpscaleError, match=path):
        loaded(parts, model=MODEL_LDM)
