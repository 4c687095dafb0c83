"""What is told before a run: at once, and better after one; what was learned outlives the process."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.catalog.rows import MODELS, Size, Stage, find, find_specification
from pipelines.catalog.schema import Tiling
from pipelines.catalog.settings import Settings
from pipelines.errors import BadPicture, BadSetting, OutOfMemory
from pipelines.estimates import check_memory, estimate, estimate_each, plan_run, plan_size
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.networks.tiling import plan_tiles
from pipelines.upscalers import kept as kept_files
from pipelines.upscalers import rates
from pipelines.upscalers.rates import learn
from tests.support import painter

# On a processor without AMX.
UNMEASURED = {("edsr", scale) for scale in (2, 3, 4)} | {("srgan", scale) for scale in (2, 4, 8)}


@pytest.fixture(autouse=True)
def _new_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is learned yet, and the processor has no AMX. The cache is the test's own: see tests/conftest.py."""
    monkeypatch.setattr(rates, "_learned", None)
    monkeypatch.setattr(rates.machine, "features", frozenset)


def restart() -> None:
    rates._learned = None


def kept(tmp_path: Path) -> Path:
    path = kept_files.find(rates.FILE)
    assert tmp_path.parent in path.parents, "a test may not write into the real cache"
    return path


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    restart()


def read_pixels(width: int, height: int, side: int, overlap: int) -> int:
    """How many pixels all tiles read, one tile after another."""
    tiles = plan_tiles(height, width, side, overlap)
    return sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in tiles)


def test_every_measured_model_has_a_time() -> None:
    for model in MODELS:
        for scale in model.scales:
            unknown = estimate(model.key, scale, 100, 100).seconds is None
            assert unknown == ((model.key, scale) in UNMEASURED)


def test_time_and_memory_grow_with_the_picture() -> None:
    small, large = estimate("bicubic", 2, 500, 500), estimate("bicubic", 2, 1000, 1000)
    assert small.seconds is not None and large.seconds == pytest.approx(4 * small.seconds)
    assert large.megabytes == pytest.approx(1000 * 1000 * 5 * 12 / 1e6)


def test_a_run_teaches() -> None:
    learn("edsr", 2, 1000, 500, 40.0)
    assert estimate("edsr", 2, 500, 500).seconds == pytest.approx(20)


def test_a_look_at_the_image_takes_as_long_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cleaner took with AMX in seconds of the processor, at 256, 128 and 512 px."""
    monkeypatch.setattr(rates.machine, "features", lambda: frozenset(["amx_bf16"]))
    learn("cleaner", 1, 256, 256, 0.076, Tiling(640, 31, 240))
    for side, taken in ((128, 0.033), (512, 0.258)):
        assert estimate("cleaner", 1, side, side).seconds == pytest.approx(taken, rel=0.2)


def test_a_faster_machine_looks_faster_as_well() -> None:
    """Swift x2 on two cores of an AMD EPYC (Zen 5): seconds at 256 px, and what was told of 512 px was too little."""
    learn("swift", 2, 256, 256, 0.044, Tiling(640, 10, 816))
    assert estimate("swift", 2, 256, 256).seconds == pytest.approx(0.044)
    assert estimate("swift", 2, 512, 512).seconds == pytest.approx(0.170, rel=0.2)


def test_the_first_run_replaces_what_was_believed_and_later_ones_count_half() -> None:
    for seconds, told in ((8.0, 8.0), (4.0, 6.0), (6.0, 6.0)):
        learn("espcn", 2, 500, 500, seconds)
        assert estimate("espcn", 2, 500, 500).seconds == pytest.approx(told)


def test_another_device_is_learned_at_once() -> None:
    learn("real-esrgan", 4, 256, 256, 13.0, Tiling(288, 24, 14_000), "cpu, float32")
    learn("real-esrgan", 4, 256, 256, 0.5, Tiling(512, 24, 14_000), "cuda, float16")
    assert estimate("real-esrgan", 4, 256, 256).seconds == pytest.approx(0.5)


def test_the_memory_of_a_tile_is_told() -> None:
    bare = 1000 * 1000 * 17 * 12 / 1e6
    learn("real-esrgan", 4, 1000, 1000, 200.0, Tiling(288, 24, 10_000), "cpu, float32")
    assert estimate("real-esrgan", 4, 1000, 1000).megabytes == pytest.approx(bare + 286 * 286 * 10_000 / 1e6)


@pytest.mark.parametrize("tiling", [(256, 16), (340, 34), (160, 34), (128, 10)])
@pytest.mark.parametrize("other", [(101, 99), (300, 200), (512, 512), (1920, 1080), (4000, 30)])
def test_after_one_run_any_size_is_told_within_30_percent(other: tuple[int, int], tiling: tuple[int, int]) -> None:
    """A network's time goes with what its tiles read: so many microseconds a pixel, here two."""
    learn("real-esrgan", 4, 400, 400, 2e-6 * read_pixels(400, 400, *tiling), Tiling(*tiling))
    assert estimate("real-esrgan", 4, *other).seconds == pytest.approx(2e-6 * read_pixels(*other, *tiling), rel=0.3)


