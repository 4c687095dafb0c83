"""What the server says of an image as soon as it is chosen, whatever a stranger asks about."""

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.errors import BadPicture
from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from tests.conftest import smooth
from ui.jobs import choosing
from ui.jobs.choosing import GONE, check_here, inspect_image, keep_images, look_at_image


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what visitors send."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    (tmp_path / "sent" / "one").mkdir(parents=True)
    return tmp_path / "sent" / "one"


def at(path: Path, **more: Any) -> dict[str, Any]:
    return {"path": str(path), **more}


def test_a_good_image_is_told_by_its_size(folder: Path) -> None:
    images.write(Picture(smooth(20, 30)), folder / "small.png")
    assert look_at_image(at(folder / "small.png")) == {"about": "30 × 20"}
    assert inspect_image(at(folder / "small.png")) == {}


def test_what_is_wrong_is_told_by_the_header_or_by_the_pixels(folder: Path) -> None:
    (folder / "notes.png").write_text("no image\n" * 20)
    assert "notes.png is not a" in look_at_image(at(folder / "notes.png"))["problem"]
    photo = images.encode(Picture(smooth(200, 300)), "jpeg")
    (folder / "half.jpg").write_bytes(photo[: len(photo) // 2])
    assert look_at_image(at(folder / "half.jpg")) == {"about": "300 × 200"}
    assert "half.jpg is" in inspect_image(at(folder / "half.jpg"))["problem"]


def test_a_film_is_told_to_be_one(folder: Path) -> None:
    frames = [Image.fromarray(to_uint8(smooth(20, 30 + n))).resize((30, 20)) for n in range(4)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    assert "first of 4 frames" in inspect_image(at(folder / "film.gif"))["note"]


def test_a_preview_is_the_image_but_smaller(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "PREVIEW_SIDE", 16)
    pixels = smooth(20, 31)
    images.write(Picture(pixels, alpha=pixels[..., 0].copy()), folder / "clear.png")
    made = images.read(Path(inspect_image(at(folder / "clear.png", preview=True))["preview"]))
    assert made.pixels.shape == (10, 15, 3) and made.alpha is not None
    expected = pixels[:20, :30].reshape(10, 2, 15, 2, 3).mean(axis=(1, 3))
    assert abs(made.pixels - expected).max() < 1.01 / 255


@pytest.mark.parametrize("data", [None, 5, {}, {"path": 5}, {"path": "/etc/passwd"}, {"path": "a\0b"}, {"path": ""}])
def test_only_what_visitors_sent_is_looked_at(data: Any, folder: Path) -> None:
    assert look_at_image(data) == inspect_image(data) == {"problem": GONE}


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    images.write(Picture(smooth(20, 30)), tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert look_at_image(at(folder / "link.png")) == {"problem": GONE}


def test_what_a_page_shows_is_as_new_again(folder: Path) -> None:
    """The sweeping goes by the times of what lies at the top of the folder."""
    images.write(Picture(smooth(20, 30)), folder / "small.png")
    before, gone = folder.stat().st_ctime, folder / "gone.png"
    time.sleep(0.05)
    assert keep_images({"paths": [str(folder / "small.png"), str(gone)]}) == {"missing": [str(gone)]}
    assert folder.stat().st_ctime > before
    for nonsense in (None, {}, {"paths": 5}, {"paths": [5]}):
        assert keep_images(nonsense)["missing"] in ([], ["5"])


def test_a_deleted_image_is_asked_for_again(folder: Path) -> None:
    with pytest.raises(BadPicture, match=r"^The image is no longer on the server\. Choose it again\.$"):
        check_here(folder / "gone.png")
    check_here(b"bytes")
