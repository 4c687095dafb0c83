"""DiffBIR with small networks: its authors' own results, from files as they released them, in tiles, at any size."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines import estimates
from pipelines.catalog import diffbir as rows
from pipelines.catalog.rows import Options, Stage, check_settings, find, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting, BadWeights, UpscaleError, WeightsUnavailable
from pipelines.images.picture import Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Preview, Step, finish
from pipelines.upscalers import loading
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.denoisers import (
    assert_any_size,
    assert_ends_within_one_pass,
    assert_near_whole,
    assert_repeatable,
    run,
    use,
)
from tests.support.diffbir_parts import FILES, SHORTEST, golden, parameters, save_diffbir
from tests.support.released_parts import speckled

CPU = Device("cpu")
CHECKPOINT, CONTROL, SWIN_IR = (file.path for file in FILES["diffbir"].values())


def load(folder: Path, key: str = "diffbir", scale: int = 4) -> DiffusionUpscaler:
    """By the row as it is, from a folder of one's own."""
    upscaler = loading.load(key, scale, folder)
    assert isinstance(upscaler, DiffusionUpscaler)
    return upscaler


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rows, "SHORTEST", SHORTEST)
    yield
    loading._kept.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("diffbir")
    for key in FILES:
        save_diffbir(made, key, tokenizer=True)
    return made


@pytest.fixture(scope="module")
def upscaler(folder: Path) -> DiffusionUpscaler:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(CPU, monkeypatch)
        return load(folder)


def assert_official(made: Pixels, name: str) -> None:
    """What the authors' code makes, before it cuts off what is below one level of 255."""
    expected = golden()[name] / 65535
    difference = np.abs(made[1::5, 2::5] - expected)
    assert difference.max() < 1 / 255, (difference.max(), difference.mean())
    assert difference.mean() < 0.1 / 255 and expected.std() > 0.05


