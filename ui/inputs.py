"""Inputs that hand over what the visitor gave, untouched, so that `pipelines` decides what is wrong with it.

Gradio's own preprocessing opens a picture with Pillow first (which loses 16 bits, GIF frames, EXIF and alpha, and
answers a broken file with its own words) and refuses an unknown choice in its own words.
"""

import base64
import binascii
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.data_classes import ImageData

from pipelines.errors import BadPicture

Component = TypeVar("Component", bound=gr.components.Component)


def picture_input(**options: Any) -> gr.Image:
    """A picture field that gives the uploaded file's path, or its bytes where it came as a data: address."""
    return _handing_over(gr.Image(type="filepath", **options), _source)


def choice_input(component: Component) -> Component:
    """A dropdown or radio that gives whatever value was sent."""
    return _handing_over(component, lambda value: value)


def _handing_over(component: Component, preprocess: Any) -> Component:
    """Replaces the method on the one instance: a subclass would make gradio write a .pyi file beside this one."""
    component.preprocess = preprocess  # type: ignore[method-assign]
    return component


def _source(payload: ImageData | None) -> Path | bytes | None:
    if payload is None:
        return None
    if payload.url and payload.url.startswith("data:"):
        try:
            return base64.b64decode(payload.url.partition(",")[2], validate=True)
        except binascii.Error:
            raise gr.Error(str(BadPicture("The data: address does not hold a file.")), print_exception=False) from None
    return Path(payload.path) if payload.path else None
