"""The synchronised viewer: any number of images at one zoom and position, drawn from tiles by static/viewer/."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gradio as gr
from gradio.data_classes import FileData

from pipelines.images.door import CONSISTENCY_LEVELS, ERROR_LEVELS, HEAT, Pyramid
from ui.jobs.results import new_folder
from ui.widgets.inputs import NoInterfaceFile

VIEWER_FILES = Path(__file__).parents[1] / "static" / "viewer"
# One script, in this order.
VIEWER_SCRIPTS = (
    "state",
    "view",
    "bicubic",
    "tiles",
    "drawing",
    "pixels",
    "navigator",
    "swipe",
    "pointers",
    "keys",
    "full",
    "panes",
)

# The page has the script once, however many viewers there are: whichever of the two is there first waits for the other.
START_VIEWER = """
const start = () => window.startViewer(element, props, watch);
if (window.startViewer) start();
else window.addEventListener("viewer-script", start, { once: true });
"""

Layout: TypeAlias = Literal["grid", "side", "swipe"]  # all panes; two beside each other; two under one line
State: TypeAlias = Literal["", "preview", "running"]
Box: TypeAlias = tuple[int, int, int, int]  # left, top, width and height


@dataclass(frozen=True, slots=True)
class WholeFile:
    """An image as one file that a browser can decode, drawn as `width` by `height` pixels."""

    path: Path
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Pane:
    """One image of the viewer, and where there is an original, how far it is from it."""

    label: str
    caption: str  # "31.2 dB, 0.4 s"
    picture: Pyramid | WholeFile
    error: Pyramid | None = None  # the heat of |result - original|
    consistency: Pyramid | None = None  # the heat of |shrunk result - low resolution|, as small as these are
    smooth: bool = False  # a smaller image is enlarged by bicubic, in the browser, and not shown as squares
    over: WholeFile | None = None  # what there is already of a run's result; clear where there is nothing yet


@dataclass(frozen=True, slots=True)
class View:
    """What the viewer shows. The images may differ in size: each is drawn over the whole of the first one's place.

    `boxes` are parts to go to at one click: left, top, width and height in pixels of the size.
    """

    panes: Sequence[Pane]
    original: int | None = 0  # the place in `panes` of the image that the others are compared with
    boxes: Sequence[Box] = ()
    layout: Layout = "grid"  # at first: the visitor can change it
    pair: tuple[int, int] | None = None  # the panes that stand beside each other or under the line, at first
    open_at: int | Box | None = None  # which of the boxes, or which other, is in sight at first; without it all
    size: tuple[int, int] | None = None  # width and height, if not those of the first image
    state: State = ""
    source: str = ""  # the path of the image that it is of, by which the browser knows it again
    empty: str = ""  # what stands in the place of panes while there are none; without it nothing is in sight


class Viewer(gr.HTML, metaclass=NoInterfaceFile):
    """Shows a View, and nothing while its value is None. Tiles must lie in a folder that `tiles_folder` made."""

    def __init__(self, value: View | None = None, **options: Any) -> None:
        own: dict[str, Any] = {
            "html_template": (VIEWER_FILES / "viewer.html").read_text(),
            "css_template": "\n".join((VIEWER_FILES / f"{name}.css").read_text() for name in ("viewer", "stage")),
            "js_on_load": START_VIEWER,
            "apply_default_css": False,
        }
        super().__init__(value, **own | options)  # an event's update makes it anew with all of them as options

    def postprocess(self, value: View | None) -> dict[str, Any] | None:  # type: ignore[override]
        if value is None:
            return None
        pyramids = [layer for layer in list_layers(value) if isinstance(layer, Pyramid)]
        self.temp_files.update(str(file) for pyramid in pyramids for file in pyramid.files())  # deleted in their time
        return describe_view(value, lambda path: FileData(path=str(path)).model_dump())


def describe_view(view: View, address: Callable[[Path], Any]) -> dict[str, Any]:
    """Returns the view as the script takes it; `address` says where the browser finds a layer's one file, or its top.

    The other tiles of a pyramid lie beside its top, and differ in their names.
    """
    return {
        "panes": [
            {
                "label": pane.label,
                "caption": pane.caption,
                "smooth": pane.smooth,
                "layers": {name: _describe_layer(layer, address) for name, layer in _list_layers(pane).items()},
            }
            for pane in view.panes
        ],
        "original": view.original,
        "boxes": [list(box) for box in view.boxes],
        "heat": {"colours": list(HEAT), "error": ERROR_LEVELS, "consistency": CONSISTENCY_LEVELS},
        "layout": view.layout,
        "pair": view.pair,
        "open_at": view.open_at,
        "size": view.size,
        "state": view.state,
        "source": view.source,
        "empty": view.empty,
    }


def viewer_script() -> str:
    """JavaScript of a function without parameters that gives the page `startViewer`."""
    parts = "\n".join((VIEWER_FILES / f"{name}.js").read_text() for name in VIEWER_SCRIPTS)
    started = f"window.startViewer = (element, props, watch) => {{\n{parts}\n}};"
    return f'() => {{\n{started}\nwindow.dispatchEvent(new Event("viewer-script"));\n}}'


def tiles_folder() -> Path:
    """A new folder among the files that gradio serves."""
    return new_folder("tiles")


def list_layers(view: View) -> list[Pyramid | WholeFile]:
    """Returns every layer of every pane."""
    return [layer for pane in view.panes for layer in _list_layers(pane).values()]


def _list_layers(pane: Pane) -> dict[str, Pyramid | WholeFile]:
    layers = {"picture": pane.picture, "error": pane.error, "consistency": pane.consistency, "over": pane.over}
    return {name: layer for name, layer in layers.items() if layer is not None}


def _describe_layer(layer: Pyramid | WholeFile, address: Callable[[Path], Any]) -> dict[str, Any]:
    if isinstance(layer, WholeFile):
        file, side = address(layer.path), max(layer.width, layer.height)
        return {"width": layer.width, "height": layer.height, "tile": side, "levels": 1, "top": file, "whole": True}
    return {
        "width": layer.width,
        "height": layer.height,
        "tile": layer.tile,
        "levels": layer.levels,
        "top": address(layer.top),
        "clear": layer.clear,
    }