@pytest.mark.parametrize(
    ("name", "key", "size", "given"),
    [
        ("v2.1 plain", "diffbir", (24, 34), {"steps": 3, "seed": 7}),
        (
            "v2.1 prompted",
            "diffbir",
            (33, 40),
            {
                "steps": 3,
                "seed": 8,
                "guidance": 3.0,
                "prompt": "a red fox",
                "negative_prompt": "blurry",
                "strength": 0.7,
            },
        ),
        ("v2.1 noisy", "diffbir", (24, 34), {"steps": 2, "seed": 9, "noise_level": 50}),
        ("v2 plain", "diffbir-v2", (24, 34), {"steps": 4, "seed": 7}),
        (
            "v2 from the image",
            "diffbir-v2",
            (24, 34),
            {"steps": 3, "seed": 7, "noise_level": 30, "start_point": "image", "prompt": "a red fox"},
        ),
    ],
)
def test_one_tile_equals_the_authors_own_code(
    name: str, key: str, size: tuple[int, int], given: dict[str, Any], folder: Path
) -> None:
    done = run(load(folder, key), speckled(*size), **given)
    assert_official(done.pixels, name)
    assert done.tiles == 1 and done.pixels.shape == (4 * size[0], 4 * size[1], 3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_convolutions_lie_as_they_are_quickest(
    dtype: Literal["float32", "bfloat16"], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the wide networks channels come first in float32 and last in half precision; the autoencoder's come last."""
    use(Device("cpu", dtype), monkeypatch)
    parts = load(folder).parts(Device("cpu", dtype))
    wide = [each for each in parts.unet.parameters() if each.ndim == 4]
    last = {each.is_contiguous(memory_format=torch.channels_last) for each in wide if min(each.shape[1:]) > 1}
    assert last == {dtype == "bfloat16"}
    narrow = [each for each in parts.vae.parameters() if each.ndim == 4 and min(each.shape[1:]) > 1]
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in narrow)


def test_by_two_works_at_that_size(folder: Path) -> None:
    """Nothing is shrunk from x4: it enlarges first."""
    done = run(load(folder, scale=2), speckled(48, 40), steps=2, seed=7)
    assert_official(done.pixels, "v2.1 by 2")
    assert done.tiling is not None and done.tiling.side == 256


def test_what_it_does_by_itself() -> None:
    common = {"colour_fix": "wavelet", "strength": 1.0, "start_point": "noise"}
    assert resolve_options(find("diffbir"), Settings()) == Options(steps=10, guidance=8.0, **common)
    assert resolve_options(find("diffbir-v2"), Settings()) == Options(steps=50, guidance=4.0, **common)
    assert find("diffbir").commercial and "forbids some uses" in find("diffbir").note


@pytest.mark.parametrize("size", [(1, 1), (9, 3)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], upscaler: DiffusionUpscaler) -> None:
    assert_any_size(upscaler, size)


@pytest.mark.parametrize(
    ("size", "scale", "worked"),
    [
        ((128, 200), 4, (512, 800)),
        ((64, 64), 4, (512, 512)),
        ((100, 150), 2, (512, 768)),
        ((1, 1), 4, (512, 512)),
        ((4097, 3), 4, (16388, 12)),
    ],
)
def test_what_is_denoised_is_never_too_small_and_a_strip_stays_one(
    size: tuple[int, int], scale: int, worked: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SHORTEST", 512)
    assert rows.work_size(*size, scale) == worked


def test_the_same_again_and_again(upscaler: DiffusionUpscaler, folder: Path) -> None:
    assert_repeatable(upscaler, load(folder), speckled(12, 20))


def test_tiles_are_near_the_whole(upscaler: DiffusionUpscaler) -> None:
    """As near as random numbers let them be."""
    assert_near_whole(upscaler, smooth(24, 60), 64, 0.9, seam=1.0, steps=1)


def test_a_run_ends_within_one_pass_and_counts_all_it_does(
    upscaler: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_ends_within_one_pass(upscaler, smooth(24, 60), 64, monkeypatch, steps=4)


def test_steps_tell_what_is_done(upscaler: DiffusionUpscaler) -> None:
    steps = list[Step]()
    finish(upscaler.run(speckled(12, 20), Settings(steps=2)), steps.append)
    assert {step.total for step in steps} == {2 + 2 + 3}
    notes = list(dict.fromkeys(step.note for step in steps))
    assert notes[0] == "upscaling plainly" and "cleaning, tile 1 of 1" in notes and "encoding, tile 1 of 1" in notes
    assert "decoding, tile 1 of 1" in notes and steps[-1].done == 7
    assert any(isinstance(step, Preview) for step in steps)


def test_the_empty_prompt_needs_no_tokenizer_and_another_one_says_so(tmp_path: Path) -> None:
    """Guidance without words is none, and a note says so."""
    bare = load(save_diffbir(tmp_path))
    done = run(bare, speckled(12, 20), steps=1)
    assert done.notes == ("no words, so no guidance",)
    with pytest.raises(
        BadSetting, match=r"^A prompt for DiffBIR takes a tokenizer, which is not here: leave the"
    ) as no:
        run(bare, speckled(12, 20), steps=1, prompt="a cat")
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("wrapped", ["state_dict", "module", "half"])
def test_files_are_read_however_they_are_wrapped(wrapped: str, tmp_path: Path, upscaler: DiffusionUpscaler) -> None:
    def wrap(state: dict[str, Tensor]) -> dict[str, Any]:
        if wrapped == "half":
            return {key: tensor.half() for key, tensor in state.items()}
        return (
            {"state_dict": state, "global_step": 5}
            if wrapped == "state_dict"
            else {f"module.{key}": tensor for key, tensor in state.items()}
        )

    read = load(save_diffbir(tmp_path, wrap=wrap)).parts(CPU)
    for ours, usual in zip(read.networks(), upscaler.parts(CPU).networks(), strict=True):
        for one, other in zip(ours.state_dict().values(), usual.state_dict().values(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-3 if wrapped == "half" else 0, rtol=1e-3)


def without(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("network", "change", "said"),
    [
        (CHECKPOINT, lambda state: {"body.0.weight": torch.ones(3)}, "is not of Stable Diffusion 2: it has body"),
        (
            CHECKPOINT,
            partial(without, "model.diffusion_model.out.2.weight"),
            "denoising network of Stable Diffusion 2: it lacks conv_out",
        ),
        (
            CHECKPOINT,
            partial(without, "first_stage_model.decoder.conv_out.bias"),
            r"autoencoder of Stable Diffusion: it lacks decoder\.conv_out",
        ),
        (CHECKPOINT, partial(without, "cond_stage_model.model.ln_final.bias"), "text encoder of Stable Diffusion 2"),
        (CONTROL, lambda state: parameters("swin_ir"), "is not of DiffBIR's control network: it has"),
        (CONTROL, partial(without, "zero_convs.3.0.bias"), "DiffBIR's control network: it lacks"),
        (CONTROL, lambda state: state | {"middle_block_out.0.bias": torch.full((128,), torch.nan)}, "no numbers or"),
        (SWIN_IR, lambda state: parameters("bsrnet"), "is not of DiffBIR's SwinIR: it has"),
        (SWIN_IR, partial(without, "norm.bias"), r"DiffBIR's SwinIR: it lacks norm\.bias"),
    ],
)
def test_files_of_another_network_are_refused(
    network: str, change: Callable[[dict[str, Tensor]], dict[str, Any]], said: str, folder: Path, tmp_path: Path
) -> None:
    for name in (CHECKPOINT, CONTROL, SWIN_IR):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / network).unlink()
    torch.save(change(torch.load(folder / network, weights_only=True)), tmp_path / network)
    with pytest.raises(BadWeights, match=said) as refused:
        load(tmp_path)
    assert network in str(refused.value) and "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("key", "name"),
    [("diffbir", CONTROL), ("diffbir-v2", "BSRNet.pth"), ("diffbir-v2", "v2-1_512-ema-pruned.safetensors")],
)
def test_what_lacks_is_named(key: str, name: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "parts", copy_function=lambda a, b: Path(b).symlink_to(a))
    for path in (tmp_path / "parts").glob(f"{name.removesuffix('.safetensors')}*"):
        path.unlink()
    with pytest.raises(UpscaleError, match=name):
        load(tmp_path / "parts", key)


def test_one_file_alone_is_not_enough(folder: Path) -> None:
    for key in FILES:
        with pytest.raises(WeightsUnavailable, match="needs several files, so give a folder that has them"):
            load(folder / CONTROL, key)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strength": 3}, "The strength is a number from 0 to 2, not 3."),
        ({"start_point": "cond"}, 'The start point is noise or image, not "cond".'),
        ({"steps": 0}, "Steps are a whole number from 1 to 200, not 0."),
        ({"prompt": "x" * 10_000}, "The prompt has at most 2000 characters, not 10000."),
    ],
)
def test_what_is_out_of_range_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as refused:
        check_settings([find("diffbir")], Settings(**given))
    assert str(refused.value) == said


