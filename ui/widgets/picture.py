"""The field for one picture with the examples below it, the same on every tab that takes one."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from ui.examples import EXAMPLES, STATIC, find_example
from ui.jobs.running import QUIET_EVENT
from ui.widgets import html
from ui.widgets.inputs import PictureInput


def place_picture_field(name: str) -> PictureInput:
    """Puts the field into the page being built; it holds the first example. `name` is its id there."""
    picture = PictureInput(
        value=str(EXAMPLES[0].path),
        label="Picture",
        height=220,
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=False),  # what is saved would be mirrored, not only what is shown
        buttons=["fullscreen"],
        elem_id=name,
        placeholder="Drop a picture here, paste one, or click to choose",
        alt_text="The picture to enlarge",
    )
    examples = gr.HTML(html.example_buttons(EXAMPLES), js_on_load=(STATIC / "examples.js").read_text())
    examples.click(_pick_example, None, picture, **QUIET_EVENT, queue=False)
    picture.upload(_make_viewable, picture, picture, **QUIET_EVENT, concurrency_id="files")
    return picture


def _pick_example(event: gr.EventData) -> str:
    """The file of the example that was clicked; static/examples.js sends its name."""
    return str((find_example(event.example) or EXAMPLES[0]).path)


def _make_viewable(image: ImageSource | None) -> Iterator[Any]:
    """A TIFF as a PNG of the same pixels, depth and metadata, since no browser shows a TIFF; all others stay."""
    if isinstance(image, Path) and image.suffix.lower() in (".tif", ".tiff"):
        with suppress(UpscaleError), tempfile.TemporaryDirectory() as folder:
            picture = images.read(image)
            if not picture.notes:  # what reading changes is to be said with the result, so the file itself is kept
                path = Path(folder) / image.with_suffix(".png").name
                images.write(picture, path)
                yield str(path)
                return
    yield gr.skip()
