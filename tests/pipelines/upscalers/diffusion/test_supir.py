"""SUPIR with small networks: its authors' own results, from files as they released them, in tiles, at any size."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipelines import benchmark, estimates, write
from pipelines.catalog import supir as rows
from pipelines.catalog.rows import Options, Stage, check_settings, find, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.images.picture import Picture, Pixels
from pipelines.networks.devices import Device
from pipelines.runs import Preview, Step, finish
from pipelines.upscalers import loading
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.restoring_sampler import RestoringScheduler
from tests.conftest import smooth
from tests.support.denoisers import (
    assert_any_size,
    assert_ends_within_one_pass,
    assert_near_whole,
    assert_repeatable,
    run,
    use,
)
from tests.support.released_parts import speckled
from tests.support.supir_parts import FILES, SHORTEST, golden, save_supir

CPU = Device("cpu")
OWN = FILES["supir"].path
BARE = {"prompt": "", "negative_prompt": ""}  # one pass a step, and quicker


def load(folder: Path, key: str = "supir", scale: int = 4) -> DiffusionUpscaler:
    """By the row as it is, from a folder of one's own."""
    upscaler = loading.load(key, scale, folder)
    assert isinstance(upscaler, DiffusionUpscaler)
    return upscaler


@pytest.fixture(autouse=True)
def _small_and_accepted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rows, "SHORTEST", SHORTEST)
    monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
    yield
    loading._kept.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_supir(tmp_path_factory.mktemp("supir"))


@pytest.fixture(scope="module")
def upscaler(folder: Path) -> DiffusionUpscaler:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(CPU, monkeypatch)
        monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
        return load(folder)


def assert_official(made: Pixels, name: str) -> None:
    """What the authors' code makes."""
    expected = golden()[name] / 65535
    difference = np.abs(made[1::5, 2::5] - expected)
    assert difference.max() < 1 / 255, (difference.max(), difference.mean())
    assert difference.mean() < 0.1 / 255 and expected.std() > 0.05


@pytest.mark.parametrize(
    ("name", "size", "given"),
    [
        ("plain", (32, 40), {"steps": 3, "seed": 7}),
        (
            "prompted",
            (32, 36),
            {"steps": 3, "seed": 8, "guidance": 3.0, "prompt": "a red fox", "negative_prompt": "blurry"}
            | {"strength": 0.8},
        ),
        ("drawn to the image", (32, 40), {"steps": 5, "seed": 9, "start_point": "image"}),
    ],
)
def test_one_tile_equals_the_authors_own_code(
    name: str, size: tuple[int, int], given: dict[str, Any], upscaler: DiffusionUpscaler
) -> None:
    done = run(upscaler, speckled(*size), **given)
    assert_official(done.pixels, name)
    assert done.tiles == 1 and done.pixels.shape == (4 * size[0], 4 * size[1], 3)


def test_by_two_works_at_that_size(folder: Path) -> None:
    """Nothing is shrunk from x4: it enlarges first."""
    done = run(load(folder, scale=2), speckled(64, 80), steps=2, seed=7)
    assert_official(done.pixels, "by 2")
    assert done.tiling is not None and done.tiling.side == 512


def test_creativity_is_guidance_strength_and_noise_and_is_recorded(upscaler: DiffusionUpscaler) -> None:
    """What it is beside settings of their own, the record tells by its name: it gives the same picture again."""
    pixels, given = speckled(12, 20), {"steps": 2, "seed": 3, "colour_fix": "none"}
    free = run(upscaler, pixels, creativity="high", **given)
    assert (free.settings["creativity"], free.settings["guidance"], free.settings["strength"]) == ("high", 6.0, 0.93)
    again = {name: value for name, value in free.settings.items() if name != "scheduler"}
    np.testing.assert_array_equal(run(upscaler, pixels, **again).pixels, free.pixels)
    del again["creativity"]
    assert np.abs(run(upscaler, pixels, **again).pixels - free.pixels).max() > 1 / 255, "the noise is another"
    plain, low = run(upscaler, pixels, **given), run(upscaler, pixels, creativity="low", **given)
    np.testing.assert_array_equal(low.pixels, plain.pixels)
    assert plain.settings["creativity"] is None and low.settings == plain.settings, "it does so by itself"


def test_the_scheduler_knows_what_the_parts_hold(upscaler: DiffusionUpscaler) -> None:
    """But for what a creativity says of it."""
    parts = upscaler.parts(Device("cpu"))
    still = replace(parts, scheduler={**parts.scheduler, "churn": 0.0, "noise": 1.0})
    for level, noise in ((None, 1.0), ("high", 1.02)):
        scheduler = still.make_scheduler(Options(steps=4, creativity=level), "cpu")
        assert isinstance(scheduler, RestoringScheduler)
        assert (scheduler.schedule["churn"], scheduler.schedule["noise"]) == (0.0, noise)


