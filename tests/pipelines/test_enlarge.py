"""From Picture to Picture: what the picture was, it is again, only larger."""

import json
import math
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.enlarge import PLAIN_ALPHA, ROUNDED_GREY, Details, Enlarged, enlarge
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images import resample
from pipelines.images.picture import Depth, Picture, Pixels, Pixels8, quantise, to_uint8
from pipelines.runs import Run, Step, finish
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.loading import load
from tests.conftest import smooth


def enlarged(picture: Picture, *stages: tuple[str, int], settings: Settings | None = None) -> Enlarged:
    return finish(enlarge(picture, [load(key, scale) for key, scale in stages], settings))


def disc(size: int) -> tuple[Pixels, Pixels]:
    """A white disc with a soft rim on transparent black: pixels (H, W, 3) and alpha (H, W)."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    alpha = np.clip(size / 3 - np.hypot(rows, columns), 0, 1).astype(np.float32)
    return np.repeat((alpha > 0).astype(np.float32)[..., None], 3, axis=2), alpha


@pytest.mark.parametrize(("key", "scale"), [("nearest", 2), ("bicubic", 3), ("lanczos", 8), ("espcn", 2), ("espcn", 3)])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 2), (33, 21)])
def test_any_size_gives_exactly_s_times_it(key: str, scale: int, size: tuple[int, int], own_weights: Path) -> None:
    done = enlarged(Picture(smooth(*size), alpha=smooth(*size)[..., 0]), (key, scale))
    height, width = size[0] * scale, size[1] * scale
    assert done.picture.pixels.shape == (height, width, 3)
    assert done.picture.alpha is not None and done.picture.alpha.shape == (height, width)
    assert done.details.size == (width, height)
    assert done.picture.pixels.dtype == np.float32
    assert done.picture.pixels.min() >= 0 and done.picture.pixels.max() <= 1


@pytest.mark.parametrize("faint", [0, 1 / 65535, 1 / 255, 3 / 255])
@pytest.mark.parametrize("key", ["bicubic", "lanczos", "espcn"])
def test_no_dark_fringe_around_a_transparent_edge(key: str, faint: float, own_weights: Path) -> None:
    """Black under a part that is transparent, or nearly, must not reach the white rim: what shows is white."""
    pixels, alpha = disc(40)
    done = enlarged(Picture(pixels, alpha=np.maximum(alpha, np.float32(faint))), (key, 4))
    assert done.picture.alpha is not None
    shows = done.picture.alpha > 0.02
    assert shows.any() and done.picture.pixels[shows].min() > 0.97


def test_what_is_faint_but_alone_keeps_its_colour() -> None:
    """A soft blue shadow that is nowhere more than a twentieth: nothing else is near to take a colour from."""
    pixels = np.full((30, 30, 3), (0.1, 0.2, 0.6), np.float32)
    done = enlarged(Picture(pixels, alpha=disc(30)[1] * np.float32(0.05)), ("bicubic", 2)).picture
    assert done.alpha is not None
    assert np.abs(done.pixels[done.alpha > 0.01] - pixels[0, 0]).max() < 0.01


KERNEL = catalog.find("bicubic")
INVENTIVE = replace(KERNEL, family="diffusion")
CLEANER = catalog.find("cleaner")


@dataclass(frozen=True)
class Faulty:
    """Nearest neighbour by two, with what a network may add: a tint, and ripples all over."""

    model: Model = KERNEL
    scale: int = 2
    weights_sha256: tuple[str, ...] = ()
    weights_bytes: int = 0
    nbytes: int = 0

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        yield Step(1, 1, "faulty")
        doubled = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
        ripples = np.float32(0.02) * np.sin(np.arange(doubled.shape[1], dtype=np.float32))[:, None]
        tint = np.array([0.03, 0, -0.03], np.float32)
        return Upscaled(np.clip(doubled + ripples + tint, 0, 1))


def test_alpha_stays_exact_where_it_is_flat() -> None:
    pixels, alpha = disc(40)
    done = finish(enlarge(Picture(pixels, alpha=alpha), [Faulty()]))
    assert done.picture.alpha is not None
    assert (done.picture.alpha[38:42, 38:42] == 1).all() and (done.picture.alpha[:6, :6] == 0).all()


@dataclass(frozen=True)
class Cleaning(Faulty):
    """What makes all darker at the same size, where it is told how much, and tints it."""

    model: Model = CLEANER
    scale: int = 1

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        yield Step(1, 1, "cleaning")
        tint = np.array([0.03, 0, -0.03], np.float32)
        cleaned = np.clip(pixels * np.float32(1 - (settings.cleanup or 0)) + tint, 0, 1)
        return Upscaled(cleaned, settings={"cleanup": settings.cleanup})


def test_cleaning_up_first() -> None:
    """Of 16 bits and grey it stays so, its opacity is only upscaled, and notes and the record tell how it was made."""
    grey, alpha = np.repeat(smooth(40, 40)[..., :1], 3, axis=2), disc(40)[1]
    picture, stages = Picture(grey, alpha=alpha, grey=True, depth=16), [Cleaning(), load("bicubic", 2)]
    done = finish(enlarge(picture, stages, Settings(cleanup=0.5), size=(70, 70)))
    plain = finish(enlarge(picture, stages[1:], size=(70, 70))).picture
    assert (done.picture.grey, done.picture.depth, done.details.scale) == (True, 16, 2)
    assert done.picture.alpha is not None and plain.alpha is not None
    np.testing.assert_array_equal(done.picture.alpha, plain.alpha)
    shows = plain.alpha > 0.9
    np.testing.assert_allclose(done.picture.pixels[shows], plain.pixels[shows] / 2, atol=0.015)
    assert done.details.notes[0] == "cleaned up first by Cleaner"
    assert done.details.notes[1].startswith("made at 80 × 80 pixels, then shrunk")
    record = json.loads(done.details.about())
    assert record["model"] == "cleaner:1,bicubic:2" and record["settings"] == {"cleaner:1": {"cleanup": 0.5}}
    alone = finish(enlarge(picture, [Cleaning()]))
    assert alone.details.notes == () and alone.picture.alpha is not None
    np.testing.assert_array_equal(alone.picture.alpha, alpha)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_constant_alpha_costs_nothing_and_stays(value: float, own_weights: Path) -> None:
    picture = Picture(smooth(9, 9), alpha=np.full((9, 9), value, np.float32))
    done = enlarged(picture, ("espcn", 2))
    assert done.picture.alpha is not None and (done.picture.alpha == np.float32(value)).all()
    assert done.details.tiles == 1


@dataclass(frozen=True)
class Inventing(Faulty):
    """What makes something else of all that it is given, in the family of those that do."""

    model: Model = INVENTIVE

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        return (yield from Faulty.run(self, 1 - pixels, settings))


@pytest.mark.parametrize("depth", [8, 16])
def test_no_opacity_is_invented(depth: int) -> None:
    """It is bicubic's at the scale of all stages together, and exact where it is flat; the colours are the models'."""
    pixels, alpha = disc(40)
    done = finish(enlarge(Picture(pixels, alpha=alpha, depth=depth), [Inventing(), Faulty()]))
    assert done.picture.alpha is not None
    expected = finish(resample.enlarge(alpha[..., None], 4, "bicubic"))[..., 0]
    assert np.abs(done.picture.alpha - expected).max() < 0.02, "but for where it was flat"
    assert (done.picture.alpha[76:84, 76:84] == 1).all() and (done.picture.alpha[:12, :12] == 0).all()
    assert done.picture.pixels.mean() < 0.1, "white became black"
    assert PLAIN_ALPHA in done.details.notes


def test_a_model_that_invents_leaves_constant_opacity_alone() -> None:
    done = finish(enlarge(Picture(smooth(9, 9), alpha=np.full((9, 9), 0.4, np.float32)), [Inventing()]))
    assert done.picture.alpha is not None and (done.picture.alpha == np.float32(0.4)).all()
    assert done.details.notes == ()


def test_an_opaque_picture_is_not_touched_by_its_alpha() -> None:
    picture = Picture(smooth(20, 20))
    with_alpha = replace(picture, alpha=np.ones((20, 20), np.float32))
    plain, opaque = enlarged(picture, ("bicubic", 2)), enlarged(with_alpha, ("bicubic", 2))
    np.testing.assert_array_equal(plain.picture.pixels, opaque.picture.pixels)


def test_greyscale_comes_back_grey() -> None:
    grey = np.repeat(smooth(20, 20)[..., :1], 3, axis=2)
    done = finish(enlarge(Picture(grey, grey=True), [Faulty()])).picture
    assert done.grey
    np.testing.assert_array_equal(done.pixels[..., 0], done.pixels[..., 2])


def grey_as_colour(height: int, width: int) -> Pixels:
    return np.repeat(to_float(to_uint8(smooth(height, width)[..., :1])), 3, axis=2)


def to_float(values: Pixels8) -> Pixels:
    return np.divide(values, np.float32(255), dtype=np.float32)


def tint(pixels: Pixels) -> int:
    """The largest difference between two channels of what a file would hold, in levels of 255."""
    values = to_uint8(pixels).astype(int)
    return int((values.max(axis=2) - values.min(axis=2)).max())


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("stages", [[("swift", 2)], [("swift", 2), ("swift", 2)], [("bicubic", 2), ("swift", 4)]])
def test_a_colour_file_of_a_grey_picture_is_not_tinted(stages: list[tuple[str, int]], alpha: bool) -> None:
    """It is what the same picture gives as greyscale, and its file stays one of colours."""
    pixels = grey_as_colour(24, 30)
    picture = Picture(pixels, alpha=disc(30)[1][:24] if alpha else None)
    done, as_grey = enlarged(picture, *stages), enlarged(replace(picture, grey=True), *stages)
    assert not done.picture.grey and tint(done.picture.pixels) == 0
    assert all(tint(stage.pixels) == 0 for stage in done.stages), "the next stage would take a tint for a colour"
    np.testing.assert_array_equal(done.picture.pixels, as_grey.picture.pixels)
    assert done.details.notes == as_grey.details.notes


def test_any_file_of_a_grey_picture_comes_back_grey() -> None:
    """Whatever format wrote it: a lossy WebP's decoder gives a level of difference here and there, which is told."""
    noisy = np.random.default_rng(0).normal(0, 12, (96, 96))
    values = np.clip(to_uint8(smooth(96, 96)[..., 0]) + noisy, 0, 255).astype(np.uint8)
    image = Image.fromarray(np.repeat(values[..., None], 3, axis=2))
    told = {}
    for format_, options in (("PNG", {}), ("JPEG", {"quality": 60}), ("WEBP", {"quality": 60})):
        stream = BytesIO()
        image.save(stream, format_, **options)
        picture = images.read(stream.getvalue())
        told[format_, tint(picture.pixels)] = ROUNDED_GREY in (done := enlarged(picture, ("swift", 2))).details.notes
        assert tint(done.picture.pixels) == 0
    assert told == {("PNG", 0): False, ("JPEG", 0): False, ("WEBP", 1): True}


