"""What a report shows of its pictures: out of temporary files, or made once more, if nothing changed meanwhile."""

import tempfile
import tracemalloc
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring import run as benchmark
from pipelines.measuring.protocols import contenders
from pipelines.measuring.run import Plan, Scored, Subject, subjects
from pipelines.report.crops import Shown, Unshown
from pipelines.report.outputs import Outputs, as_shown
from pipelines.report.report import Report
from pipelines.runs import finish
from tests.conftest import smooth
from tests.support.rows import report_of, row
from tests.support.tiny_graph import espcn_like

PLAN = Plan("round-trip", 2, "bicubic", contenders("round-trip", 2, ["bicubic", "espcn"], []), repeats=0)


@pytest.fixture
def pictures(tmp_path: Path, own_weights: Path) -> list[Subject]:
    """Two pictures; the networks' weights are there as well."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    images.write(Picture(smooth(64, 96)), folder / "one.png")
    images.write(Picture(smooth(80, 64)[::-1].copy()), folder / "two.png")
    return subjects([folder])[0]


def measured(pictures: list[Subject], keep: bool) -> tuple[Outputs, Report]:
    """The outputs after a run, which are kept or not, and its report."""
    outputs = Outputs(PLAN, pictures)
    rows = finish(
        benchmark.run(PLAN, pictures, "not here"),
        lambda step: outputs.keep(step) if keep and isinstance(step, Scored) else None,
    )
    return outputs, report_of(rows)


def test_what_was_kept_is_what_is_made_once_more(pictures: list[Subject]) -> None:
    kept, again = (finish(outputs.shown(report)) for outputs, report in (measured(pictures, k) for k in (True, False)))
    assert kept == again
    first, _ = kept
    assert isinstance(first, Shown) and (first.name, first.width, first.height) == ("one.png", 96, 64)
    assert [view.label for view in first.crops[0].views] == ["original", "small picture", "bicubic", "espcn"]


def test_a_greyscale_picture_is_shown(pictures: list[Subject]) -> None:
    grey = np.broadcast_to(smooth(64, 64)[..., :1], (64, 64, 3))
    images.write(Picture(grey, grey=True), pictures[0].path)
    outputs, report = measured(subjects([pictures[0].path])[0], keep=True)
    (found,) = finish(outputs.shown(report))
    assert isinstance(found, Shown)
    assert np.asarray(Image.open(BytesIO(found.crops[0].views[2].png))).shape[2] == 3


def test_outputs_are_kept_out_of_memory(pictures: list[Subject]) -> None:
    outputs = Outputs(PLAN, pictures)
    tracemalloc.start()
    for contender in PLAN.contenders:
        output = np.zeros((1000, 1000, 3), np.uint8)
        outputs.keep(Scored(1, 1, "", pictures[0], contender, row(contender.key), output=output))
    del output
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outputs.kept) == 2 and held < 100_000
    for file in outputs.kept.values():
        file.close()


def test_nothing_is_kept_of_many_pictures_or_afterwards(pictures: list[Subject]) -> None:
    outputs, report = measured(pictures, keep=True)
    assert len(outputs.kept) == 4
    finish(outputs.shown(report))
    assert outputs.kept == {}
    many = [replace(pictures[0], name=f"{number}.png") for number in range(4)]
    assert measured(many, keep=True)[0].kept == {}


@pytest.mark.parametrize("keep", [True, False])
def test_a_picture_that_is_gone_or_another_is_told_and_the_rest_is_shown(pictures: list[Subject], keep: bool) -> None:
    outputs, report = measured(pictures, keep)
    images.write(Picture(smooth(64, 96)[::-1].copy()), pictures[0].path)
    first, second = finish(outputs.shown(report))
    assert first == Unshown("one.png", "The file was changed after it was measured.") and isinstance(second, Shown)
    outputs, report = measured(pictures, keep)
    pictures[0].path.unlink()
    first, second = finish(outputs.shown(report))
    assert isinstance(first, Unshown) and "does not exist" in first.reason and isinstance(second, Shown)
    assert outputs.kept == {}


def test_weights_that_are_gone_or_others_are_told(pictures: list[Subject], own_weights: Path) -> None:
    outputs, report = measured(pictures, keep=False)
    (own_weights / "ESPCN_x2.pb").write_bytes(espcn_like(2, seed=1))
    reasons = {each.reason for each in finish(outputs.shown(report)) if isinstance(each, Unshown)}
    assert reasons == {"The weights of espcn were changed after they were measured."}
    (own_weights / "ESPCN_x2.pb").unlink()
    first, _ = finish(outputs.shown(report))
    assert isinstance(first, Unshown) and "ESPCN_x2.pb" in first.reason


def test_no_room_for_temporary_files_loses_no_scores(
    pictures: list[Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    outputs, report = measured(pictures, keep=True)
    assert outputs.kept == {}
    reason = "The results cannot be kept in the temporary folder: no room is left there, or no file can be made."
    assert finish(outputs.shown(report)) == [Unshown("one.png", reason), Unshown("two.png", reason)]


@pytest.mark.parametrize("grey", [False, True])
def test_a_picture_is_shown_over_white(grey: bool) -> None:
    alpha = np.array([[0, 0.5, 1]], np.float32)
    shown = as_shown(Picture(np.zeros((1, 3, 3), np.float32), alpha=alpha, grey=grey, depth=16))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, np.repeat([[[255], [128], [0]]], 3, axis=2))