def test_what_it_does_by_itself() -> None:
    """Words of ours for what to keep away from, and none of a visitor's, but as the authors have it."""
    for key in FILES:
        row = find(key)
        expected = Options(steps=50, guidance=4.0, negative_prompt=rows.NEGATIVE, colour_fix="wavelet")
        assert resolve_options(row, Settings()) == expected and expected.guided
        assert not row.commercial and row.terms == "supir" and "licence must be accepted" in row.note


@pytest.mark.parametrize("size", [(1, 1), (9, 3)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], upscaler: DiffusionUpscaler) -> None:
    assert_any_size(upscaler, size)


@pytest.mark.parametrize(
    ("size", "worked"), [((256, 300), (1024, 1200)), ((64, 64), (1024, 1024)), ((4097, 3), (16388, 12))]
)
def test_what_is_denoised_is_never_too_small_and_a_strip_stays_one(
    size: tuple[int, int], worked: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SHORTEST", 1024)
    assert rows.work_size(*size, 4) == worked


def test_the_same_again_and_again(upscaler: DiffusionUpscaler, folder: Path) -> None:
    assert_repeatable(upscaler, load(folder), speckled(12, 20))


def test_tiles_are_near_the_whole(upscaler: DiffusionUpscaler) -> None:
    """As near as random numbers let them be."""
    assert_near_whole(upscaler, smooth(32, 100), 64, 0.9, seam=1.0, steps=1)


def test_a_run_ends_within_one_pass_and_counts_all_it_does(
    upscaler: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_ends_within_one_pass(upscaler, smooth(32, 100), 64, monkeypatch, steps=4)


def test_steps_tell_what_is_done(upscaler: DiffusionUpscaler) -> None:
    steps = list[Step]()
    finish(upscaler.run(speckled(12, 20), Settings(steps=2, start_point="image", **BARE)), steps.append)
    assert {step.total for step in steps} == {2 + 2 + 1}
    assert [step.done for step in steps] == sorted(step.done for step in steps) and steps[-1].done == 5
    notes = list(dict.fromkeys(step.note for step in steps))
    assert notes[:4] == ["upscaling plainly", "reading the words", "encoding, tile 1 of 1", "cleaning, tile 1 of 1"]
    assert "decoding, tile 1 of 1" in notes
    assert any(isinstance(step, Preview) for step in steps)


def test_in_a_chain_with_transparency_in_grey_and_of_16_bits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once it is accepted, what makes the result again does not say so."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    monkeypatch.setenv("UPSCALE_ACCEPT", "")
    grey = smooth(6, 8).mean(axis=2, keepdims=True).repeat(3, axis=2)
    picture = Picture(grey, alpha=smooth(6, 8)[..., 0], grey=True, depth=16)
    settings = Settings(steps=1, accept_licence=True, **BARE)
    made = finish(enlarge_by(picture, [Stage("supir", 4), Stage("bicubic", 2)], settings))
    assert made.picture.pixels.shape == (48, 64, 3) and made.picture.depth == 16
    assert np.ptp(made.picture.pixels, axis=2).max() == 0 and made.picture.alpha is not None
    assert made.details.settings["supir:4"]["steps"] == 1 and "accept" not in made.details.about()


def test_it_is_compared_once_it_is_accepted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    write(Picture(smooth(24, 32)), tmp_path / "in.png")
    monkeypatch.setenv("UPSCALE_ACCEPT", "")
    (row,) = benchmark(tmp_path / "in.png", "supir", 2, repeats=0).rows
    assert row.error is not None and "its licence must be accepted first" in row.error
    (row,) = benchmark(tmp_path / "in.png", "supir", 2, repeats=0, accept_licence=True).rows
    assert row.error is None and row.scores["mse"] is not None and "licence" not in str(row.notes)


def without(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize("wrapped", ["state_dict", "half", "whole"])
def test_files_are_read_however_they_are_wrapped(wrapped: str, tmp_path: Path, upscaler: DiffusionUpscaler) -> None:
    """The authors' own are checkpoints; one with all of Stable Diffusion XL in it says more than is asked for."""

    def wrap(state: dict[str, Tensor]) -> dict[str, Any]:
        if wrapped == "half":
            return {key: tensor.half() for key, tensor in state.items()}
        more = {"model.diffusion_model.out.0.weight": torch.ones(3)} if wrapped == "whole" else {}
        return {"state_dict": state | more, "global_step": 5}

    read = load(save_supir(tmp_path, wrap=wrap)).parts(CPU)
    for ours, usual in zip(read.networks(), upscaler.parts(CPU).networks(), strict=True):
        for one, other in zip(ours.state_dict().values(), usual.state_dict().values(), strict=True):
            torch.testing.assert_close(one, other, atol=2e-3 if wrapped == "half" else 0, rtol=1e-3)


_HINT, _JOIN = "model.control_model.input_hint_block.0.weight", "model.diffusion_model.project_modules.4.zero_mul.bias"
_CLEANER = "first_stage_model.denoise_encoder.conv_out.bias"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: {"body.0.weight": torch.ones(3)}, "is not of SUPIR: it has body"),
        (partial(without, _HINT), r"is not of SUPIR: it lacks controlnet_cond_embedding\.weight"),
        (partial(without, _JOIN), r"is not of SUPIR: it lacks 4\.zero_mul\.bias"),
        (partial(without, _CLEANER), r"is not of SUPIR: it lacks conv_out\.bias"),
        (lambda state: state | {_JOIN: torch.ones(7)}, r"is not of SUPIR: 4\.zero_mul\.bias differs"),
        (lambda state: state | {_HINT.replace("0", "1"): torch.ones(7)}, "is not of SUPIR: it has more than that"),
        (lambda state: state | {_CLEANER: state[_CLEANER] * torch.nan}, "no numbers or"),
    ],
)
def test_files_of_another_network_are_refused(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], said: str, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "parts", copy_function=lambda a, b: Path(b).symlink_to(a))
    (tmp_path / "parts" / OWN).unlink()
    save_file(change(load_file(folder / OWN)), tmp_path / "parts" / OWN)
    with pytest.raises(BadWeights, match=said) as refused:
        load(tmp_path / "parts")
    assert OWN in str(refused.value) and "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize("name", [OWN, "unet/diffusion_pytorch_model.fp16.safetensors", "text_encoder_2/config.json"])
