"""The diffusion engine with a tiny network: diffusers' own pipeline's results, in tiles, at any size."""

import logging
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionUpscalePipeline

from pipelines.catalog.rows import Options, resolve_options
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting, BadWeights, OutOfMemory
from pipelines.images.picture import Pixels
from pipelines.images.resample import enlarge
from pipelines.networks.devices import Device
from pipelines.runs import Preview, Step, finish, noted
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.diffusion import denoising
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.parts import PromptedParts
from pipelines.upscalers.diffusion.preview import fit_colours
from pipelines.upscalers.diffusion.prompt import embed_prompt
from pipelines.upscalers.diffusion.scheduler import DiffusersScheduler
from tests.conftest import smooth
from tests.support import denoisers
from tests.support.denoisers import use
from tests.support.diffusion_parts import MODEL, loaded, saved

EXACT = replace(denoisers.FOUR, colour_fix="none")
SIZES = [(24, 32), (20, 12), (4, 36)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> DiffusionUpscaler:
    return loaded(folder)


@pytest.fixture(autouse=True)
def _processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(Device("cpu"), monkeypatch)
    with denoisers.one_thread():
        yield


def run(upscaler: DiffusionUpscaler, pixels: Pixels, **changes: Any) -> Upscaled:
    return finish(upscaler.run(pixels, replace(EXACT, **changes)))


def no_memory(*args: Any, **kwargs: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def stock(folder: Path, pixels: Pixels, **arguments: Any) -> Pixels:
    """What diffusers' pipeline makes of it, with the scheduler of the files."""
    return denoisers.stock(StableDiffusionUpscalePipeline, folder, pixels, **arguments)


# --- diffusers' own result ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("prompt", "negative", "guidance"), [("a cat", "", 9.0), ("a cat", "dog", 3.0), ("", "", 1.0)])
def test_one_tile_equals_diffusers(
    prompt: str, negative: str, guidance: float, size: tuple[int, int], folder: Path, tiny: DiffusionUpscaler
) -> None:
    pixels, own = smooth(*size), replace(tiny, own_scheduler=True)
    done = run(own, pixels, prompt=prompt, negative_prompt=negative, guidance=guidance, noise_level=40)
    words = {"prompt": prompt, "negative_prompt": negative, "guidance_scale": guidance}
    np.testing.assert_allclose(done.pixels, stock(folder, pixels, noise_level=40, **words), atol=1e-4)
    assert done.pixels.std() > 0.1 and done.tiles == 1
    assert done.settings["scheduler"] == "DDIMScheduler"


def test_a_network_that_predicts_noise_equals_diffusers(tmp_path: Path) -> None:
    folder, pixels = saved(tmp_path, prediction="epsilon"), smooth(24, 20)
    done = run(loaded(folder, own_scheduler=True), pixels, prompt="a cat")
    np.testing.assert_allclose(done.pixels, stock(folder, pixels, prompt="a cat"), atol=1e-4)


def test_a_scheduler_that_draws_noise_equals_diffusers(folder: Path, tiny: DiffusionUpscaler) -> None:
    """DDPM adds noise at each step, from the run's own generator."""
    everything = tiny.parts(Device("cpu"))
    drawing = replace(everything, scheduler={**everything.scheduler, "_class_name": "DDPMScheduler"})
    own = replace(tiny, own_scheduler=True, placed={Device("cpu"): drawing})
    pipeline = StableDiffusionUpscalePipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = own.parts(Device("cpu")).make_scheduler(4, "cpu", own=True).wrapped
    image, generator = torch.from_numpy(smooth(12, 16)).permute(2, 0, 1)[None], torch.Generator().manual_seed(11)
    expected = pipeline(
        prompt="a cat", image=image, num_inference_steps=4, generator=generator, output_type="np"
    ).images[0]
    done = run(own, smooth(12, 16), prompt="a cat")
    assert done.settings["scheduler"] == "DDPMScheduler"
    np.testing.assert_allclose(done.pixels, expected, atol=1e-4)


def test_dpm_is_the_default_and_equals_diffusers_with_it(folder: Path, tiny: DiffusionUpscaler) -> None:
    pipeline = StableDiffusionUpscalePipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = tiny.parts(Device("cpu")).make_scheduler(4, "cpu").wrapped
    assert type(pipeline.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    image = torch.from_numpy(smooth(16, 24)).permute(2, 0, 1)[None]
    generator = torch.Generator().manual_seed(11)
    expected = pipeline(
        prompt="a cat", image=image, num_inference_steps=4, generator=generator, output_type="np"
    ).images[0]
    done = run(tiny, smooth(16, 24), prompt="a cat")
    np.testing.assert_allclose(done.pixels, expected, atol=1e-4)
    assert done.settings["scheduler"] == "DPM++ 2M"


# --- settings -----------------------------------------------------------------------------------------------------


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
def test_each_setting_counts(change: dict[str, Any], tiny: DiffusionUpscaler) -> None:
    before, after = (run(tiny, smooth(12, 16), **{"prompt": "a cat", **changes}) for changes in ({}, change))
    assert np.abs(after.pixels - before.pixels).mean() > 2e-3
    assert {name for name, value in after.settings.items() if value != before.settings[name]} == {*change}


def test_the_same_seed_gives_the_same_picture(tiny: DiffusionUpscaler, folder: Path) -> None:
    denoisers.assert_repeatable(tiny, loaded(folder), smooth(12, 16))


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
    given: dict[str, Any], passes: int, said: tuple[str, ...], tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = denoisers.each_pass(tiny, monkeypatch)
    done = run(tiny, smooth(8, 8), **given)
    assert sizes == [passes] * 4
    assert done.notes == said


def test_it_tells_every_choice_of_a_run(tiny: DiffusionUpscaler) -> None:
    """What was not given too: a later version may choose otherwise. Blanks around words do not count."""
    usual = {"prompt": "", "negative_prompt": "", "steps": 20, "guidance": 9.0, "noise_level": 20, "seed": 0}
    left = finish(tiny.run(smooth(4, 4), Settings()))
    assert left.settings == {**usual, "colour_fix": "wavelet", "tile": 128, "scheduler": "DPM++ 2M"}
    given = Settings(100, 7, " a cat ", "dog", 3, 2.5, 40, "adain")
    told = dict(finish(tiny.run(smooth(4, 4), given)).settings)
    assert told.pop("scheduler") == "DPM++ 2M"
    assert Settings(**told) == replace(given, prompt="a cat", tile=96), "a tile is a multiple of 8"


def test_words_beyond_what_is_read_are_told(tiny: DiffusionUpscaler) -> None:
    """Fourteen tokens, which are letters here."""
    fits, cut = (run(tiny, smooth(8, 8), prompt=prompt) for prompt in ("a " * 14, "a " * 14 + "b c"))
    assert cut.notes[-1] == "the prompt was cut: 14 of its 16 tokens were read"
    assert fits.notes == ()
    np.testing.assert_array_equal(cut.pixels, fits.pixels)


def test_words_beyond_what_is_read_are_told_in_the_note_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """transformers would warn of them, once for each tokenizer, on the terminal."""
    library = logging.getLogger("transformers")
    library.addHandler(caplog.handler)
    try:
        run(loaded(folder), smooth(8, 8), prompt="a " * 40)
    finally:
        library.removeHandler(caplog.handler)
    assert caplog.messages == []


def test_words_may_be_read_by_several_threads(tiny: DiffusionUpscaler) -> None:
    parts = tiny.parts(Device("cpu"))
    assert isinstance(parts, PromptedParts)
    asked = [Options(prompt="a cat " * (1 + number % 5), guidance=9.0) for number in range(400)]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda options: embed_prompt(parts, options), asked))
    for options, words in zip(asked[:5], read[-5:], strict=True):
        alone = embed_prompt(parts, options)
        torch.testing.assert_close(words.embedding, alone.embedding)
        assert words.notes == alone.notes


@pytest.mark.parametrize("prompt", ["犬 🐕‍🦺", "\x00\x1b[31m", "<|endoftext|> <|startoftext|>", "​", "x " * 1000])
def test_any_words_may_be_asked_for(prompt: str, tiny: DiffusionUpscaler) -> None:
    assert np.isfinite(run(tiny, smooth(4, 4), prompt=prompt, steps=1).pixels).all()


@pytest.mark.parametrize("tile", [31, 513, 0, True, "64", 64.0])
def test_a_tile_out_of_range_is_refused(tile: Any, tiny: DiffusionUpscaler) -> None:
    with pytest.raises(BadSetting, match=rf"^A tile for Tiny x4 has 32 to 512 pixels a side, not {tile}\.$"):
        run(tiny, smooth(4, 4), tile=tile)


def test_a_setting_out_of_range_is_refused_before_anything_is_run(tiny: DiffusionUpscaler) -> None:
    with pytest.raises(BadSetting, match="Steps are a whole number"):
        next(tiny.run(smooth(4, 4), Settings(steps=0)))


# --- sizes and tiles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (3, 41), (2, 5), (37, 70)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], tiny: DiffusionUpscaler) -> None:
    denoisers.assert_any_size(tiny, size)


@pytest.mark.parametrize("size", [(96, 80), (90, 75)])
def test_tiles_are_near_the_whole(size: tuple[int, int], tiny: DiffusionUpscaler) -> None:
    """Of another plan and so another padding too, but of the same noise."""
    denoisers.assert_near_whole(tiny, smooth(*size), 64, 0.3, prompt="a cat", colour_fix="none")


def test_a_flat_picture_shows_no_grid(tiny: DiffusionUpscaler) -> None:
    """Neighbouring columns differ no more where one tile hands over to the next than elsewhere."""
    done = run(tiny, np.full((40, 150, 3), 0.5, np.float32), tile=64, steps=8).pixels
    differences = np.abs(np.diff(done, axis=1)).mean(axis=(0, 2))
    cut = denoising.Cut(40, 152, 64, 8, 1)
    handovers = {tile.columns.first for tile in cut.tiles} - {0}
    assert len(handovers) >= 2
    for place in handovers:
        near = differences[4 * place - 8 : 4 * place + 8]
        assert near.mean() < 1.15 * differences.mean() and near.max() < 1.1 * np.percentile(differences, 99.5)


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
    batch: int, tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = smooth(70, 150)
    alone = run(tiny, pixels, prompt="a cat", tile=64, steps=2)
    shapes = set()
    unet = tiny.parts(Device("cpu")).unet
    forward = unet.forward
    monkeypatch.setattr(unet, "forward", lambda tiles, *a, **k: shapes.add(tiles.shape) or forward(tiles, *a, **k))
    use(Device("cpu", batch=batch), monkeypatch)
    together = replace(tiny, placed={Device("cpu", batch=batch): tiny.parts(Device("cpu"))})
    done = run(together, pixels, prompt="a cat", tile=64, steps=2)
    np.testing.assert_allclose(done.pixels, alone.pixels, atol=1e-4)
    assert len(shapes) == 1


def test_colours_are_brought_back(tiny: DiffusionUpscaler) -> None:
    pixels = smooth(40, 40)
    plain = finish(enlarge(pixels, 4, "bicubic"))
    errors = {}
    for how in ("none", "wavelet", "adain"):
        made = run(tiny, pixels, colour_fix=how).pixels
        errors[how] = np.abs(made.mean((0, 1)) - plain.mean((0, 1))).max()
    assert errors["wavelet"] < 0.3 * errors["none"] and errors["adain"] < 0.3 * errors["none"]


def test_pixels_that_may_not_be_written(tiny: DiffusionUpscaler) -> None:
    pixels = smooth(8, 8)
    pixels.flags.writeable = False
    before = pixels.copy()
    run(tiny, pixels, colour_fix="adain")
    np.testing.assert_array_equal(pixels, before)


# --- steps, previews, cancelling ----------------------------------------------------------------------------------


def test_steps_count_every_tile_of_every_step(tiny: DiffusionUpscaler) -> None:
    steps: list[Step] = []
    done = finish(tiny.run(smooth(40, 90), replace(EXACT, tile=64, prompt="a cat")), steps.append)
    counted = steps[1:]
    assert done.tiles == 2 and {step.total for step in counted} == {2 * 2 * 4 + 3 * 2}
    assert [step.done for step in counted] == sorted(step.done for step in counted)
    assert counted[-1].done == counted[-1].total and counted[-1].note == "decoding, tile 2 of 2"
    notes = list(dict.fromkeys(step.note for step in counted))
    assert notes[:3] == ["step 1 of 4, tile 1 of 2", "step 1 of 4, tile 2 of 2", "step 2 of 4, tile 1 of 2"]


def test_a_run_ends_within_one_pass_of_the_network(tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    denoisers.assert_ends_within_one_pass(tiny, smooth(40, 150), 64, monkeypatch, colour_fix="none")


def test_previews_look_like_the_picture_and_cross_a_pipe(tiny: DiffusionUpscaler) -> None:
    """Those of the last steps; the map is fitted to the small picture, so a latent of it has about its colour."""
    previews: list[Preview] = []
    pixels = smooth(33, 300)
    finish(
        noted(tiny.run(pixels, replace(EXACT, steps=16)), "Tiny: "),
        lambda s: isinstance(s, Preview) and previews.append(s),
    )
    assert 5 <= len(previews) <= 9
    last = pickle.loads(pickle.dumps(previews[-1]))
    assert last.note.startswith("Tiny: step") and last.picture.dtype == np.uint8
    assert last.picture.shape == (20, 152, 3)  # of 40 by 304 latents, two by two
    assert not np.array_equal(previews[0].picture, previews[-1].picture)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_preview_is_of_the_picture_without_its_noise(prediction: str) -> None:
    """From what the network predicts when it is right."""
    scheduler = DDIMScheduler(prediction_type=prediction)
    ours = DiffusersScheduler({"_class_name": "DDIMScheduler", "prediction_type": prediction}, 4, "cpu")
    picture, noise = torch.rand(1, 4, 5, 6), torch.randn(1, 4, 5, 6)
    time = torch.tensor(400)
    predicted = scheduler.get_velocity(picture, noise, time) if prediction == "v_prediction" else noise
    clean = ours.to_clean(predicted, time, scheduler.add_noise(picture, noise, time))
    torch.testing.assert_close(clean, picture, atol=1e-4, rtol=0)


def test_the_map_to_colours_is_the_best_linear_one(tiny: DiffusionUpscaler) -> None:
    everything = tiny.parts(Device("cpu"))
    pixels = smooth(32, 24)
    plain = torch.from_numpy(finish(enlarge(pixels, 4, "bicubic"))).permute(2, 0, 1)[None]
    with torch.inference_mode():
        colours = fit_colours(everything, pixels)
        latents = everything.vae.encode(2 * plain - 1).latent_dist.mode() * 0.08333
        painted = colours.paint(latents) / 255
    assert painted.shape == pixels.shape
    assert np.abs(painted - pixels).mean() < 0.8 * np.abs(pixels - pixels.mean((0, 1))).mean()


# --- precision and memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "bound"), [("float16", 0.01), ("bfloat16", 0.03)])
def test_low_precision_is_near(
    dtype: Any, bound: float, tiny: DiffusionUpscaler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = run(tiny, smooth(24, 24), prompt="a cat")
    use(Device("cpu", dtype), monkeypatch)
    low = loaded(folder)
    done = run(low, smooth(24, 24), prompt="a cat")
    placed = low.parts(Device("cpu", dtype))
    assert done.dtype == dtype and str(placed.unet.dtype).endswith(dtype) and placed.vae.dtype == torch.float32
    assert 0 < np.sqrt(np.square(done.pixels - exact.pixels).mean()) < bound


def test_what_overflows_in_half_precision_comes_out_right(
    folder: Path, tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = run(tiny, smooth(12, 12))
    use(Device("cpu", "float16"), monkeypatch)
    low = loaded(folder)
    passes: list[torch.dtype] = []

    def overflow(unet: Any, tiles: Any, made: tuple[torch.Tensor]) -> Any:
        passes.append(unet.dtype)
        return (made[0] * torch.inf,) if len(passes) == 2 else made

    low.parts(Device("cpu", "float16")).unet.register_forward_hook(overflow)
    done = run(low, smooth(12, 12))
    assert done.notes[-1] == "a tile was too much for float16: float32 from there on"
    assert passes == [torch.float16] * 2 + [torch.float32] * 3
    assert np.sqrt(np.square(done.pixels - exact.pixels).mean()) < 0.01


def test_too_little_memory_for_float32_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: the network does not become smaller by smaller tiles."""
    use(Device("cpu", "float16"), monkeypatch)
    low = loaded(folder)
    unet = low.parts(Device("cpu", "float16")).unet
    monkeypatch.setattr(unet, "forward", lambda tiles, *a, **k: (tiles[:, :4] * torch.inf,))
    monkeypatch.setattr(type(unet), "float", no_memory)
    with pytest.raises(OutOfMemory, match=r"^A tile was too much for float16, and memory is too short for the network"):
        run(low, smooth(8, 8))


@pytest.mark.parametrize("method", ["to", "eval"])
def test_too_little_memory_to_load_is_a_memory_error(
    method: str, folder: Path, tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(tiny.parts(Device("cpu")).unet), method, no_memory)
    with pytest.raises(MemoryError):
        loaded(folder)


def test_too_little_memory_to_try_the_parts_is_not_the_files_fault(
    folder: Path, tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(tiny.parts(Device("cpu")).unet), "forward", no_memory)
    with pytest.raises(MemoryError):
        loaded(folder)


def test_too_little_memory_for_what_the_network_is_told_is_a_memory_error(
    tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising.Predictor, "__init__", no_memory)
    with pytest.raises(MemoryError):
        run(tiny, smooth(8, 8))


def test_what_is_no_number_in_float32_is_said(folder: Path) -> None:
    broken = loaded(folder)
    broken.parts(Device("cpu")).unet.conv_in.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(BadWeights, match=r"^The network gives no finite numbers for this picture\.$"):
        run(broken, smooth(8, 8))


def test_too_little_memory_is_smaller_tiles_and_then_said(
    tiny: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tiny, smooth(96, 80), prompt="a cat")
    unet = tiny.parts(Device("cpu")).unet
    forward, largest = unet.forward, 60

    def short(tiles: torch.Tensor, *a: Any, **k: Any) -> Any:
        if max(tiles.shape) > largest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(tiles, *a, **k)

    monkeypatch.setattr(unet, "forward", short)
    done = run(tiny, smooth(96, 80), prompt="a cat")
    assert done.notes[-1] == "memory ran short: tiles were cut to 48 px" and done.tiles > 4
    assert np.sqrt(np.square(done.pixels - whole.pixels).mean()) < 0.5 * whole.pixels.std()
    largest = 20
    with pytest.raises(OutOfMemory, match=r"^Not enough memory even for a tile of 32 pixels a side\.$"):
        run(tiny, smooth(96, 80))
