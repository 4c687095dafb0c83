"""The Compare tab and `/benchmark`: the same scores everywhere, and a whole visit in Chromium."""

import csv
import json
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageCms
from playwright.sync_api import Browser, Page, expect

from pipelines.catalog import rows as catalog
from pipelines.errors import BadPicture, BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import METRICS, Plan, list_subjects, no_judges, resolve_contenders
from pipelines.runs import finish
from tests.conftest import smooth, tiny_networks, visit
from tests.pipelines.cli.test_main import run
from tests.support.visitor import watch_console
from ui.jobs import comparing, kept_files
from ui.jobs.kept_files import Comparison
from ui.tabs import chained
from ui.tabs import compare as compare_tab


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    images.write(Picture(smooth(64, 80)), tmp_path / "one.png")
    images.write(Picture(smooth(56, 48)[::-1].copy()), tmp_path / "two.png")
    return [tmp_path / "one.png", tmp_path / "two.png"]


# --- the API ------------------------------------------------------------------------------------------------------


def scores(rows: list[dict[str, Any]]) -> list[list[Any]]:
    return [[row[key] for key in ("image", "model", *(metric.key for metric in METRICS))] for row in rows]


def asked(served: str, image: Path, **options: Any) -> dict[str, Any]:
    chosen = {"protocol": "round-trip", "models": ["bicubic"], "scale": "x2", "kernel": "bicubic", "stages": []}
    client = Client(served, verbose=False)
    try:
        report: dict[str, Any] = client.predict(image=handle_file(image), **chosen | options, api_name="/benchmark")
    finally:
        client.close()  # or its connections stay open until some other test's garbage is collected
    return report


def test_page_command_line_and_python_give_the_same_scores(
    served: str, pictures: list[Path], tmp_path: Path, own_weights: Path
) -> None:
    by_page = asked(served, pictures[0], models=["bicubic", "espcn"], scale="x3", kernel="area")
    path = tmp_path / "report.json"
    arguments = ["--scale", 3, "--models", "bicubic,espcn", "--kernel", "area", "--json", path]
    assert run("benchmark", pictures[0], *arguments) == 0
    by_command = json.loads(path.read_text())
    assert scores(by_page["rows"]) == scores(by_command["rows"])
    plan = Plan("round-trip", 3, "area", resolve_contenders("round-trip", 3, ["bicubic", "espcn"], []))
    rows = finish(benchmark.run(plan, list_subjects(pictures[:1])[0], no_judges("it is not here")))
    assert scores([row.as_dict() for row in rows]) == scores(by_command["rows"])
    assert by_page["verdict"].startswith("Closest to the original at x3: ")


def test_a_chain_by_the_api(served: str, pictures: list[Path]) -> None:
    stages = ["espcn:4,bicubic:2"]
    report = asked(served, pictures[0], protocol="chained-8x", models=["nearest"], scale="x2", stages=stages)
    assert report["scale"] == 8, "of chained-8x the scale is always 8"
    assert [row["model"] for row in report["rows"]] == ["bicubic", "nearest", "espcn:4,bicubic:2"]
    assert report["rows"][2]["stages"] == ["espcn:4", "bicubic:2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": []}, "Name at least one model."),
        ({"models": ["bicubik"]}, "did you mean bicubic"),
        ({"scale": "x5"}, "There is no scale 'x5'"),
        ({"kernel": "sinc"}, "no kernel 'sinc'"),
        ({"protocol": "x"}, "no protocol 'x'"),
        ({"protocol": ["round-trip"]}, "The protocol must be a word."),
        ({"models": ["edsr"], "scale": "x8"}, "EDSR has no scale x8"),
        ({"protocol": "chained-8x"}, "needs a chain"),
        ({"stages": ["nonsense"]}, "not KEY:SCALE"),
        ({"stages": ["lapsrn:2,lapsrn:4"]}, "enlarges by 8, not by 2"),
    ],
)
def test_a_bad_request_is_one_sentence(options: dict[str, Any], words: str, served: str, pictures: list[Path]) -> None:
    with pytest.raises(AppError, match=re.escape(words)):
        asked(served, pictures[0], **options)


def test_a_model_that_cannot_be_had_is_a_row(served: str, pictures: list[Path]) -> None:
    report = asked(served, pictures[0], models=["edsr", "bicubic"])
    assert [row["error"] is None for row in report["rows"]] == [False, True]