def test_what_has_a_colour_keeps_it() -> None:
    """One level everywhere is a colour, and so is one spot in a grey picture."""
    level, spot = np.full((20, 20, 3), 128 / 255, np.float32), grey_as_colour(20, 20)
    level[..., 2], spot[10, 10] = 129 / 255, (0.9, 0.3, 0.3)
    assert [tint(enlarged(Picture(each), ("bicubic", 2)).picture.pixels) > 0 for each in (level, spot)] == [True, True]


def test_what_cannot_bleed_keeps_every_colour() -> None:
    """Nearest repeats pixels, so those that hardly show are theirs as well, and grey or not is no question."""
    levels = np.random.default_rng(1).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    levels[:4, :, 3], levels[4:8, :, 3] = 0, 12
    picture = Picture(to_float(levels[..., :3]), alpha=to_float(levels[..., 3]))
    for stages in ([("nearest", 3)], [("nearest", 2), ("nearest", 2)]):
        scale = math.prod(scale for _, scale in stages)
        done = enlarged(picture, *stages).picture
        assert done.alpha is not None
        made = np.dstack([to_uint8(done.pixels), to_uint8(done.alpha)])
        np.testing.assert_array_equal(made, levels.repeat(scale, axis=0).repeat(scale, axis=1))


def test_depth_profile_and_exif_are_handed_on() -> None:
    picture = Picture(smooth(8, 8), depth=16, icc=b"profile", exif=b"exif", notes=("first of 3 frames",))
    done = enlarged(picture, ("bicubic", 2))
    assert (done.picture.depth, done.picture.icc, done.picture.exif) == (16, b"profile", b"exif")
    assert done.details.notes == ("first of 3 frames",)


