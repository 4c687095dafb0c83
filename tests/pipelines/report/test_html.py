"""The report as a file that is opened in a browser: at both widths, light and dark, and on paper."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from pipelines.images.picture import to_uint8
from pipelines.measuring.run import METRICS, ROUND_TRIP, Row
from pipelines.report.crops import MissingSection, PictureSection, picture_section
from pipelines.report.report import to_html
from tests.conftest import smooth, visit
from tests.support.rows import report_of, row, several, with_scores

HOSTILE = '<img src="http://stray.invalid/x.png" onerror="alert(1)">\'{{ 7*7 }}\udcff.png'
MODELS = ("nearest", "bicubic", "real-esrgan-general", "lapsrn:4,fsrcnn:2")


def scored(model: str, image: str, better: float) -> Row:
    """A row with every score, the better the more."""
    return row(
        model, image, mse=90 - better, mse_y=70 - better, psnr=28 + better, psnr_y=30 + better, ssim=0.8 + better / 50,
        ssim_y=0.82 + better / 50, ms_ssim=0.95 + better / 200, lpips=0.3 - better / 20, consistency_psnr=40 - better,
        seconds=0.02 * 10**better, runs=1 if better > 2 else 5, peak_mb=100.0 + better, params=20_000,
        weights_bytes=86_000, weights_sha256="ab" * 32, stage_seconds=(0.5, 0.1) if "," in model else None,
        notes=("It ran in 4 tiles.",) if better > 2 else (),
    )  # fmt: skip


def picture(name: str) -> PictureSection:
    """A picture of which each method made something else."""
    original = to_uint8(smooth(160, 240))
    outputs = {model: partial(np.roll, original, shift, axis=1) for shift, model in enumerate(MODELS)}
    return picture_section(name, original, original[::8, ::8], outputs)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several pictures, one of a hostile name, a chain, a failure: everything that a report can hold."""
    rows = [
        scored(model, name, better + number / 9)
        for number, name in enumerate(["a-rather-long-name-of-a-photograph.jpg", HOSTILE, *"bcdefg"])
        for better, model in enumerate(MODELS)
    ]
    rows.append(row("edsr", HOSTILE, error="EDSR_x2.pb (40 MB) cannot be had: <b>no</b> network."))
    report = report_of(rows, command=f"python -m pipelines benchmark '{HOSTILE}'", machine={"name": HOSTILE})
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(to_html(report, [picture(HOSTILE)]))
    return path


