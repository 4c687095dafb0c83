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
from pipelines.measuring.metrics import scores as metrics
from pipelines.measuring.metrics import ssim
from pipelines.measuring.metrics.scores import Scores, luma, score
from pipelines.measuring.rows import METRICS
from pipelines.runs import finish
from tests.pipelines.measuring.metrics.test_ssim import by_scikit_image
from tests.support.pictures import KINDS, pair, ramp

NOT_HERE = "its files are not here"


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
    assert metrics.mse(reference, output) == (190**2 + 255**2 + 190**2) / 4
    assert metrics.psnr(reference, output) == pytest.approx(10 * np.log10(65025 / 34306.25))


@pytest.mark.parametrize("kind", KINDS)
def test_mse_and_psnr_equal_scikit_image(kind: str) -> None:
    x, y = pair(kind, 61, 47)
    for one, other in ((x, y), (x[..., 0], y[..., 0]), (luma(x), luma(y))):
        assert metrics.mse(one, other) == pytest.approx(mean_squared_error(one, other), abs=1e-9)
        assert metrics.psnr(one, other) == pytest.approx(peak_signal_noise_ratio(one, other, data_range=255), abs=1e-9)


def test_luma_is_bt_601_unrounded() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(luma(colours), [[16, 235, 81.481, 144.553, 40.966]], atol=1e-12)
    grey = np.array([[0, 100, 255]], np.uint8)
    np.testing.assert_array_equal(luma(grey), grey)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grey", [False, True])