def test_16_bits_stay_more_than_8() -> None:
    ramp = np.repeat(np.linspace(0, 1, 3000, dtype=np.float32).reshape(10, 300, 1), 3, axis=2)
    done = images.read(images.encode(enlarged(Picture(ramp, depth=16), ("bicubic", 2)).picture))
    assert done.depth == 16 and len(np.unique(done.pixels)) > 3000


def test_a_network_that_learned_from_8_bits_keeps_16(own_weights: Path) -> None:
    """12 bits in 16 as microscopes write them: a sixteenth of the range, whose 4096 levels all stay, and its values."""
    ramp = np.repeat(np.linspace(0, 4095 / 65535, 4096, dtype=np.float32).reshape(64, 64, 1), 3, axis=2)
    done = enlarged(Picture(ramp, depth=16, grey=True), ("espcn", 2))
    assert len(np.unique(quantise(done.picture.pixels, 16))) >= 4000
    expected = finish(resample.enlarge(ramp, 2, "bicubic"))
    assert np.abs(done.picture.pixels - expected)[4:-4, 4:-4].mean() < 0.1 * ramp.max()
    assert done.details.dtype == "float32" and done.details.notes == ()


def test_a_chain_multiplies_its_scales_and_keeps_float_between(own_weights: Path) -> None:
    pixels = smooth(10, 7)
    done = enlarged(Picture(pixels), ("bicubic", 4), ("bicubic", 2))
    first = finish(load("bicubic", 4).run(pixels, Settings())).pixels
    second = finish(load("bicubic", 2).run(first, Settings())).pixels
    np.testing.assert_array_equal(done.picture.pixels, second)
    assert (done.details.model, done.details.scale, done.details.size) == ("bicubic:4,bicubic:2", 8, (56, 80))


