"""How long a result takes beside the model's work is learned from those that were shown, in the plan too."""

import time
from pathlib import Path

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage
from pipelines.estimates import Estimate
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish
from tests.conftest import smooth
from ui.jobs.showing import AT_FIRST, LEAST_PIXELS, estimate_showing, learn_showing
from ui.widgets.before_after import compare_with_plain
from ui.widgets.plans import upscale_plan


def test_the_first_replaces_what_was_believed_and_small_ones_say_nothing() -> None:
    assert estimate_showing((1000, 2000)) == 2 * AT_FIRST
    learn_showing((10, LEAST_PIXELS // 10 - 1), 60.0)
    assert estimate_showing((1000, 2000)) == 2 * AT_FIRST
    learn_showing((1000, 1000), 3.0)
    assert estimate_showing((1000, 2000)) == 6.0
    learn_showing((2000, 1000), 2.0)
    assert estimate_showing((1000, 1000)) == 2.0
    assert "about 3.0 s" in upscale_plan(catalog.find("bicubic"), (500, 500), (1000, 1000), Estimate(1.0, 1), [])


def test_a_result_that_is_shown_is_learned_from_alone_and_without_the_models_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.write(Picture(smooth(200, 200)), tmp_path / "one.png")
    now, write = [0.0], images.write

    def slowly(*given: object, **more: object) -> None:
        now[0] += 8.0
        write(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(images, "write", slowly)
    (tmp_path / "out").mkdir()
    finish(compare_with_plain(tmp_path / "one.png", [Stage("nearest", 2)], Settings(), "Nearest", tmp_path / "out"))
    assert estimate_showing((400, 400)) == pytest.approx(8.0)
