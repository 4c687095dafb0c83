"""What a report shows of its pictures: out of kept files, or made once more, if nothing changed meanwhile."""

import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipelines.enlarge import enlarge
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import Plan, Scored, Subject, Trial, list_subjects, no_judges, resolve_contenders
from pipelines.report.crops import MissingSection, PictureSection
from pipelines.report.outputs import Outputs, as_shown, temporary_folder
from pipelines.report.report import Report, make_sections
from pipelines.report.sections import MOST_SHOWN
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from tests.conftest import smooth
from tests.support.rows import report_of, row
from tests.support.tiny_graph import espcn_like

PLAN = Plan("round-trip", 2, "bicubic", resolve_contenders("round-trip", 2, ["bicubic", "espcn"], []), repeats=0)


@pytest.fixture
def pictures(tmp_path: Path, own_weights: Path) -> list[Subject]:
    """Two pictures; the networks' weights are there as well."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write(Picture(smooth(64, 96)), folder / "one.png")
    images.write(Picture(smooth(80, 64)[::-1].copy()), folder / "two.png")
    return list_subjects([folder])[0]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is to be closed at the end of a test."""
    with ExitStack() as closing:
        yield closing


def measured(pictures: list[Subject], keep: bool, stack: ExitStack) -> tuple[Outputs, Report]:
    """The outputs after a run, which are kept or not, and its report."""
    outputs = Outputs(stack.enter_context(temporary_folder()), pictures, PLAN.scale, most=MOST_SHOWN)
    rows = finish(
        benchmark.run(PLAN, pictures, no_judges("not here")),
        lambda step: outputs.keep(step) if keep and isinstance(step, Scored) else None,
    )
    return outputs, report_of(rows)


def sections(outputs: Outputs, report: Report) -> list[PictureSection | MissingSection]:
    return finish(make_sections(report, PLAN, outputs))


def results(outputs: Outputs, report: Report) -> int:
    """How many results are kept."""
    return sum(len(outputs.results(picture, report.rows)) for picture in outputs.pictures)


def test_what_was_kept_is_what_is_made_once_more(pictures: list[Subject], stack: ExitStack) -> None:
    kept, again = (sections(*measured(pictures, keep, stack)) for keep in (True, False))
    assert kept == again
    first, _ = kept
    assert isinstance(first, PictureSection) and (first.name, first.width, first.height) == ("one.png", 96, 64)
    assert [view.label for view in first.crops[0].views] == ["original", "small image", "bicubic", "espcn"]


def test_a_greyscale_picture_is_shown(pictures: list[Subject], stack: ExitStack) -> None:
    grey = np.broadcast_to(smooth(64, 64)[..., :1], (64, 64, 3))
    images.write(Picture(grey, grey=True), pictures[0].path)
    outputs, report = measured(list_subjects([pictures[0].path])[0], keep=True, stack=stack)
    (found,) = sections(outputs, report)
    assert isinstance(found, PictureSection)
    assert np.asarray(Image.open(BytesIO(found.crops[0].views[2].png))).shape[2] == 3