def test_a_setting_goes_to_the_stage_that_can_use_it(own_weights: Path) -> None:
    done = enlarged(Picture(smooth(40, 40)), ("bicubic", 2), ("espcn", 2), settings=Settings(tile=16))
    assert done.details.tiles > 1


def test_a_setting_that_no_stage_can_use_is_refused(own_weights: Path) -> None:
    with pytest.raises(BadSetting, match="Bicubic cannot use the setting prompt"):
        enlarged(Picture(smooth(4, 4)), ("bicubic", 2), settings=Settings(prompt="a cat"))


def test_details_name_the_file_they_ran(own_weights: Path) -> None:
    details = enlarged(Picture(smooth(8, 8)), ("espcn", 2)).details.as_dict()
    assert len(details["weights_sha256"]) == 64
    assert set(details) == {
        *("model", "scale", "size", "seconds", "device", "dtype", "tiles", "seam", "weights_sha256", "notes"),
        *("settings", "before_shrinking"),
    }
    assert enlarged(Picture(smooth(8, 8)), ("bicubic", 2)).details.weights_sha256 is None


def test_the_picture_tells_how_it_was_made(own_weights: Path, tmp_path: Path) -> None:
    """For every model, with the settings that were chosen; the same each time, so that the same run gives one file."""
    for key, settings in (("bicubic", Settings()), ("espcn", Settings(tile=64))):
        once, again = (enlarged(Picture(smooth(9, 8)), (key, 2), settings=settings) for _ in range(2))
        images.write(once.picture, tmp_path / "out.png")
        assert (tmp_path / "out.png").read_bytes() == images.encode(again.picture)
        with Image.open(tmp_path / "out.png") as image:
            assert isinstance(image, PngImagePlugin.PngImageFile)
            told = json.loads(image.text["upscale-bench"])
        details = once.details.as_dict()
        assert told == {name: details[name] for name in told} and (told["model"], told["scale"]) == (key, 2)
        assert told["settings"] == {name: getattr(settings, name) for name in settings.given()}
        assert "seconds" not in told


@pytest.mark.parametrize("name", ["children-alpha.png", "tree_alpha_16bit.png", "wolf_gray.jpg", "00017_gray.png"])
def test_real_pictures_come_back_in_kind(
    name: str, assets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(assets / "weights" / "opencv"))
    before = images.read(assets / "images" / "alpha_and_grey" / name)
    images.write(enlarged(before, ("fsrcnn", 2)).picture, tmp_path / "out.png")
    after = images.read(tmp_path / "out.png")
    assert (after.grey, after.depth, after.alpha is None) == (before.grey, before.depth, before.alpha is None)
    assert after.pixels.shape == (2 * before.pixels.shape[0], 2 * before.pixels.shape[1], 3)


