"""From files that diffusers saved, by the catalog's row and the real loading, to what diffusers' pipeline gives."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diffusers import StableDiffusionUpscalePipeline

from pipelines.catalog import rows as catalog
from pipelines.upscalers import loading
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support import published
from tests.support.denoisers import Stock, assert_equals_stock, run_plain
from tests.support.diffusion_parts import saved, saved_as_of_now, tiny_unet
from tests.support.hub import LoopbackHub, use


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        yield server


def assert_equal_to_stock(upscaler: object, folder: Path) -> None:
    """In one tile, on multiples of 4, stepped by the scheduler of the files."""
    assert isinstance(upscaler, DiffusionUpscaler)
    own, stock = replace(upscaler, own_scheduler=True), Stock(StableDiffusionUpscalePipeline, folder)
    common = {"negative_prompt": "dog", "noise_level": 40}
    for size, prompt in (((16, 24), "a cat"), ((4, 4), "A Fox, in snow! 雪 🦊")):
        theirs = {**common, "prompt": prompt, "guidance_scale": 9.0}
        assert_equals_stock(own, stock, smooth(*size), theirs, **common, prompt=prompt, guidance=9, colour_fix="none")


def test_what_the_hub_has_gives_what_diffusers_gives(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the row as it is, but for the hashes of files that are others here: its files and its first repository."""
    folder = saved(tmp_path / "published")
    (folder / "tokenizer" / "special_tokens_map.json").write_text("{}")
    published.publish(hub, folder)
    tiny = published.row(folder)
    monkeypatch.setattr(catalog, "MODELS", tuple(tiny if each.key == tiny.key else each for each in catalog.MODELS))
    upscaler = loading.load("sd-x4", 4)
    assert {asked.path.split("/resolve/")[0] for asked in hub.asked} == {"/stabilityai/stable-diffusion-x4-upscaler"}
    assert len(upscaler.weights_sha256) == 3, "of the networks: text encoder, unet, vae"
    assert_equal_to_stock(upscaler, folder)


@pytest.mark.parametrize("by_name", [False, True], ids=["--weights", "UPSCALE_WEIGHTS_DIR"])
def test_a_folder_just_as_it_was_saved_gives_what_diffusers_gives(
    by_name: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokenizer is one file, where the row has three."""
    folder = saved_as_of_now(tmp_path / "sd-x4")
    assert (folder / "tokenizer" / "tokenizer.json").is_file() and not (folder / "tokenizer" / "vocab.json").exists()
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path) if by_name else "")
    assert_equal_to_stock(loading.load("sd-x4", 4, None if by_name else folder), folder)


def test_a_network_with_a_group_for_each_channel_gives_what_diffusers_gives(tmp_path: Path) -> None:
    """Of a single value at the deepest level torch makes no norm: what is smaller is padded, and tried larger."""
    folder = saved_as_of_now(tmp_path / "sd-x4", unet=tiny_unet((32, 32, 32, 32), groups=32))
    upscaler = loading.load("sd-x4", 4, folder)
    assert isinstance(upscaler, DiffusionUpscaler)
    own = replace(upscaler, own_scheduler=True)
    stock = Stock(StableDiffusionUpscalePipeline, folder)
    options = {"prompt": "a cat", "negative_prompt": "dog", "noise_level": 40}
    theirs = {**options, "guidance_scale": 9.0}
    assert_equals_stock(own, stock, smooth(16, 24), theirs, **options, guidance=9, colour_fix="none")
    for size in ((1, 1), (3, 8)):
        made = run_plain(own, smooth(*size), **options).pixels
        assert made.shape == (4 * size[0], 4 * size[1], 3) and np.isfinite(made).all()
