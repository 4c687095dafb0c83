"""The comparison that the page shows before anyone presses a button: the first example's, made by `tools.examples`."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipelines.images.door import Pixels8, Pyramid
from pipelines.measuring.run import title_of
from pipelines.report import report as reports
from pipelines.report.report import Report
from ui.examples import READY_COMPARISON
from ui.jobs.kept_files import Results
from ui.widgets.viewer import Pane, View, WholeFile

VIEW_FILE, READY_REPORT_FILE = "view.json", "report.json"


class ReadyComparison(NamedTuple):
    """Its report, and what the viewer shows of it: each picture a single tile."""

    report: Report
    view: View


def read_ready_comparison() -> ReadyComparison:
    """Reads it from its folder."""
    report = reports.from_json((READY_COMPARISON / READY_REPORT_FILE).read_bytes(), READY_REPORT_FILE)
    said = json.loads((READY_COMPARISON / VIEW_FILE).read_bytes())
    panes = []
    for each in said["panes"]:
        picture, error, consistency = map(_read_layer, each["layers"])
        assert picture is not None, "only the layers above the image may be missing"
        panes.append(Pane(each["label"], each["caption"], picture, error, consistency))
    boxes = [(left, top, width, height) for left, top, width, height in said["boxes"]]
    return ReadyComparison(report, View(panes, said["original"], boxes, open_at=0))


def read_ready_results(ready: ReadyComparison) -> Results:
    """Returns its original and results."""
    panes = {pane.label: pane.picture for pane in ready.view.panes}
    models = {row.model: partial(_read_tile, panes[title_of(row.model)]) for row in ready.report.rows}
    return Results(_read_tile(ready.view.panes[0].picture), models, None)


def write_ready_comparison(report: Report, view: View) -> None:
    """Writes it into its folder, with the tiles."""
    panes = []
    for number, pane in enumerate(view.panes):
        layers = {"picture": pane.picture, "error": pane.error, "consistency": pane.consistency}
        panes.append(
            {
                "label": pane.label,
                "caption": pane.caption,
                "layers": [_copy_layer(f"{number}-{name}", layer) for name, layer in layers.items()],
            }
        )
    said = {"panes": panes, "original": view.original, "boxes": view.boxes}
    (READY_COMPARISON / VIEW_FILE).write_text(json.dumps(said, indent=1) + "\n")
    (READY_COMPARISON / READY_REPORT_FILE).write_bytes(reports.to_json(report))


def _read_tile(layer: Pyramid | WholeFile) -> Pixels8:
    assert isinstance(layer, Pyramid)
    with Image.open(layer.top) as image:
        return np.asarray(image.convert("RGB"))


def _read_layer(layer: dict[str, Any] | None) -> Pyramid | None:
    return None if layer is None else Pyramid(READY_COMPARISON / layer["folder"], layer["width"], layer["height"])


def _copy_layer(name: str, layer: Pyramid | WholeFile | None) -> dict[str, Any] | None:
    if layer is None:
        return None
    assert isinstance(layer, Pyramid)
    copied = Pyramid(READY_COMPARISON / name, layer.width, layer.height)
    copied.folder.mkdir(parents=True, exist_ok=True)
    for old, new in zip(layer.files(), copied.files(), strict=True):
        new.write_bytes(Path(old).read_bytes())
    return {"folder": name, "width": layer.width, "height": layer.height}