def shrunk(picture: Picture, *stages: tuple[str, int], size: tuple[int, int]) -> Enlarged:
    return finish(enlarge(picture, [load(key, scale) for key, scale in stages], None, size))


def test_a_size_is_what_the_model_makes_shrunk_by_antialiased_bicubic(own_weights: Path) -> None:
    """Of 16 bits, with transparency; the record of it is in the PNG, and it is said."""
    picture = Picture(smooth(20, 30), alpha=smooth(20, 30)[..., 1], depth=16)
    whole, done = enlarged(picture, ("espcn", 3)), shrunk(picture, ("espcn", 3), size=(75, 50))
    assert done.picture.alpha is not None and whole.picture.alpha is not None
    for made, result in (
        (whole.picture.pixels, done.picture.pixels),
        (whole.picture.alpha[..., None], done.picture.alpha[..., None]),
    ):
        channels = [Image.fromarray(np.ascontiguousarray(made[..., c])) for c in range(made.shape[2])]
        expected = [np.asarray(each.resize((75, 50), Image.Resampling.BICUBIC)) for each in channels]
        np.testing.assert_allclose(result, np.stack(expected, axis=2).clip(0, 1), atol=1e-6)
    details = done.details
    assert (details.model, details.scale, details.size, details.before_shrinking) == ("espcn", 3, (75, 50), (90, 60))
    assert done.picture.depth == 16 and done.stages[-1].pixels is done.picture.pixels
    assert "made at 90 × 60 pixels, then shrunk to 75 × 50 by antialiased bicubic" in details.notes
    assert json.loads(done.picture.about or "")["size"] == [75, 50]
    rounded = replace(details, seconds=round(details.seconds, 3))
    assert Details.from_dict(json.loads(json.dumps(details.as_dict()))) == rounded


def test_a_size_that_the_model_makes_is_its_result_as_ever(own_weights: Path) -> None:
    picture = Picture(smooth(20, 30), alpha=smooth(20, 30)[..., 1])
    whole, done = enlarged(picture, ("espcn", 3)), shrunk(picture, ("espcn", 3), size=(90, 60))
    np.testing.assert_array_equal(done.picture.pixels, whole.picture.pixels)
    assert done.picture.about == whole.picture.about and done.details.before_shrinking is None
    assert done.details.notes == whole.details.notes


def test_a_model_that_runs_twice_says_so(own_weights: Path) -> None:
    done = shrunk(Picture(smooth(20, 30)), ("espcn", 3), ("espcn", 2), size=(180, 120))
    assert done.details.notes[-1] == "ESPCN has no scale this large, so it runs twice: x3, then x2"
    assert (done.details.model, done.details.before_shrinking) == ("espcn:3,espcn:2", None)
    mixed = shrunk(Picture(smooth(20, 30)), ("espcn", 3), ("bicubic", 2), size=(170, 113))
    assert not any("twice" in note for note in mixed.details.notes)


@pytest.mark.parametrize("key", ["bicubic", "nearest"])
def test_shrinking_keeps_grey_flat_opacity_and_clean_edges(key: str) -> None:
    """Hidden black must not reach the white rim, even by a model that blends nothing: shrinking does."""
    grey = Picture(np.repeat(smooth(20, 30)[..., :1], 3, axis=2), grey=True)
    pixels = shrunk(grey, (key, 3), size=(80, 53)).picture.pixels
    assert pixels.shape == (53, 80, 3) and (pixels == pixels[..., :1]).all()
    flat = shrunk(Picture(smooth(9, 9), alpha=np.full((9, 9), 0.4, np.float32)), (key, 3), size=(20, 20)).picture
    assert flat.alpha is not None and np.abs(flat.alpha - np.float32(0.4)).max() < 1e-6
    colour, alpha = disc(40)
    done = shrunk(Picture(colour, alpha=alpha), (key, 4), size=(100, 100)).picture
    assert done.alpha is not None and done.pixels[done.alpha > 0.02].min() > 0.97