def test_a_picture_that_is_none_is_a_row(served: str, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture at all")
    report = asked(served, tmp_path / "no.png")
    assert "no.png" in report["rows"][0]["error"] and report["verdict"].startswith("No method gave a result")


# --- what is kept -------------------------------------------------------------------------------------------------


def compared(sources: list[Path], *models: str, protocol: str = "round-trip") -> Comparison:
    return comparing.start(sources, protocol, "x2", "bicubic", list(models), [])


def test_every_kept_file_is_known_so_that_it_is_deleted(pictures: list[Path], own_weights: Path) -> None:
    found = compared(pictures, "bicubic", "espcn")
    report = finish(comparing.measure(found))
    finish(kept_files.write_downloads(found, report))
    inside = {str(path) for path in found.folder.iterdir()}
    assert len(inside) == 2 * 4 + 4 and inside <= kept_files.KEPT_FILES


def test_what_is_finished_can_be_seen_when_it_ends_early(pictures: list[Path]) -> None:
    found = compared(pictures, "nearest", "bicubic")
    assert kept_files.report_so_far(found) is None
    run = comparing.measure(found)
    next(step for step in run if isinstance(step, benchmark.Scored))
    run.close()
    report = kept_files.report_so_far(found)
    assert report is not None and len(report.rows) == 1 and not report.complete
    view = finish(kept_files.make_view(found, report, found.pictures[0]))
    assert [pane.label for pane in view.panes] == ["Original", "nearest", "Small picture"]


def test_the_viewer_shows_what_was_scored(tmp_path: Path) -> None:
    images.write(Picture(smooth(200, 260)), tmp_path / "large.png")
    found = compared([tmp_path / "large.png"], "nearest", "lanczos")
    report = finish(comparing.measure(found))
    view = finish(kept_files.make_view(found, report, found.pictures[0]))
    assert view.original == 0 and len(view.boxes) == 3
    sizes = [(pane.picture.width, pane.picture.height) for pane in view.panes]
    assert sizes == [(260, 200)] * 3 + [(130, 100)]
    assert view.panes[1].caption.startswith(f"PSNR Y {report.rows[0].scores['psnr_y']:.2f} dB, ")
    assert view.panes[1].error is not None and view.panes[1].consistency is not None


def test_the_viewers_tiles_and_the_archive_have_the_colour_profile(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images.write(Picture(smooth(40, 40), icc=icc), tmp_path / "wide.png")
    found = compared([tmp_path / "wide.png"], "nearest")
    report = finish(comparing.measure(found))
    view = finish(kept_files.make_view(found, report, found.pictures[0]))
    shown = [pane.picture.top.read_bytes() for pane in view.panes]
    with zipfile.ZipFile(finish(kept_files.write_downloads(found, report))["ZIP"]) as archive:
        kept = [archive.read(name) for name in archive.namelist() if name.endswith(".png")]
    assert (len(shown), len(kept)) == (3, 3)
    assert [Image.open(BytesIO(data)).info.get("icc_profile") == icc for data in shown + kept] == [True] * 6


def test_without_an_original_the_results_are_first(pictures: list[Path]) -> None:
    found = compared(pictures[:1], "nearest", "lanczos", protocol="no-original")
    report = finish(comparing.measure(found))
    view = finish(kept_files.make_view(found, report, found.pictures[0]))
    assert view.original is None and [pane.label for pane in view.panes] == ["nearest", "lanczos", "Small picture"]
    assert (view.panes[0].picture.width, view.panes[2].picture.width) == (160, 80)
    assert view.panes[0].error is None and view.panes[0].caption.startswith("consistency ")


def test_grey_pictures_are_shown(tmp_path: Path) -> None:
    grey = np.broadcast_to(smooth(40, 48)[..., :1], (40, 48, 3))
    images.write(Picture(grey, grey=True), tmp_path / "grey.png")
    found = compared([tmp_path / "grey.png"], "bicubic")
    report = finish(comparing.measure(found))
    assert len(finish(kept_files.make_view(found, report, found.pictures[0])).panes) == 3
    assert finish(kept_files.write_downloads(found, report))["HTML"].is_file()


def test_what_needs_a_gpu_takes_part_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its files are here: without a GPU it may take minutes."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    tiny_networks(tmp_path)
    for name in ("RealESRGAN_x8.pth", "realesr-general-x4v3.pth"):
        (tmp_path / name).write_bytes(b"a network")
    offered, ticked = compare_tab.model_choices("round-trip", "x4")
    assert ("Real-ESRGAN general (compact)", "real-esrgan-general") in offered
    assert ("Real-ESRGAN · downloads 67 MB", "real-esrgan") in offered
    assert ticked == ["nearest", "bilinear", "bicubic", "lanczos", "swift", "espcn"]
    assert chained.list_direct_models() == [] and "real-esrgan" not in compare_tab.model_choices("chained-8x", "x4")[1]


def test_too_many_pictures(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="At most 100 pictures can be compared at once here, not 101"):
        comparing.check_sources(pictures[:1] * 101)
    with pytest.raises(BadPicture, match="Choose an image first"):
        comparing.check_sources([])


def test_too_many_megapixels(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_COMPARED_MEGAPIXELS", "0.01")
    with pytest.raises(BadSetting, match="All results together would be 0 megapixels"):
        compared(pictures, "nearest", "bicubic")
    monkeypatch.setenv("UPSCALE_MAX_COMPARED_MEGAPIXELS", "0.04")
    assert compared(pictures, "nearest", "bicubic").pictures


def test_tiles_that_are_left_early_are_known_so_that_they_are_deleted(pictures: list[Path]) -> None:
    run = kept_files.write_tiles(np.zeros((1100, 1100, 3), np.uint8))
    next(run)
    run.close()
    (folder,) = {
        Path(name).parent for name in kept_files.KEPT_FILES if "tiles-" in name and name.endswith("0_2_2.webp")
    }
    assert {str(path) for path in folder.iterdir()} <= kept_files.KEPT_FILES


def test_long_names_and_chains_make_names_that_a_file_can_have(tmp_path: Path) -> None:
    images.write(Picture(smooth(40, 48)), tmp_path / f"{'ä' * 100}.png")
    chains = [",".join(["bicubic:2"] * 3)]
    found = comparing.start([tmp_path / f"{'ä' * 100}.png"], "round-trip", "x8", "bicubic", [], chains)
    report = finish(comparing.measure(found))
    assert report.rows[0].error is None
    assert len(finish(kept_files.make_view(found, report, found.pictures[0])).panes) == 3


def test_the_api_keeps_no_pictures(pictures: list[Path]) -> None:
    found = compared(pictures, "nearest")
    finish(comparing.measure(found, keeping=False))
    assert [path.name for path in found.folder.iterdir()] == ["report.json"]


def test_files_can_be_gone_through_while_others_come() -> None:
    files = kept_files.Files({"a", "b"})
    for name in files:
        files.add(name + name)
    assert files == {"a", "b", "aa", "bb"}


# --- a visit ------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The tab, opened; `parametrize` it with (width, colour scheme). No request may leave this machine."""
    width, scheme = getattr(request, "param", (1280, "light"))
    with visit(browser, width, scheme, served) as page:
        messages = watch_console(page)
        page.goto(served)
        page.get_by_role("tab", name="Compare").click()
        expect(button(page, "Compare")).to_be_enabled()
        yield page
        assert messages == []


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def tick(page: Page, *models: str) -> None:
    """Only these models."""
    boxes = page.locator("#models").get_by_role("checkbox")
    for index in range(boxes.count()):
        boxes.nth(index).uncheck()
    for model in models:
        page.locator("#models").get_by_label(model, exact=True).check()


def give(page: Page, *paths: Path) -> None:
    page.locator("#pictures").get_by_label("Clear").click()
    page.locator("#pictures input[type=file]").set_input_files([*paths])
    expect(page.locator("#pictures")).to_contain_text(paths[-1].name[:3])


def compare(page: Page) -> None:
    button(page, "Compare").click()
    expect(button(page, "Download ZIP")).to_be_visible(timeout=30_000)


def downloaded(page: Page, kind: str) -> Path:
    with page.expect_download() as download:
        button(page, f"Download {kind}").click()
    return Path(download.value.path())


def test_three_models_on_two_pictures(page: Page, pictures: list[Path]) -> None:
    give(page, *pictures)
    page.get_by_label("x2", exact=True).last.check()
    there = sum(2 in row.scales for row in catalog.MODELS)
    expect(page.locator("#models").get_by_role("checkbox")).to_have_count(there)  # and no longer those of x4
    tick(page, "Nearest neighbour", "Bicubic", "ESPCN")
    expect(page.locator(".plan:visible")).to_contain_text("2 pictures, 3 methods")
    compare(page)
    expect(page.locator(".verdict")).to_contain_text("at x2 over 2 images")
    expect(page.locator("table[data-name=summary] tbody tr")).to_have_count(3)
    panes = page.locator(".viewer .panes > *")
    expect(panes).to_have_count(5)
    page.get_by_label("Picture to look at").click()
    page.get_by_role("option", name="two.png").click()
    expect(page.locator(".viewer")).to_contain_text("48 × 56")

    report = json.loads(downloaded(page, "JSON").read_text())
    assert report["complete"] and len(report["rows"]) == 6
    rows = list(csv.DictReader(downloaded(page, "CSV").read_text().splitlines()))
    assert [row["model"] for row in rows] == [row["model"] for row in report["rows"]]
    assert report["verdict"][:20] in downloaded(page, "HTML").read_text()
    with zipfile.ZipFile(downloaded(page, "ZIP")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"report.json", "report.csv", "report.html", "1_one_espcn_x2.png", "2_two_original.png"} <= set(names)


def test_sorting(page: Page) -> None:
    tick(page, "Nearest neighbour", "Bicubic", "Lanczos")
    compare(page)
    names = page.locator("table[data-name=summary] tbody th")
    expect(names).to_have_text(["nearest", "bicubic", "lanczos"])
    page.locator("table[data-name=summary] th[data-column^='PSNR Y'] button").click()
    expect(names).to_have_text(["lanczos", "bicubic", "nearest"])


def test_cancel_keeps_what_is_finished(page: Page, tmp_path: Path) -> None:
    images.write(Picture(smooth(1600, 1600)), tmp_path / "large.png")
    give(page, tmp_path / "large.png")
    tick(page, "Nearest neighbour", "Bilinear", "Bicubic", "Lanczos", "ESPCN")
    button(page, "Compare").click()
    expect(page.locator("table[data-name=summary] tbody tr").first).to_be_visible(timeout=60_000)
    button(page, "Cancel").click()
    expect(button(page, "Download ZIP")).to_be_visible(timeout=60_000)
    expect(page.locator(".progress:visible")).to_contain_text("Cancelled: ")
    report = json.loads(downloaded(page, "JSON").read_text())
    assert not report["complete"] and 1 <= len(report["rows"]) < 5
    expect(button(page, "Compare")).to_be_enabled()


def test_no_models_is_told_before_and_after(page: Page) -> None:
    tick(page)
    expect(page.locator(".trouble")).to_have_text("Name at least one model.")
    button(page, "Compare").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Name at least one model.")
    expect(button(page, "Compare")).to_be_enabled()


def test_models_follow_protocol_and_scale(page: Page) -> None:
    models = page.locator("#models")
    expect(models.get_by_label("EDSR · downloads 40 MB")).not_to_be_checked()
    expect(models.get_by_label("ESPCN")).to_be_checked()
    models.get_by_label("Bilinear").uncheck()
    page.get_by_label("x8", exact=True).last.check()
    expect(models.get_by_label("ESPCN")).to_have_count(0)
    expect(models.get_by_label("Bilinear")).not_to_be_checked()
    page.get_by_label("x2", exact=True).last.check()
    expect(models.get_by_label("ESPCN")).to_be_checked()
    expect(models.get_by_label("Bilinear")).not_to_be_checked()
    page.get_by_label("Chained 8x", exact=True).check()
    expect(page.get_by_label("Chains: x4, then x2")).to_be_visible()
    expect(models).to_contain_text("Direct x8 models")


def test_without_an_original(page: Page, pictures: list[Path]) -> None:
    give(page, pictures[0])
    tick(page, "Nearest neighbour", "Lanczos")
    page.get_by_label("I only have the small image").check()
    expect(page.locator("#models").get_by_label("Lanczos")).to_be_checked()
    compare(page)
    expect(page.locator(".verdict")).to_contain_text("there is no objective winner at x4")
    expect(page.locator("table[data-name=summary]")).not_to_contain_text("PSNR Y")


@pytest.mark.parametrize(
    "page", [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")], indirect=True, ids=str
)
def test_every_width_in_light_and_dark(page: Page) -> None:
    tick(page, "Nearest neighbour", "Bicubic", "Lanczos")
    compare(page)
    expect(page.locator(".viewer canvas").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    assert serious == [], json.dumps(serious)[:3000]


def test_the_same_elsewhere(page: Page) -> None:
    tick(page, "Bicubic")
    compare(page)
    page.get_by_role("button", name="Measure the same elsewhere").click()
    command = page.locator("#command textarea").input_value()
    assert command.startswith("python -m pipelines benchmark face.png --protocol round-trip --scale 4 --models bicubic")
    script = page.locator("#script textarea").input_value()
    compile(script, "script", "exec")
    assert "api_name='/benchmark'" in script and page.url.rstrip("/") in script
