"""What the page chooses for an image, and why: by what the image has been through, and what is here."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Weights
from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from tests.conftest import NOWHERE, smooth
from tests.support import hub
from ui.widgets import advice
from ui.widgets.advice import advise, explain_unfit, fit_scale, offer_scales

JPEG = io.BytesIO()
Image.fromarray(to_uint8(smooth(60, 80))).save(JPEG, "JPEG", quality=75)
DAMAGE = "This JPEG has compression marks."


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    pixels = smooth(200, 200) * 0.5 + 0.25 + np.random.default_rng(0).normal(0, 0.08, (200, 200, 3))
    images.write(Picture(pixels.astype(np.float32)), tmp_path / "noisy.png")
    return tmp_path / "noisy.png"


def test_a_clean_image_keeps_the_faithful_one_without_a_word(tmp_path: Path) -> None:
    images.write(Picture(smooth(60, 80)), tmp_path / "clean.png")
    for image in (tmp_path / "clean.png", None, b"no image"):
        told = advise(image)
        assert (told.purpose.key, told.why) == ("faithful", "")


@pytest.mark.usefixtures("own_networks")
def test_a_damaged_image_is_a_photo_where_its_model_is_here(noisy: Path) -> None:
    told = advise(JPEG.getvalue())
    assert (told.purpose.key, told.why) == ("photo", f"{DAMAGE} Photo removes them.")
    told = advise(noisy)
    assert (told.purpose.key, told.why) == ("photo", "This image is noisy. Photo removes noise.")


def test_it_is_a_photo_too_where_the_model_can_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.use(NOWHERE, tmp_path, monkeypatch)
    told = advise(JPEG.getvalue())
    assert (told.purpose.key, told.why) == ("photo", f"{DAMAGE} Photo removes them (4.9 MB download).")


def test_offline_the_faithful_one_stays_and_the_page_says_why(noisy: Path) -> None:
    told = advise(JPEG.getvalue())
    lacking = "Photo would remove them, but its download (4.9 MB) is unavailable"
    assert (told.purpose.key, told.why) == (
        "faithful",
        f"{DAMAGE} {lacking}, so Faithful is chosen. It removes them too, but sharpens less.",
    )
    assert advise(noisy).why.endswith("so Faithful is chosen. It is ready."), "of noise it removes little"


def test_a_host_that_did_not_answer_is_not_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.use(NOWHERE, tmp_path, monkeypatch)
    monkeypatch.setattr("pipelines.weights.fetch.was_unreachable", lambda host: host == "github.com")
    assert advise(JPEG.getvalue()).purpose.key == "faithful"


def test_scales_that_pass_the_limit_say_so_and_the_largest_that_fits_is_taken() -> None:
    swift, phone = catalog.find("swift"), (4032, 3024)
    options = offer_scales(swift, phone)
    assert [option.never for option in options] == ["", "", "x4 would be 195 megapixels, the limit is 128.", ""]
    assert [fit_scale(options, wanted) for wanted in ("x4", "x2", "custom")] == ["x3", "x2", "custom"]
    assert explain_unfit(options) == "x4 would be 195 megapixels, the limit is 128. x3 is the largest that fits."
    assert explain_unfit(offer_scales(swift, (100, 100))) == explain_unfit(offer_scales(swift, None)) == ""


def test_a_model_without_the_wanted_scale_gets_the_next_one() -> None:
    lapsrn = offer_scales(catalog.find("lapsrn"), (10, 10))
    assert [fit_scale(lapsrn, scale) for scale in ("x2", "x3", "x8")] == ["x2", "x2", "x8"]
    assert fit_scale(offer_scales(catalog.find("sd-x4"), None), "x2") == "x4"


def test_where_no_scale_fits_the_smallest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_OUTPUT_MEGAPIXELS", "0.001")
    options = offer_scales(catalog.find("swift"), (100, 100))
    assert fit_scale(options, "x4") == "x2" and explain_unfit(options) == options[0].never


def test_what_is_lacking_is_told_unless_a_run_says_what_is_wrong(tmp_path: Path) -> None:
    (missing,) = advice.list_missing(catalog.find("real-esrgan-general"), 4)
    assert isinstance(missing, Weights) and missing.size == 4_885_111
    assert advice.list_missing(catalog.find("swift"), 4) == []
    assert advice.list_missing(catalog.find("espcn"), 8) == ()
