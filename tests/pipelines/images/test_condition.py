"""What an image has been through: JPEG's marks by its tables, noise by its pixels."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import BadPicture
from pipelines.images import door
from pipelines.images.condition import LUMA, Condition, estimate_noise, read_jpeg_quality
from pipelines.images.picture import Pixels, to_uint8
from tests.conftest import smooth
from ui.examples import EXAMPLES


def noisy(pixels: Pixels, deviation: float) -> Pixels:
    """The pixels with noise whose luma has that standard deviation, in levels of 255."""
    added = np.random.default_rng(0).normal(0, deviation / 255 / np.sqrt((LUMA**2).sum()), pixels.shape)
    return np.clip(pixels * 0.6 + 0.2 + added, 0, 1).astype(np.float32)


@pytest.mark.parametrize("deviation", [5.0, 10.0, 20.0])
def test_noise_is_measured(deviation: float) -> None:
    assert estimate_noise(noisy(smooth(300, 400), deviation)) == pytest.approx(deviation, rel=0.1)


def test_what_is_clean_is_not_noisy() -> None:
    """Edges, text, a drawing, and a lawn, whose texture Immerkær's estimate alone takes for 8 levels of noise."""
    assert estimate_noise(smooth(300, 400)) < 0.5
    for example in EXAMPLES:
        assert estimate_noise(door.read(example.path).pixels) < 1, example.name
    for shape in ((1, 1), (3, 40), (40, 3)):
        assert estimate_noise(np.zeros((*shape, 3), np.float32)) == 0


def save(pixels: Pixels, format_: str, **options: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(to_uint8(pixels)).save(stream, format_, **options)
    return stream.getvalue()


def test_a_jpeg_of_usual_quality_has_marks_and_one_of_the_best_has_none() -> None:
    pixels = smooth(120, 160)
    for quality, marks in ((50, True), (75, True), (95, True), (98, False), (100, False)):
        assert door.examine(save(pixels, "JPEG", quality=quality)).compressed == marks
    assert door.examine(save(pixels, "PNG")) == Condition(False, 0.0)
    assert door.examine(save(noisy(pixels, 10), "JPEG", quality=100)).noisy


def test_noise_of_a_large_image_is_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noisy.png").write_bytes(save(noisy(smooth(120, 160), 10), "PNG"))
    assert door.examine(tmp_path / "noisy.png").noisy
    (tmp_path / "noisy.png").write_bytes(save(smooth(120, 160), "PNG"))
    assert not door.examine(tmp_path / "noisy.png").noisy, "another file by that name"
    (tmp_path / "large.png").write_bytes(save(noisy(smooth(120, 160), 10), "PNG"))
    monkeypatch.setattr(door, "EXAMINED_PIXELS", 120 * 160 - 1)
    assert not door.examine(tmp_path / "large.png").noisy


def test_what_is_no_image_is_one_sentence() -> None:
    with pytest.raises(BadPicture, match="format that can be read"):
        door.examine(b"text")


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 78, 95, 97, 100])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int, mode: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(to_uint8(smooth(20, 30))).convert(mode).save(stream, "JPEG", quality=quality)
    assert door.read(stream.getvalue()).jpeg == quality


def test_what_is_no_jpeg_has_no_quality() -> None:
    stream = io.BytesIO()
    Image.fromarray(to_uint8(smooth(20, 30))).save(stream, "PNG")
    assert door.read(stream.getvalue()).jpeg is None
    assert read_jpeg_quality({}) is None
    assert read_jpeg_quality({0: [255] * 64, 1: [1] * 64}) == 1, "by the luma table alone"