def test_the_features_that_are_kept_are_told() -> None:
    """For each pixel of the picture, however many of them a tile reads."""
    bare = 600 * 500 * 17 * 12 / 1e6
    learn("real-esrgan", 4, 1000, 1000, 40.0, Tiling(100, 5, 1000, 512), "cpu, bfloat16")
    restart()
    tile = math.prod(rows_or_columns.stop for rows_or_columns in plan_tiles(500, 600, 100, 5)[0])
    assert estimate("real-esrgan", 4, 600, 500).megabytes == pytest.approx(bare + (tile * 1000 + 300_000 * 512) / 1e6)


@pytest.mark.parametrize(
    ("features", "precision", "fast"), [("amx_bf16", "auto", 1), ("amx_bf16", "exact", 0), ("", "auto", 0)]
)
def test_what_is_believed_first_depends_on_the_processor(
    features: str, precision: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates.machine, "features", lambda: frozenset([features]))
    monkeypatch.setenv("UPSCALE_PRECISION", precision)
    seconds = estimate("real-esrgan-x4plus", 4, 512, 512).seconds
    assert seconds is not None and (seconds < 15) == fast and (seconds > 40) != fast


def test_a_tiny_picture_teaches_nothing() -> None:
    before = estimate("espcn", 2, 500, 500)
    learn("espcn", 2, 9, 9, 5.0)
    assert estimate("espcn", 2, 500, 500) == before


def test_each_stage_of_a_chain_works_on_what_the_one_before_made() -> None:
    expected = [estimate("espcn", 4, 100, 50), estimate("fsrcnn", 2, 400, 200), estimate("edsr", 2, 800, 400)]
    assert estimate_each([Stage("espcn", 4), Stage("fsrcnn", 2), Stage("edsr", 2)], 100, 50) == expected