def test_the_tokenizer_is_downloaded_where_there_are_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the files of every publisher, for the version that needs several."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", "")
    row = find("diffbir-v2")
    plain = loading.find_lacking([Stage(row.key, 4)])
    assert plain == [row.scales[4], *row.more]
    assert loading.find_lacking([Stage(row.key, 4)], Settings(prompt="a cat")) == [*plain, row.words]
    assert row.download(4) == sum(each.size for each in plain)


def test_a_tokenizer_beside_the_files_is_the_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing is to be downloaded for a prompt."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    for key in FILES:
        assert not [
            each
            for each in loading.find_lacking([Stage(key, 4)], Settings(prompt="a cat"))
            if each.files[0].path == "tokenizer/vocab.json"
        ]
        assert len(finish(loading.fetch([Stage(key, 4)], Settings(prompt="a cat")))[0].files) == 3


def test_time_is_told_for_what_is_denoised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small picture takes as long as one that need not be made larger for it, and one by 2 a quarter of one by 4."""
    monkeypatch.setattr(rows, "SHORTEST", 512)
    seconds = {
        (scale, side): estimates.estimate("diffbir", scale, side, side).seconds
        for scale, side in ((4, 32), (4, 128), (2, 256), (2, 128))
    }
    assert len({round(each or 0, 3) for each in seconds.values()}) == 1