def test_all_at_once_equal_each_alone(kind: str, grey: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In strips, of which the last is short and odd."""
    monkeypatch.setattr(ssim, "STRIP_VALUES", 1)
    monkeypatch.setattr(ssim, "STRIP_ROWS", 6)
    x, y = pair(kind, 195, 186)
    x, y = (x[..., 1], y[..., 1]) if grey else (x, y)
    low = shrunk(x, 3)
    scores = finish(score(x, y, low, 3, NOT_HERE))
    inner = (x[3:-3, 3:-3], y[3:-3, 3:-3])
    lumas = (luma(inner[0]), luma(inner[1]))
    expected = {
        "mse": metrics.mse(*inner),
        "psnr": metrics.psnr(*inner),
        "ssim": by_scikit_image(*inner),
        "mse_y": metrics.mse(*lumas),
        "psnr_y": metrics.psnr(*lumas),
        "ssim_y": by_scikit_image(*lumas),
        "ms_ssim": metrics.ms_ssim(*lumas),
        "consistency_psnr": metrics.consistency_psnr(y, low, 3),
    }
    assert {name: getattr(scores, name) for name in expected} == pytest.approx(expected, abs=1e-9)
    assert (scores.lpips, scores.notes) == (None, (f"lpips: {NOT_HERE}",))


def test_scores_have_every_metric_of_the_results() -> None:
    assert {metric.key for metric in METRICS} == set(Scores.__dataclass_fields__) - {"notes"}


def test_equal_pictures() -> None:
    x, _ = pair("random", 184, 184)
    scores = finish(score(x, x, shrunk(x, 2), 2, NOT_HERE))
    assert (scores.mse, scores.mse_y, scores.psnr, scores.psnr_y, scores.consistency_psnr) == (0, 0, None, None, None)
    assert (scores.ssim, scores.ssim_y, scores.ms_ssim) == pytest.approx((1, 1, 1))
    assert scores.notes == (
        "psnr is infinite: inside the border the pictures are equal",
        "psnr_y is infinite: inside the border the pictures are equal",
        f"lpips: {NOT_HERE}",
        "consistency_psnr is infinite: shrunk, the output equals the small picture",
    )
    assert metrics.psnr(x, x) is None and metrics.consistency_psnr(x, shrunk(x, 2), 2) is None


def test_only_the_border_differs() -> None:
    x, _ = pair("random", 24, 24)
    framed = np.full_like(x, 0)
    framed[2:-2, 2:-2] = x[2:-2, 2:-2]
    assert finish(score(x, framed, shrunk(x, 2), 2, NOT_HERE)).mse == 0
    framed[2, 2] ^= 1
    assert finish(score(x, framed, shrunk(x, 2), 2, NOT_HERE)).mse == 3 / (20 * 20 * 3)


def test_small_pictures_lose_metrics_one_by_one() -> None:
    def of(side: int) -> Scores:
        x, y = pair("random", side, side)
        return finish(score(x, y, shrunk(x, 4), 4, NOT_HERE))

    large, medium, small, border = of(184), of(180), of(16), of(8)
    assert None not in (large.ms_ssim, medium.ssim, small.mse, border.consistency_psnr)
    assert medium.ms_ssim is None and large.notes == (f"lpips: {NOT_HERE}",)
    assert medium.notes[0] == "ms_ssim needs 176 pixels a side after the border is cropped; here are 172"
    assert small.ssim is None and small.ssim_y is None
    assert small.notes[0] == "ssim and ssim_y need 11 pixels a side after the border is cropped; here are 8"
    assert (border.mse, border.psnr_y, border.ssim, border.ms_ssim) == (None, None, None, None)
    assert border.notes[0] == "mse, psnr, ssim and ms_ssim have nothing to compare: the border is all there is"


def test_the_smallest_pictures() -> None:
    x, y = pair("random", 2, 2)
    scores = finish(score(x, y, shrunk(x, 2), 2, NOT_HERE))
    assert scores.mse is None and scores.consistency_psnr is not None


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
        finish(score(pictures[0], pictures[1], pictures[2], 2, NOT_HERE))


def test_only_8_bits_are_scored() -> None:
    """A float picture in [0, 1] would look nearly perfect."""
    x, y = pair("random", 24, 24)
    with pytest.raises(ValueError, match="uint8"):
        finish(score(x / 255, y / 255, shrunk(x, 2), 2, NOT_HERE))


@pytest.mark.parametrize("grey", [False, True])
def test_consistency_is_the_psnr_of_the_shrunk_output(grey: bool) -> None:
    x, y = pair("shapes", 64, 48)
    x, y = (x[..., 1], y[..., 1]) if grey else (x, y)
    expected = peak_signal_noise_ratio(shrunk(x, 4), shrunk(y, 4), data_range=255)
    assert metrics.consistency_psnr(y, shrunk(x, 4), 4) == pytest.approx(expected, abs=0.01)


def test_consistency_shows_a_shift_and_needs_no_original() -> None:
    low = shrunk(ramp(96, 96), 2)
    enlarged = np.asarray(Image.fromarray(low).resize((96, 96), Image.Resampling.BICUBIC))
    faithful, shifted = (metrics.consistency_psnr(np.roll(enlarged, by, axis=1), low, 2) for by in (0, 2))
    assert faithful is not None and shifted is not None
    assert faithful > 40 and shifted < faithful - 8


def test_every_part_shows_steps() -> None:
    x, y = pair("random", 200, 200)
    notes = [step.note for step in score(x, y, shrunk(x, 2), 2, NOT_HERE)]
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
        scores = finish(score(reference, output, low, scale, NOT_HERE))
        inner = [picture[scale:-scale, scale:-scale] for picture in (reference, output)]
        assert scores.ssim == pytest.approx(by_scikit_image(*inner), abs=1e-9)
        assert scores.ssim_y == pytest.approx(by_scikit_image(*map(luma, inner)), abs=1e-9)
        all_scores.append(scores)
    assert len(all_scores) == 5
    assert np.mean([scores.psnr_y for scores in all_scores]) == pytest.approx(psnr, abs=0.03)
    assert np.mean([scores.ssim_y for scores in all_scores]) == pytest.approx(ssim, abs=0.002)


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, pipelines.measuring.metrics.scores; print({'torch', 'cv2', 'scipy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