@pytest.mark.parametrize("keep", [True, False])
def test_the_colour_profile_stays(keep: bool, pictures: list[Subject], stack: ExitStack) -> None:
    """On every file that is kept, the small picture's and a chain's stages' too, and on what the report shows."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images.write(Picture(smooth(64, 64), icc=icc), pictures[0].path)
    outputs, report = measured(list_subjects([pictures[0].path])[0], keep, stack)
    files = [path.read_bytes() for path in outputs.files()]
    (found,) = sections(outputs, report)
    assert isinstance(found, PictureSection)
    shown = [found.overview, *(view.png for crop in found.crops for view in crop.views)]
    assert len(files) == (4 if keep else 0) and len(shown) > 4
    for png in [*files, *shown]:
        assert Image.open(BytesIO(png)).info.get("icc_profile") == icc


def test_outputs_are_kept_out_of_memory(pictures: list[Subject], tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, pictures, PLAN.scale)
    low = Picture(np.zeros((500, 500, 3), np.float32))
    trial = Trial(np.zeros((1000, 1000, 3), np.uint8), low, 2, ())
    tracemalloc.start()
    for contender in PLAN.contenders:
        enlarged = finish(enlarge(low, [load("nearest", 2)]))
        told = row(contender.key)
        outputs.keep(Scored(1, 1, "", pictures[0], contender, told, trial, enlarged))
    del enlarged
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outputs.files()) == 2 + 2 and held < 100_000


def test_nothing_is_kept_of_many_pictures_or_afterwards(pictures: list[Subject], stack: ExitStack) -> None:
    outputs, report = measured(pictures, keep=True, stack=stack)
    assert results(outputs, report) == 4
    sections(outputs, report)
    assert outputs.files() == []
    many = [replace(pictures[0], name=f"{number}.png") for number in range(4)]
    assert measured(many, keep=True, stack=stack)[0].files() == []


def test_all_that_is_kept_can_be_read(pictures: list[Subject], tmp_path: Path) -> None:
    """A chain with its first stage; names are those that the archive has."""
    (tmp_path / "kept").mkdir()
    outputs = Outputs(tmp_path / "kept", pictures, 8)
    plan = Plan(
        "chained-8x", 8, "bicubic", resolve_contenders("chained-8x", 8, [], [[("bicubic", 4), ("nearest", 2)]]), 0
    )
    rows = finish(
        benchmark.run(plan, pictures, no_judges("not here")),
        lambda step: outputs.keep(step) if isinstance(step, Scored) else None,
    )
    assert outputs.files() == sorted((tmp_path / "kept").iterdir()) != []
    first = outputs.results(pictures[0], rows)
    assert [each.model for each in first] == ["bicubic", "bicubic:4,nearest:2"]
    shapes = [None if each is None else each.shape for each in (
        outputs.original(pictures[0]), outputs.small(pictures[0]), outputs.stage(pictures[0], rows[1].model, 1),
        outputs.stage(pictures[0], "bicubic", 1), first[rows[1]](),
    )]  # fmt: skip
    assert shapes == [(64, 96, 3), (8, 12, 3), (32, 48, 3), None, (64, 96, 3)]
    assert {"1_one_original.png", "1_one_bicubic_x8.png", "1_one_bicubic-x4_nearest-x2_x8.png"} <= {
        path.name for path in outputs.files()
    }


@pytest.mark.parametrize("keep", [True, False])
def test_a_picture_that_is_gone_or_another_is_told_and_the_rest_is_shown(
    pictures: list[Subject], keep: bool, stack: ExitStack
) -> None:
    outputs, report = measured(pictures, keep, stack)
    images.write(Picture(smooth(64, 96)[::-1].copy()), pictures[0].path)
    first, second = sections(outputs, report)
    assert first == MissingSection("one.png", "The file was changed after it was measured.") and isinstance(
        second, PictureSection
    )
    outputs, report = measured(pictures, keep, stack)
    pictures[0].path.unlink()
    first, second = sections(outputs, report)
    assert isinstance(first, MissingSection) and "does not exist" in first.reason and isinstance(second, PictureSection)
    assert outputs.files() == []


def test_weights_that_are_gone_or_others_are_told(pictures: list[Subject], own_weights: Path, stack: ExitStack) -> None:
    outputs, report = measured(pictures, keep=False, stack=stack)
    (own_weights / "ESPCN_x2.pb").write_bytes(espcn_like(2, seed=1))
    reasons = {each.reason for each in sections(outputs, report) if isinstance(each, MissingSection)}
    assert reasons == {"The weights of espcn were changed after they were measured."}
    (own_weights / "ESPCN_x2.pb").unlink()
    first, _ = sections(outputs, report)
    assert isinstance(first, MissingSection) and "ESPCN_x2.pb" in first.reason


def test_no_room_for_temporary_files_loses_no_scores(
    pictures: list[Subject], tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    outputs, report = measured(pictures, keep=True, stack=stack)
    assert outputs.files() == []
    reason = "The results cannot be kept in the temporary folder: no room is left there, or no file can be made."
    assert sections(outputs, report) == [MissingSection("one.png", reason), MissingSection("two.png", reason)]


@pytest.mark.parametrize("grey", [False, True])
def test_a_picture_is_shown_over_white(grey: bool) -> None:
    alpha = np.array([[0, 0.5, 1]], np.float32)
    shown = as_shown(Picture(np.zeros((1, 3, 3), np.float32), alpha=alpha, grey=grey, depth=16))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, np.repeat([[[255], [128], [0]]], 3, axis=2))
