"""Inputs that hand over what the visitor gave, untouched, so that `pipelines` decides what is wrong with it.

Gradio's own preprocessing opens a picture with Pillow first (which loses 16 bits, GIF frames, EXIF and alpha, and
answers a broken file with its own words) and refuses an unknown choice in its own words.
"""

import base64
import binascii
from abc import ABCMeta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import FileData, ImageData, ListFiles

from pipelines import environment

URL_SAFE = str.maketrans("-_", "+/")


class NoInterfaceFile(ComponentMeta):
    """Makes a component's subclass as Python would: gradio's own way writes a .pyi file beside the source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class PictureInput(gr.Image, metaclass=NoInterfaceFile):
    """A picture field that gives the uploaded file's path, or its bytes where it came as a data: URL."""

    is_template = True  # drawn by the browser as its base is

    def preprocess(self, payload: ImageData | None) -> Path | bytes | None:  # type: ignore[override]
        if payload is None:
            return None
        if payload.url and payload.url[:5].lower() == "data:":
            return _decode_url(payload.url)
        return Path(payload.path) if payload.path else None


class ResultFile(gr.File, metaclass=NoInterfaceFile):
    """A file that the page made: its path. Gradio's own would make an empty temporary file each time, and keep it."""

    is_template = True

    def preprocess(self, payload: FileData | None) -> Path | None:  # type: ignore[override]
        return None if payload is None else Path(payload.path)


class PicturesInput(gr.File, metaclass=NoInterfaceFile):
    """A field for several pictures that gives the uploaded files' paths."""

    is_template = True

    def preprocess(self, payload: ListFiles | None) -> list[Path]:  # type: ignore[override]
        return [Path(file.path) for file in payload or ()]


class FilesInput(gr.File, metaclass=NoInterfaceFile):
    """A field for several files that gives their paths, each with what it is called."""

    is_template = True

    def preprocess(self, payload: ListFiles | None) -> list[tuple[Path, str]]:  # type: ignore[override]
        return [(Path(file.path), file.orig_name or "") for file in payload or ()]


class Checkbox(gr.Checkbox, metaclass=NoInterfaceFile):
    """A box to tick that gives whatever value was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class CheckboxGroup(gr.CheckboxGroup, metaclass=NoInterfaceFile):
    """Boxes to tick that give whatever values were sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Dropdown(gr.Dropdown, metaclass=NoInterfaceFile):
    """A dropdown that gives whatever value was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Radio(gr.Radio, metaclass=NoInterfaceFile):
    """Radio buttons that give whatever value was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Slider(gr.Slider, metaclass=NoInterfaceFile):
    """A slider that gives whatever value was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Textbox(gr.Textbox, metaclass=NoInterfaceFile):
    """A field for words that gives whatever value was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Number(gr.Number, metaclass=NoInterfaceFile):
    """A number's field that gives whatever value was sent."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


def _decode_url(url: str) -> bytes:
    most = environment.limits().file_bytes
    if len(url) * 3 // 4 > most + 1000:  # base64 takes four characters for three bytes
        raise gr.Error(f"The image is larger than {most / environment.MEGA:g} MB, the most that can be read.")
    # As RFC 2397 and 4648 allow: percent-encoded, in lines, of either alphabet, with or without padding.
    text = "".join(unquote(url.partition(",")[2]).split()).rstrip("=").translate(URL_SAFE)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise gr.Error("The data: address does not hold a file.", print_exception=False) from None