# --- diffusion: a network that runs many times over each tile -----------------------------------------------------


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a diffusion model of 20 steps, of which each pass over 100 by 100 pixels takes 1 s."""
    painter.use(monkeypatch)
    learn("painted", 4, 100, 100, 23.0, Tiling(128, 16), "cpu, float32")
    return "painted"


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        (None, 20),
        (Settings(prompt=" "), 20),
        (Settings(prompt="a cat"), 40),
        (Settings(negative_prompt="blurred"), 40),
        (Settings(prompt="a cat", guidance=1), 20),
        (Settings(steps=5), 5),
        (Settings(prompt="a cat", steps=75, denoise=0.5), 150),
    ],
)
def test_steps_and_words_are_passes_of_the_network(painted: str, given: Settings | None, passes: int) -> None:
    told = estimate(painted, 4, 100, 100, given).seconds
    assert told == pytest.approx(passes + find_specification(find("sd-x4")).decoding)
    learn(
        painted,
        4,
        100,
        100,
        2.0 * (passes + find_specification(find("sd-x4")).decoding),
        Tiling(128, 16),
        "cuda, float16",
        given,
    )
    assert estimate(painted, 4, 100, 100).seconds == pytest.approx(2 * 23)


@pytest.mark.parametrize("feature", ["amx_bf16", "avx512_bf16"])
def test_in_bfloat16_a_pass_is_quicker_and_the_decoder_is_not(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """128 px took 1.5 s a step in bfloat16 and 12 s around them; float32 elsewhere 9 s a step and 27 s."""
    monkeypatch.setattr(rates, "has_nvidia", lambda: False)
    assert estimate("sd-x4", 4, 128, 128).seconds == pytest.approx(20 * 9 + 27, rel=0.02)
    monkeypatch.setattr(rates.machine, "features", lambda: frozenset([feature]))
    assert estimate("sd-x4", 4, 128, 128).seconds == pytest.approx(20 * 1.5 + 12, rel=0.1)
    assert estimate("ldm-x4", 4, 128, 128).seconds is not None
    learn("sd-x4", 4, 128, 128, 44.0, Tiling(128, 16), "cpu, bfloat16")
    assert estimate("sd-x4", 4, 128, 128, Settings(steps=5)).seconds == pytest.approx(7 + 13.5, rel=0.1)


def test_smaller_tiles_read_more(painted: str) -> None:
    whole, cut = (estimate(painted, 4, 100, 100, Settings(tile=tile)).seconds for tile in (128, 64))
    assert whole == pytest.approx(23) and cut == pytest.approx(23 * read_pixels(100, 100, 64, 8) / 10_000)
    nothing_to_write = estimate("real-esrgan", 4, 500, 500, Settings(tile=10))
    assert (
        nothing_to_write
        == estimate("real-esrgan", 4, 500, 500)
        != estimate("real-esrgan", 4, 500, 500, Settings(tile=64))
    )


def test_a_tile_that_was_chosen_once_is_not_the_next_runs() -> None:
    """Nor is what a tile holds forgotten."""
    before = estimate("sd-x4", 4, 512, 512)
    assert before.seconds is not None
    halves = estimate("sd-x4", 4, 512, 512, Settings(tile=64))
    assert halves.seconds is not None and halves.megabytes < before.megabytes
    held = 70_000
    learn("sd-x4", 4, 512, 512, halves.seconds, Tiling(64, 8, held), settings=Settings(tile=64))
    after = estimate("sd-x4", 4, 512, 512)
    assert after.megabytes == before.megabytes
    assert after.seconds == pytest.approx(before.seconds)


def test_a_processor_is_told_from_a_gpu(painted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "has_nvidia", lambda: False)
    on_cpu = estimate("sd-x4", 4, 128, 128)
    monkeypatch.setattr(rates, "has_nvidia", lambda: True)
    on_gpu = estimate("sd-x4", 4, 128, 128)
    assert on_cpu.on_cpu and not on_gpu.on_cpu
    assert on_cpu.seconds is not None and on_gpu.seconds is not None and on_cpu.seconds > 50 * on_gpu.seconds
    assert estimate(painted, 4, 128, 128).on_cpu, "what was measured here counts"


# --- what outlives the process ------------------------------------------------------------------------------------


def test_what_was_learned_outlives_the_process(tmp_path: Path) -> None:
    learn("edsr", 2, 1000, 500, 40.0)
    learn("real-esrgan", 8, 1000, 500, 70.0, Tiling(132, 16, 1000), "cuda, float16")
    told = [estimate("edsr", 2, 300, 300), estimate("real-esrgan", 8, 300, 300)]
    restart()
    assert [estimate("edsr", 2, 300, 300), estimate("real-esrgan", 8, 300, 300)] == told
    assert kept(tmp_path).is_file()


def test_another_processor_has_to_learn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    learn("edsr", 2, 1000, 500, 40.0)
    restart()
    monkeypatch.setattr(kept_files.machine, "processor", lambda: "another one")
    assert estimate("edsr", 2, 500, 500).seconds is None


def test_a_processor_of_that_name_that_multiplies_otherwise_has_to_learn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    learn("edsr", 2, 1000, 500, 40.0)
    restart()
    monkeypatch.setattr(kept_files.machine, "features", lambda: frozenset({"amx_bf16"}))
    assert estimate("edsr", 2, 500, 500).seconds != 20.0


def test_another_precision_has_to_learn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    learn("edsr", 2, 1000, 500, 40.0)
    restart()
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    assert estimate("edsr", 2, 500, 500).seconds is None


def test_another_count_of_passes_has_to_learn_anew(painted: str, tmp_path: Path) -> None:
    """The seconds are those of a pass: what was kept when none or others were counted around denoising says nothing."""
    learn(painted, 4, 100, 100, 46.0, Tiling(128, 16), "cpu, float32")
    restart()
    assert estimate(painted, 4, 100, 100).seconds == pytest.approx((23 + 46) / 2)
    told = json.loads(kept(tmp_path).read_text())
    (rate,) = [each for each in told["rates"] if each["model"] == painted]
    assert rate["passes"] == 23
    believed = estimate("sd-x4", 4, 100, 100).seconds
    for change in ({"passes": 29}, {"passes": "23"}, {"device": "cpu, bfloat16"}, {"passes": None}):
        write(kept(tmp_path), told | {"rates": [GOOD, rate | change]})
        assert estimate(painted, 4, 100, 100).seconds == believed
        assert estimate("edsr", 2, 1000, 1000).seconds == 2.0, "all else still counts"
    del rate["passes"]
    write(kept(tmp_path), told | {"rates": [GOOD, rate]})
    assert estimate(painted, 4, 100, 100).seconds == believed


GOOD = {"model": "edsr", "scale": 2, "seconds": 2.0, "tiling": None, "device": "cpu"}


@pytest.mark.parametrize(
    "kept_rates",
    [
        [GOOD | {"seconds": "fast"}],
        [GOOD | {"seconds": None}],
        [GOOD | {"seconds": float("nan")}],
        [GOOD | {"seconds": float("inf")}],
        [GOOD | {"seconds": -1}],
        [GOOD | {"tiling": [0, 0, 0]}],
        [GOOD | {"tiling": [20, 10, 0]}],
        [GOOD | {"tiling": [20, -1, 0]}],
        [GOOD | {"tiling": [20.5, 1, 0]}],
        [GOOD | {"tiling": ["20", 1, 0]}],
        [GOOD | {"tiling": [20]}],
        [GOOD | {"tiling": [20, 1, -5]}],
        [GOOD | {"surplus": 1}],
        [GOOD | {"model": ["edsr"]}],
        [{"model": "edsr", "scale": 2}],
        [{}],
        [7],
        7,
        None,
    ],
    ids=str,
)
def test_a_damaged_file_counts_for_nothing(kept_rates: Any, tmp_path: Path) -> None:
    write(kept(tmp_path), {"machine": kept_files.describe_machine(), "rates": [GOOD]})
    assert estimate("edsr", 2, 1000, 1000).seconds == 2.0
    write(kept(tmp_path), {"machine": kept_files.describe_machine(), "rates": kept_rates})
    assert estimate("edsr", 2, 1000, 1000).seconds is None
    learn("edsr", 2, 1000, 1000, 3.0)
    restart()
    assert estimate("edsr", 2, 1000, 1000).seconds == 3.0


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "null", "{}", "\0\xff", "[" * 100_000])
def test_a_file_that_is_not_ours_counts_for_nothing(content: str, tmp_path: Path) -> None:
    write(kept(tmp_path), content)
    assert estimate("edsr", 2, 1000, 1000).seconds is None


def test_bytes_that_are_no_text_count_for_nothing(tmp_path: Path) -> None:
    write(kept(tmp_path), "")
    kept(tmp_path).write_bytes(b"\xff\xfe\x00")
    assert estimate("edsr", 2, 1000, 1000).seconds is None


@pytest.mark.parametrize("blocked", ["a folder has the file's name", "a file has the folder's name"])
def test_a_cache_that_cannot_be_written_does_no_harm(blocked: str, tmp_path: Path) -> None:
    path = kept(tmp_path)
    if blocked.startswith("a folder"):
        path.mkdir(parents=True)
    else:
        path.parent.parent.mkdir(parents=True)
        path.parent.write_text("")
    assert estimate("edsr", 2, 1000, 500).seconds is None
    learn("edsr", 2, 1000, 500, 40.0)
    assert estimate("edsr", 2, 500, 500).seconds == pytest.approx(20)


def test_a_size_is_planned_before_anything_runs() -> None:
    exact = plan_size("swift", Size(factor=4), 30, 20)
    assert (exact.stages, exact.made, exact.size, exact.notes) == ((Stage("swift", 4),), (120, 80), (120, 80), ())
    between = plan_size("swift", Size(width=75), 30, 20)
    assert (between.stages, between.made, between.size) == ((Stage("swift", 3),), (90, 60), (75, 50))
    assert between.notes == ("made at 90 × 60 pixels, then shrunk to 75 × 50 by antialiased bicubic",)
    twice = plan_size("sd-x4", Size(height=120), 30, 20)
    assert (twice.stages, twice.made, twice.size) == ((Stage("sd-x4", 4),) * 2, (480, 320), (180, 120))
    assert "so it runs twice: x4, then x4" in twice.notes[0]


def test_a_size_beyond_a_model_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"^Stable Diffusion x2 reaches at most x4\.$"):
        plan_size("sd-x2", Size(factor=5), 30, 20)
    with pytest.raises(BadSetting, match=r"x4, which 200x is beyond for 30 by 20 pixels\.$"):
        plan_size("sd-x2", Size(width=200), 30, 20)
    with pytest.raises(BadSetting, match="did you mean swift"):
        plan_size("swiftt", Size(factor=4), 30, 20)


def test_what_is_made_on_the_way_to_a_size_is_counted() -> None:
    """A result of 100 by 100 from 400 by 400 pixels of twelve bytes, encoded at four more a pixel, from 100 by 100."""
    needed = 100 * 100 * 12 + 400 * 400 * 12 + 100 * 100 * 16
    check_memory((100, 100), 4, needed, (100, 100))
    with pytest.raises(OutOfMemory, match=r"A result of 100 by 100 pixels takes at least 2\.2 MB"):
        check_memory((100, 100), 4, needed - 1, (100, 100))


def test_limits_are_for_what_is_made_and_formats_for_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, stages = Picture(np.zeros((10, 5000, 3), np.float32)), [Stage("bicubic", 4)]
    assert plan_run(picture, stages, tmp_path / "out.webp", size=(16000, 32)).result == (16000, 32)
    with pytest.raises(BadSetting, match="WebP holds at most 16383 pixels a side"):
        plan_run(picture, stages, tmp_path / "out.webp", size=(20000, 40))
    path = tmp_path / "in.png"
    images.write(picture, path)
    monkeypatch.setenv("UPSCALE_MAX_OUTPUT_MEGAPIXELS", "0.7")
    with pytest.raises(
        BadPicture, match=r"in\.png at x4 would be 20000 by 40 pixels, 0\.8 megapixels: the limit is 0\."
    ):
        plan_run(path, stages, size=(16000, 32))
