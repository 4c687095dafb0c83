"""The comparison that the page shows first."""

import pytest

from pipelines.catalog.rows import SCALES
from pipelines.runs import finish
from ui.examples import EXAMPLES
from ui.jobs import comparing
from ui.widgets.advice import FIRST_SCALE
from ui.widgets.comparison_form import FIRST_KERNEL, FIRST_PROTOCOL
from ui.widgets.ready_comparison import read_ready_comparison

INCLUDED = ["bicubic", "lanczos", "swift", "srcnn"]


def test_the_comparison_that_is_ready_is_what_a_click_would_measure_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the form has at first, scored as now; of the model that is not included only that it is there."""
    monkeypatch.setenv("UPSCALE_PRECISION", "exact")
    report, view = read_ready_comparison()
    assert {row.model for row in report.rows} == {*INCLUDED, "real-esrgan-general"}
    assert (report.protocol, report.kernel, f"x{report.scale}") == (FIRST_PROTOCOL, FIRST_KERNEL, FIRST_SCALE)
    assert report.scale in SCALES
    made = comparing.start([EXAMPLES[0].path], FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL, INCLUDED, [])
    now = {row.model: row for row in finish(comparing.measure(made, keeping=False)).rows}
    for row in report.rows:
        assert row.error is None
        assert row.scores["niqe"] is not None, "what looks most natural is told as well"
        if row.model in now:
            assert row.image_sha256 == now[row.model].image_sha256
            assert row.weights_sha256 == now[row.model].weights_sha256
            for key in ("psnr_y", "ssim_y", "consistency_psnr"):
                assert row.scores[key] == pytest.approx(now[row.model].scores[key], abs=0.02), (row.model, key)
    assert len(view.panes) == 7 and view.original == 0
    layers = [layer for pane in view.panes for layer in (pane.picture, pane.error, pane.consistency) if layer]
    assert all(file.is_file() for layer in layers for file in layer.files())
    assert all(layer.levels == 1 for layer in layers), "a picture of several tiles would not be found by the browser"