@pytest.fixture
def opened(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The file, opened from the disk; it may ask for nothing else, and nothing may go wrong in it."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, file.as_uri(), alone=True) as page:
        troubles: list[object] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.goto(file.as_uri())
        yield page
        assert troubles == []


@pytest.mark.parametrize(
    "opened", [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")], indirect=True, ids=str
)
def test_it_fits_and_everyone_can_read_it(opened: Page) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    problems = Axe().run(opened).response["violations"]
    assert [each["id"] for each in problems if each["impact"] in ("serious", "critical")] == []
    assert opened.locator("img").evaluate_all("all => all.every(each => each.naturalWidth > 0)")


@pytest.mark.parametrize("opened", [(390, "light")], indirect=True)
def test_at_390_px_crops_stand_in_two_columns_and_tables_scroll_inside(opened: Page) -> None:
    first, second, third = (opened.locator(".crops").first.locator("figure").nth(n).bounding_box() for n in range(3))
    assert first is not None and second is not None and third is not None
    assert first["y"] == second["y"] and first["x"] == third["x"] and first["width"] > 150
    assert opened.locator(".scroll").first.evaluate("each => each.scrollWidth > each.clientWidth")


def test_it_says_all_there_is_to_say(opened: Page) -> None:
    text = opened.locator("body").inner_text()
    for needed in (
        "Closest to the original at x2 over 8 images", "LapSRN x4 then FSRCNN x2",
        "antialiased bicubic, as MATLAB's imresize",
        "EDSR on <img src=", "cannot be had: <b>no</b> network.", "Pareto front", "timed once", "It ran in 4 tiles.",
        "python -m pipelines benchmark '<img", "{{ 7*7 }}?.png",
        "not rounded to 8 bits", "Blau and Michaeli, 2018", "trained on images shrunk without antialiasing",
        "0" * 64, "ab" * 32, "30 × 20 → 120 × 80", "Wilcoxon",
    ):  # fmt: skip
        assert needed in text
    for metric in METRICS:
        assert metric.about in text or metric.key in ("dists", "niqe"), "whose files were not here"
    beside = opened.get_by_text("Shrunk by bicubic (antialiased bicubic", exact=False)
    assert beside.count() >= 1 + 2 + 3, "the kernel stands beside every table of scores"


def test_the_best_is_marked_by_more_than_colour(opened: Page) -> None:
    table = opened.get_by_role("region", name="All models, means over 8 images")
    best = table.get_by_role("row", name="LapSRN x4 then FSRCNN x2").locator(".best")
    assert "(best)" in (best.first.text_content() or "")
    assert "★" in best.first.evaluate("each => getComputedStyle(each, '::before').content")
    assert table.get_by_role("row", name="Nearest neighbour").locator(".best").count() == 2


def test_on_paper_nothing_is_cut_off_or_dark(opened: Page) -> None:
    opened.emulate_media(media="print", color_scheme="dark")
    opened.set_viewport_size({"width": 1032, "height": 700})  # A4 landscape within its margins, at 96 dpi
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.locator(".scroll").evaluate_all(
        "all => all.every(each => each.scrollHeight <= each.clientHeight + 1)"
    )
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(opened.pdf(prefer_css_page_size=True)) > 10_000


def test_one_picture_has_no_statistics_of_several() -> None:
    html = to_html(report_of([row("bicubic", psnr_y=30.0), row("nearest", psnr_y=29.0)])).decode()
    for absent in ("Wilcoxon", "Image by image", "95 %", "Without a result", "<script", "None"):
        assert absent not in html
    assert "Closest to the original at x2</h2>" in html and "30.00" in html
    assert "Bicubic, +1.0 dB over Nearest neighbour, the next<" in html


def test_infinity_and_what_is_missing() -> None:
    perfect = row("nearest", psnr=None, mse=0.0, psnr_y=None, mse_y=0.0)
    html = to_html(report_of([perfect, row("bicubic", psnr_y=30.0, mse_y=65.0)])).decode()
    assert "∞" in html and "<td>–</td>" in html
    assert "PSNR Y is infinite for 1 image, which the mean leaves out." in html


def test_it_says_how_was_measured_and_over_how_much_of_a_picture() -> None:
    html = to_html(report_of([row("bicubic", psnr_y=30.0)])).decode()
    assert f"Round-trip at x2: {ROUND_TRIP.about}." in html
    assert "without a border as wide as the scale. LPIPS, DISTS and consistency take the whole image." in html


def test_a_picture_that_one_failed_on_is_left_out_of_the_means_and_told() -> None:
    rows = [*several("espcn", [30, 31]), row("espcn", "2.png", error="No room."), *several("lapsrn", [31, 32, 20])]
    html = to_html(report_of(rows)).decode()
    assert "All models, means over 2 images" in html
    assert "The means are over the 2 of 3 images on which every model has a finite PSNR Y" in html
    assert '<td class="best">31.50<span' in html and "20.00" in html, "picture by picture it is there"


def test_a_picture_that_cannot_be_shown_is_told_of() -> None:
    rows = [row("bicubic", psnr_y=30.0), row("lapsrn:4,fsrcnn:2", psnr_y=31.0)]
    html = to_html(
        report_of(rows), [MissingSection("<one>.png", "The file was changed after it was measured.")]
    ).decode()
    assert "<strong>&lt;one&gt;.png</strong>: The file was changed after it was measured." in html
    assert "Size, of the original's side" in html.replace("&#39;", "'"), "no picture gives the stages' sizes"


def test_an_unfinished_report_says_so() -> None:
    assert b"Not complete" in to_html(report_of([row("bicubic", psnr_y=30.0)], complete=False))
    assert b"Nothing was scored" in to_html(report_of([], complete=False))
    failed = to_html(report_of([row("edsr", error="No room.")]))
    assert b"No model gave a result" in failed and b"No room." in failed


def test_five_hundred_pictures_stay_a_reasonable_file() -> None:
    random = np.random.default_rng(0)
    rows = [each for model in ("a", "b", "c", "d") for each in several(model, random.normal(30, 2, 500))]
    rows = [with_scores(each, ssim_y=0.9, lpips=0.2) for each in rows]
    assert len(to_html(report_of(rows))) < 1_500_000


def test_a_kernel_and_protocol_that_are_not_known_are_named() -> None:
    html = to_html(report_of([row("bicubic", psnr_y=30.0)], kernel="spline", protocol="<there and back>")).decode()
    assert "Shrunk by spline." in html and "&lt;there and back&gt;" in html
