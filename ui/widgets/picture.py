"""The fields for images with the examples below them, the same on every tab: one image, several, or a batch.

Chosen by a click, dropped or pasted anywhere on the page; static/choosing/ draws them in the browser.
"""

import filecmp
import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, TypeVar

import gradio as gr
from gradio.data_classes import FileData, GradioModel, GradioRootModel

from pipelines import environment
from pipelines.errors import UpscaleError
from ui.examples import EXAMPLES, STATIC, find_example
from ui.jobs import choosing
from ui.jobs.batches import Batch
from ui.jobs.running import TELLING_EVENT, read_event
from ui.widgets import html
from ui.widgets.inputs import NoInterfaceFile

FIELD_FILES = STATIC / "choosing"


class Chosen(GradioModel):
    """An image in a field: its file, its size to read, whether it is an example, which gives way to the first own, and
    the URL of what is shown in its place where a browser cannot show it.
    """

    file: FileData
    about: str = ""
    example: bool = False
    shown: str | None = None


class ChosenImages(GradioRootModel):
    """The images of a field. A list for one as well: gradio turns a field's None into an empty text."""

    root: list[Chosen]


class PictureField(gr.HTML, metaclass=NoInterfaceFile):
    """A field for one image, that gives the path of its file; an event sets it to a path, or to None."""

    data_model = ChosenImages
    mode: Literal["one", "several", "batch"] = "one"

    def __init__(self, value: Any = None, **options: Any) -> None:
        own: dict[str, Any] = {
            "html_template": (FIELD_FILES / "field.html").read_text(),
            "css_template": (FIELD_FILES / "field.css").read_text(),
            "js_on_load": self._script(),
            "apply_default_css": False,
            "server_functions": [
                choosing.look_at_image,
                choosing.inspect_image,
                choosing.keep_images,
                choosing.unpack_archive,
            ],
        }
        super().__init__(value, **options | own)  # an event's update makes it anew with all of them as options

    def _script(self) -> str:
        script = (FIELD_FILES / "field.js").read_text().replace("MODE", json.dumps(self.mode))
        return script.replace("MOST", str(environment.limits().file_bytes))

    def preprocess(self, payload: ChosenImages | None) -> Path | None:  # type: ignore[override]
        return next(iter(_list_paths(payload)), None)

    def postprocess(self, value: str | Path | None) -> ChosenImages:  # type: ignore[override]
        return _describe([] if value is None else [value])


class PicturesField(PictureField):
    """A field for several images, that gives the paths of their files; an event sets it to a list of paths."""

    mode = "several"

    def preprocess(self, payload: ChosenImages | None) -> list[Path]:  # type: ignore[override]
        return _list_paths(payload)

    def postprocess(self, value: Sequence[str | Path] | None) -> ChosenImages:  # type: ignore[override]
        return _describe(value or [])


class BatchField(PictureField):
    """A field for one image, whose path it gives, or for many, also in a zip: then it gives a `Batch`.

    An event sets it to either, or to None.
    """

    mode = "batch"

    def preprocess(self, payload: ChosenImages | None) -> Path | Batch | None:  # type: ignore[override]
        sent = [(Path(each.file.path), each.file.orig_name or "") for each in payload.root] if payload else []
        return Batch.of(sent) if len(sent) > 1 else next((path for path, _ in sent), None)

    def postprocess(self, value: str | Path | Batch | None) -> ChosenImages:  # type: ignore[override]
        if isinstance(value, Batch):
            return _describe([each.path for each in value.sources], [str(each.relative) for each in value.sources])
        return super().postprocess(value)


Field = TypeVar("Field", bound=PictureField)


def place_batch_field(name: str) -> BatchField:
    """Puts the field into the page being built; it holds the first example. `name` is its id there."""
    return _place_field(BatchField, name)


def place_picture_field(name: str) -> PictureField:
    """Puts the field into the page being built; it holds the first example. `name` is its id there."""
    return _place_field(PictureField, name)


def place_pictures_field(name: str) -> PicturesField:
    """Puts a field for several images into the page being built; it holds the first example. `name` is its id there."""
    field = PicturesField([str(EXAMPLES[0].path)], elem_id=name)
    _place_examples().click(_pick_example_alone, None, field, **TELLING_EVENT, queue=False)
    return field


def _place_field(kind: type[Field], name: str) -> Field:
    field = kind(str(EXAMPLES[0].path), elem_id=name)
    _place_examples().click(_pick_example, None, field, **TELLING_EVENT, queue=False)
    return field


def _place_examples() -> gr.HTML:
    buttons = f'<div class="try-these"><p class="try">or try one of these</p>{html.example_buttons(EXAMPLES)}</div>'
    return gr.HTML(buttons, js_on_load=(STATIC / "examples.js").read_text())


def _pick_example(event: gr.EventData) -> str:
    """The file of the example that was clicked; static/examples.js sends its name."""
    return str((find_example(str(read_event(event, "example"))) or EXAMPLES[0]).path)


def _pick_example_alone(event: gr.EventData) -> list[str]:
    return [_pick_example(event)]


def _list_paths(payload: ChosenImages | None) -> list[Path]:
    return [Path(each.file.path) for each in payload.root] if payload else []


def _describe(paths: Sequence[str | Path], names: Sequence[str] = ()) -> ChosenImages:
    """The files as the field has them; `names` is what they are called, where that is not how the files are named."""
    chosen = []
    for path, name in zip_longest(map(Path, paths), names):
        about = ""
        with suppress(UpscaleError):  # what is wrong with it, the plan says
            about = choosing.describe_size(path)
        file = FileData(path=str(path), orig_name=name or path.name)
        chosen.append(Chosen(file=file, about=about, example=_is_example(path)))
    return ChosenImages(root=chosen)


def _is_example(path: Path) -> bool:
    """Returns whether it is an example's file, or the copy of one that a page sends back."""
    example = find_example(path.stem)
    if example is None or path.name != example.path.name:
        return False
    try:
        return filecmp.cmp(path, example.path, shallow=False)
    except OSError:  # it is no longer there, which the plan says
        return False