def test_what_lacks_is_named(name: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "parts", copy_function=lambda a, b: Path(b).symlink_to(a))
    (tmp_path / "parts" / name.replace(".fp16", "")).unlink()
    with pytest.raises(WeightsUnavailable, match=name):
        load(tmp_path / "parts")


def test_another_pipelines_folder_and_one_file_alone_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="needs several files, so give a folder that has them"):
        load(folder / OWN)
    shutil.copytree(folder, tmp_path / "parts", copy_function=lambda a, b: Path(b).symlink_to(a))
    (tmp_path / "parts" / "model_index.json").unlink()
    (tmp_path / "parts" / "model_index.json").write_text('{"_class_name": "StableDiffusionUpscalePipeline"}')
    with pytest.raises(WeightsUnavailable, match="another pipeline than diffusers' StableDiffusionXLPipeline"):
        load(tmp_path / "parts")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strength": 3}, "The strength is a number from 0 to 2, not 3."),
        ({"steps": 0}, "Steps are a whole number from 1 to 200, not 0."),
        ({"prompt": "x" * 10_000}, "The prompt has at most 2000 characters, not 10000."),
        ({"noise_level": 20}, "SUPIR cannot use the setting noise level."),
        ({"creativity": "wild"}, 'Creativity is low, medium or high, not "wild".'),
        ({"accept_licence": "yes"}, 'Accept licence is true or false, not "yes".'),
    ],
)
def test_what_is_out_of_range_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as refused:
        check_settings([find("supir")], Settings(**given))
    assert str(refused.value) == said


def test_all_files_are_downloaded_and_both_versions_share_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", "")
    lacking = loading.find_lacking([Stage("supir", 4), Stage("supir-f", 2)], Settings(prompt="a cat"))
    assert lacking == [find("supir").scales[4], rows.STABLE_DIFFUSION_XL, find("supir-f").scales[2]]
    assert 9.6e9 < find("supir").download(4) < 9.7e9
    assert [file.pin for file in rows.STABLE_DIFFUSION_XL.files if file.learned] == ["sha256"] * 4


def test_time_is_told_for_what_is_denoised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small picture takes as long as one that need not be made larger for it, and one by 2 a quarter of one by 4."""
    monkeypatch.setattr(rows, "SHORTEST", 1024)
    seconds = {
        (scale, side): estimates.estimate("supir", scale, side, side).seconds
        for scale, side in ((4, 32), (4, 256), (2, 512), (2, 256))
    }
    assert len({round(each or 0, 3) for each in seconds.values()}) == 1
