"""Comparisons by the API, and what the Compare tab keeps of them: the same scores everywhere."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageCms

from pipelines.errors import BadPicture, BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import METRICS, Plan, list_subjects, no_judges, resolve_contenders
from pipelines.runs import finish
from tests.conftest import smooth
from tests.pipelines.cli.test_main import run
from ui.jobs import comparing, kept_files
from ui.jobs.kept_files import Comparison


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
        ({"models": ["bicubik"]}, "did you mean bicubic"),
        ({"scale": "x5"}, "There is no scale 'x5'"),
        ({"kernel": "sinc"}, "no kernel 'sinc'"),
        ({"protocol": "x"}, "no protocol 'x'"),
        ({"protocol": ["round-trip"]}, "The protocol must be a word."),
        ({"models": ["edsr"], "scale": "x8"}, "EDSR has no scale x8"),
        ({"protocol": "chained-8x"}, "needs a chain"),
        ({"stages": ["nonsense"]}, "not KEY:SCALE"),
        ({"stages": ["lapsrn:2,lapsrn:4"]}, "upscales by 8, not by 2"),
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
    assert "no.png" in report["rows"][0]["error"] and report["verdict"].startswith("No model gave a result")


# --- what is kept -------------------------------------------------------------------------------------------------


def compared(sources: list[Path], *models: str, protocol: str = "round-trip") -> Comparison:
    return comparing.start(sources, protocol, "x2", "bicubic", list(models), [])


def test_every_kept_file_lies_in_one_folder_that_is_deleted(pictures: list[Path], own_weights: Path) -> None:
    found = compared(pictures, "bicubic", "espcn")
    report = finish(comparing.measure(found))
    finish(kept_files.write_downloads(found, report))
    assert len([*found.folder.iterdir()]) == 2 * 4 + 6
    assert found.folder.parent == Path(get_upload_folder()), "what lies there is swept"


def test_what_is_finished_can_be_seen_when_it_ends_early(pictures: list[Path]) -> None:
    found = compared(pictures, "nearest", "bicubic")
    assert kept_files.report_so_far(found) is None
    run = comparing.measure(found)
    next(step for step in run if isinstance(step, benchmark.Scored))
    run.close()
    report = kept_files.report_so_far(found)
    assert report is not None and len(report.rows) == 1 and not report.complete
    view = finish(kept_files.make_view(found, report, found.pictures[0]))
    assert [pane.label for pane in view.panes] == ["Original", "Nearest neighbour", "Small image"]


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
    assert view.original is None and [pane.label for pane in view.panes] == [
        "Nearest neighbour",
        "Lanczos",
        "Small image",
    ]
    assert (view.panes[0].picture.width, view.panes[2].picture.width) == (160, 80)
    assert view.panes[0].error is None and view.panes[0].caption.startswith("consistency ")


def test_grey_pictures_are_shown(tmp_path: Path) -> None:
    grey = np.broadcast_to(smooth(40, 48)[..., :1], (40, 48, 3))
    images.write(Picture(grey, grey=True), tmp_path / "grey.png")
    found = compared([tmp_path / "grey.png"], "bicubic")
    report = finish(comparing.measure(found))
    assert len(finish(kept_files.make_view(found, report, found.pictures[0])).panes) == 3
    assert finish(kept_files.write_downloads(found, report))["HTML"].is_file()


def test_too_many_pictures(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="At most 100 images can be compared at once here, not 101"):
        comparing.check_sources(pictures[:1] * 101)
    with pytest.raises(BadPicture, match="Choose an image first"):
        comparing.check_sources([])


def test_too_many_megapixels(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_COMPARED_MEGAPIXELS", "0.01")
    with pytest.raises(BadSetting, match="All results together would have 0 megapixels"):
        compared(pictures, "nearest", "bicubic")
    monkeypatch.setenv("UPSCALE_MAX_COMPARED_MEGAPIXELS", "0.04")
    assert compared(pictures, "nearest", "bicubic").pictures


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
