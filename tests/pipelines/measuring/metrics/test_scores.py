"""MSE, PSNR, consistency and all scores together, against hand-computed values, scikit-image and each other."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from pipelines.images.picture import to_uint8
from pipelines.images.resample import enlarge
from pipelines.measuring.metrics import pixelwise, ssim
from pipelines.measuring.metrics.consistency import consistency_psnr
from pipelines.measuring.metrics.metric import Sample, Scores
from pipelines.measuring.metrics.pixelwise import luma
from pipelines.measuring.metrics.scores import METRICS, no_judges, score
from pipelines.measuring.rows import WRITTEN
from pipelines.runs import finish
from tests.pipelines.measuring.metrics.test_ssim import by_scikit_image
from tests.support.pictures import KINDS, pair, ramp

NOT_HERE = "its files are not here"
WITHOUT_FILES = tuple(f"{key}: {NOT_HERE}" for key in ("lpips", "dists", "niqe"))


def scored(
    reference: npt.NDArray[np.uint8], output: npt.NDArray[np.uint8], low: npt.NDArray[np.uint8], scale: int
) -> Scores:
    """Every score that needs no files."""
    return finish(score(Sample(reference, output, low, scale, no_judges(NOT_HERE))))


def shrunk(picture: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint8]:
    """By Pillow, in float32 for each channel alone, and rounded."""
    size = (picture.shape[1] // scale, picture.shape[0] // scale)
    planes = [picture[..., c] for c in range(3)] if picture.ndim == 3 else [picture]
    resized = [np.asarray(Image.fromarray(p.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)) for p in planes]
    rounded = np.rint(np.stack(resized, axis=-1)).clip(0, 255).astype(np.uint8)
    return rounded if picture.ndim == 3 else rounded[..., 0]


def test_differences_do_not_wrap_around() -> None:
    """Of uint8, 10 - 200 is 66."""
    reference, output = np.array([[10, 0], [200, 7]], np.uint8), np.array([[200, 255], [10, 7]], np.uint8)
    assert pixelwise.mse(reference, output) == (190**2 + 255**2 + 190**2) / 4
    assert pixelwise.psnr(reference, output) == pytest.approx(10 * np.log10(65025 / 34306.25))


@pytest.mark.parametrize("kind", KINDS)
def test_mse_and_psnr_equal_scikit_image(kind: str) -> None:
    x, y = pair(kind, 61, 47)
    for one, other in ((x, y), (x[..., 0], y[..., 0]), (luma(x), luma(y))):
        assert pixelwise.mse(one, other) == pytest.approx(mean_squared_error(one, other), abs=1e-9)
        assert pixelwise.psnr(one, other) == pytest.approx(
            peak_signal_noise_ratio(one, other, data_range=255), abs=1e-9
        )


def test_luma_is_bt_601_unrounded() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(luma(colours), [[16, 235, 81.481, 144.553, 40.966]], atol=1e-12)
    grey = np.array([[0, 100, 255]], np.uint8)
    np.testing.assert_array_equal(luma(grey), grey)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grey", [False, True])
def test_all_at_once_equal_each_alone(kind: str, grey: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In strips, of which the last is short and odd."""
    monkeypatch.setattr(ssim, "SSIM_STRIP_VALUES", 1)
    monkeypatch.setattr(ssim, "LEAST_STRIP_ROWS", 6)
    x, y = pair(kind, 195, 186)
    x, y = (x[..., 1], y[..., 1]) if grey else (x, y)
    low = shrunk(x, 3)
    scores = scored(x, y, low, 3)
    inner = (x[3:-3, 3:-3], y[3:-3, 3:-3])
    lumas = (luma(inner[0]), luma(inner[1]))
    expected = {
        "mse": pixelwise.mse(*inner),
        "psnr": pixelwise.psnr(*inner),
        "ssim": by_scikit_image(*inner),
        "mse_y": pixelwise.mse(*lumas),
        "psnr_y": pixelwise.psnr(*lumas),
        "ssim_y": by_scikit_image(*lumas),
        "ms_ssim": pixelwise.ms_ssim(*lumas),
        "consistency_psnr": consistency_psnr(y, low, 3),
    }
    assert {name: scores.values[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert scores.values["lpips"] is None and scores.notes == WITHOUT_FILES


def test_scores_have_every_metric_of_the_results() -> None:
    x, y = pair("random", 24, 24)
    assert {metric.key for metric in METRICS} == set(scored(x, y, shrunk(x, 2), 2).values) == set(WRITTEN)


def test_equal_pictures() -> None:
    x, _ = pair("random", 184, 184)
    scores = scored(x, x, shrunk(x, 2), 2)
    assert (
        scores.values["mse"],
        scores.values["mse_y"],
        scores.values["psnr"],
        scores.values["psnr_y"],
        scores.values["consistency_psnr"],
    ) == (0, 0, None, None, None)
    assert (scores.values["ssim"], scores.values["ssim_y"], scores.values["ms_ssim"]) == pytest.approx((1, 1, 1))
    assert scores.notes == (
        "psnr is infinite: inside the border the images are equal",
        "psnr_y is infinite: inside the border the images are equal",
        *WITHOUT_FILES,
        "consistency_psnr is infinite: shrunk, the output equals the small image",
    )
    assert pixelwise.psnr(x, x) is None and consistency_psnr(x, shrunk(x, 2), 2) is None


def test_only_the_border_differs() -> None:
    x, _ = pair("random", 24, 24)
    framed = np.full_like(x, 0)
    framed[2:-2, 2:-2] = x[2:-2, 2:-2]
    assert scored(x, framed, shrunk(x, 2), 2).values["mse"] == 0
    framed[2, 2] ^= 1
    assert scored(x, framed, shrunk(x, 2), 2).values["mse"] == 3 / (20 * 20 * 3)


def test_small_pictures_lose_metrics_one_by_one() -> None:
    def of(side: int) -> Scores:
        x, y = pair("random", side, side)
        return scored(x, y, shrunk(x, 4), 4)

    large, medium, small, border = of(184), of(180), of(16), of(8)
    assert None not in (
        large.values["ms_ssim"],
        medium.values["ssim"],
        small.values["mse"],
        border.values["consistency_psnr"],
    )
    assert medium.values["ms_ssim"] is None and large.notes == WITHOUT_FILES
    assert medium.notes[0] == "ms_ssim needs 176 pixels a side after the border is cropped; here are 172"
    assert small.values["ssim"] is None and small.values["ssim_y"] is None
    assert small.notes[0] == "ssim and ssim_y need 11 pixels a side after the border is cropped; here are 8"
    assert (border.values["mse"], border.values["psnr_y"], border.values["ssim"], border.values["ms_ssim"]) == (
        None,
        None,
        None,
        None,
    )
    assert border.notes[0] == "mse, psnr, ssim and ms_ssim have nothing to compare: the border is all there is"


def test_the_smallest_pictures() -> None:
    x, y = pair("random", 2, 2)
    scores = scored(x, y, shrunk(x, 2), 2)
    assert scores.values["mse"] is None and scores.values["consistency_psnr"] is not None


@pytest.mark.parametrize(
    ("reference", "output", "low"),
    [
        ((24, 24, 3), (24, 26, 3), (12, 12, 3)),
        ((24, 24), (24, 24, 3), (12, 12, 3)),
        ((24, 24, 3), (24, 24, 3), (12, 13, 3)),
        ((24, 24, 3), (24, 24, 3), (12, 12)),
        ((25, 24, 3), (25, 24, 3), (12, 12, 3)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    reference: tuple[int, ...], output: tuple[int, ...], low: tuple[int, ...]
) -> None:
    pictures = [np.zeros(shape, np.uint8) for shape in (reference, output, low)]
    with pytest.raises(ValueError):
        scored(pictures[0], pictures[1], pictures[2], 2)


def test_only_8_bits_are_scored() -> None:
    """A float picture in [0, 1] would look nearly perfect."""
    x, y = pair("random", 24, 24)
    with pytest.raises(ValueError, match="uint8"):
        scored(x / 255, y / 255, shrunk(x, 2), 2)


@pytest.mark.parametrize("grey", [False, True])
def test_consistency_is_the_psnr_of_the_shrunk_output(grey: bool) -> None:
    x, y = pair("shapes", 64, 48)
    x, y = (x[..., 1], y[..., 1]) if grey else (x, y)
    expected = peak_signal_noise_ratio(shrunk(x, 4), shrunk(y, 4), data_range=255)
    assert consistency_psnr(y, shrunk(x, 4), 4) == pytest.approx(expected, abs=0.01)


def test_consistency_shows_a_shift_and_needs_no_original() -> None:
    low = shrunk(ramp(96, 96), 2)
    enlarged = np.asarray(Image.fromarray(low).resize((96, 96), Image.Resampling.BICUBIC))
    faithful, shifted = (consistency_psnr(np.roll(enlarged, by, axis=1), low, 2) for by in (0, 2))
    assert faithful is not None and shifted is not None
    assert faithful > 40 and shifted < faithful - 8


def test_every_part_shows_steps() -> None:
    x, y = pair("random", 200, 200)
    notes = [step.note for step in score(Sample(x, y, shrunk(x, 2), 2, no_judges(NOT_HERE)))]
    assert list(dict.fromkeys(notes)) == ["comparing pixels", "SSIM", "consistency: strips"]


@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)])
def test_bicubic_on_set5_is_what_papers_say(scale: int, psnr: float, ssim: float, assets: Path) -> None:
    """The literature's figures for Set5; each score also equals scikit-image's."""
    all_scores = []
    for path in sorted((assets / "images" / "Set5" / "HR").glob("*.png")):
        (low_path,) = (assets / "images" / "Set5" / "LR_bicubic" / f"X{scale}").glob(f"{path.stem}*.png")
        low = np.asarray(Image.open(low_path).convert("RGB"))
        output = to_uint8(finish(enlarge(low.astype(np.float32) / np.float32(255), scale, "bicubic")))
        reference = np.asarray(Image.open(path).convert("RGB"))[: output.shape[0], : output.shape[1]]
        scores = scored(reference, output, low, scale)
        inner = [picture[scale:-scale, scale:-scale] for picture in (reference, output)]
        assert scores.values["ssim"] == pytest.approx(by_scikit_image(*inner), abs=1e-9)
        assert scores.values["ssim_y"] == pytest.approx(by_scikit_image(*map(luma, inner)), abs=1e-9)
        all_scores.append(scores)
    assert len(all_scores) == 5
    assert np.mean([scores.values["psnr_y"] for scores in all_scores]) == pytest.approx(psnr, abs=0.03)
    assert np.mean([scores.values["ssim_y"] for scores in all_scores]) == pytest.approx(ssim, abs=0.002)


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, pipelines.measuring.metrics.scores; print({'torch', 'cv2', 'scipy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
