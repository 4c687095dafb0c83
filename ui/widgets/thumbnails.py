"""Thumbnails of a comparison's images, of which one is looked at."""

from base64 import b64encode
from collections.abc import Iterable
from io import BytesIO

import gradio as gr
import numpy as np
from PIL import Image

from pipelines.images.door import Pixels8
from ui.examples import STATIC
from ui.widgets.html import THUMBNAIL_SIDE
from ui.widgets.results import render


def place_thumbnails() -> gr.HTML:
    """A component that shows what `render_thumbnails` gives; its `click` tells the number."""
    return gr.HTML(
        css_template=(STATIC / "thumbnails.css").read_text(),
        js_on_load=(STATIC / "thumbnails.js").read_text(),
        apply_default_css=False,
        elem_classes="at-times",
    )


def render_thumbnails(pictures: Iterable[tuple[str, int, Pixels8]]) -> str:
    """Renders a button for each picture, of its name, number and pixels (H, W, 3) uint8; the first one is pressed."""
    return render("thumbnails.html", pictures=[(name, number, _shrink(pixels)) for name, number, pixels in pictures])


def _shrink(pixels: Pixels8) -> str:
    """The picture as a small JPEG inside the page."""
    small = Image.fromarray(np.ascontiguousarray(pixels))
    small.thumbnail((2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
    stream = BytesIO()
    small.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"
