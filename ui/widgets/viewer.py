"""The synchronised viewer: any number of pictures at one zoom and position, drawn from tiles by static/viewer/."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from pipelines.images.door import CONSISTENCY_LEVELS, ERROR_LEVELS, HEAT, Pyramid
from ui.jobs.results import new_folder
from ui.widgets.inputs import NoInterfaceFile

VIEWER_FILES = Path(__file__).parents[1] / "static" / "viewer"
VIEWER_SCRIPTS = (
    "state",
    "view",
    "tiles",
    "drawing",
    "pixels",
    "pointers",
    "keys",
    "panes",
)  # one script, in this order


@dataclass(frozen=True, slots=True)
class Pane:
    """One picture of the viewer, and where there is an original, how far it is from it."""

    label: str
    caption: str  # "31.2 dB, 0.4 s"
    picture: Pyramid
    error: Pyramid | None = None  # the heat of |result - original|
    consistency: Pyramid | None = None  # the heat of |shrunk result - low resolution|, as small as these are


@dataclass(frozen=True, slots=True)
class View:
    """What the viewer shows. The pictures may differ in size: each is drawn over the whole of the first one's place.

    `boxes` are parts to go to at one click: left, top, width and height in pixels of the first picture.
    """

    panes: Sequence[Pane]
    original: int | None = 0  # the place in `panes` of the picture that the others are compared with
    boxes: Sequence[tuple[int, int, int, int]] = ()


class Viewer(gr.HTML, metaclass=NoInterfaceFile):
    """Shows a View, and nothing while its value is None. Tiles must lie in a folder that `tiles_folder` made."""

    def __init__(self, value: View | None = None, **options: Any) -> None:
        own: dict[str, Any] = {
            "html_template": (VIEWER_FILES / "viewer.html").read_text(),
            "css_template": (VIEWER_FILES / "viewer.css").read_text(),
            "js_on_load": "\n".join((VIEWER_FILES / f"{name}.js").read_text() for name in VIEWER_SCRIPTS),
            "apply_default_css": False,
        }
        super().__init__(value, **own | options)  # an event's update makes it anew with all of them as options

    def postprocess(self, value: View | None) -> dict[str, Any] | None:  # type: ignore[override]
        if value is None:
            return None
        pyramids = [layer for pane in value.panes for layer in _list_layers(pane).values()]
        self.temp_files.update(str(file) for pyramid in pyramids for file in pyramid.files())  # deleted in their time
        return {
            "panes": [
                {
                    "label": pane.label,
                    "caption": pane.caption,
                    "layers": {name: _describe_tiles(pyramid) for name, pyramid in _list_layers(pane).items()},
                }
                for pane in value.panes
            ],
            "original": value.original,
            "boxes": [list(box) for box in value.boxes],
            "heat": {"colours": list(HEAT), "error": ERROR_LEVELS, "consistency": CONSISTENCY_LEVELS},
        }


def tiles_folder() -> Path:
    """A new folder among the files that gradio serves."""
    return new_folder("tiles")


def _list_layers(pane: Pane) -> dict[str, Pyramid]:
    layers = {"picture": pane.picture, "error": pane.error, "consistency": pane.consistency}
    return {name: pyramid for name, pyramid in layers.items() if pyramid is not None}


def _describe_tiles(pyramid: Pyramid) -> dict[str, Any]:
    """The pyramid for the browser. Of one tile gradio makes the URL; those of the others differ in their names."""
    return {
        "width": pyramid.width,
        "height": pyramid.height,
        "tile": pyramid.tile,
        "levels": pyramid.levels,
        "top": FileData(path=str(pyramid.top)).model_dump(),
    }
