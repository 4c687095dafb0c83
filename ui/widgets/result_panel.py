"""The right side of a tab with one result: the viewer, what to download, and the facts. It never shows a result beside
an image or a model that it is not of, without saying so.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from pipelines.catalog.rows import QUALITY_RANGE, USUAL_QUALITY
from pipelines.errors import BadSetting, UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.phrasing import format_bytes
from pipelines.runs import Run, Step
from ui.examples import STATIC
from ui.jobs import results
from ui.jobs.run_button import RunButton, Update
from ui.jobs.running import QUIET_EVENT, escape_error, explain_errors
from ui.sharing import pages
from ui.sharing.button import Share, ShareButton, place_share_button
from ui.sharing.store import Page, Place
from ui.widgets import before_after
from ui.widgets.before_after import NOTHING_YET, Made
from ui.widgets.html import READY
from ui.widgets.inputs import ResultFile
from ui.widgets.viewer import View, Viewer

DOWNLOAD_FORMATS = {"PNG": "png", "WebP": "webp", "JPEG": "jpg"}
LOSSLESS = QUALITY_RANGE[1]  # of WebP
USUAL_QUALITIES = {"WebP": LOSSLESS, "JPEG": USUAL_QUALITY}
ABOUT_QUALITY = f"Lower is smaller. {LOSSLESS} is lossless in WebP only."
RESULT_GONE = "The result is no longer kept here. Upscale the image again."
SHOW_CHOSEN = (STATIC / "show_chosen.js").read_text()
# What a run that ended early showed, and its late steps, give way to what was there before; another's result does not.
REST = """async (viewer, file) => {
    await new Promise((done) => setTimeout(done, 400));
    const shown = document.querySelector("#NAME .viewer");
    if (viewer?.state !== "running" || shown.dataset.state !== "running") return;
    shown.dispatchEvent(new Event("settle"));
    return { __type__: "update", interactive: Boolean(file) };
}"""


@dataclass(frozen=True, slots=True)
class ResultPanel:
    """The components; out of sight whose result it is, as JSON with the image's path and the model, and its file."""

    note: gr.HTML
    viewer: Viewer
    made_of: gr.Textbox
    file: ResultFile  # the lossless one, which the download is made of
    kind: gr.Radio
    metadata: gr.Checkbox
    quality: gr.Slider  # of JPEG and WebP
    download: gr.DownloadButton
    told: gr.HTML  # format and size of the download
    saving: gr.Column  # all that the download takes
    facts: gr.HTML
    share: ShareButton | None  # none where sharing is off
    first: Made | None  # what was made beforehand

    @property
    def components(self) -> list[Block]:
        """Returns all that a run changes."""
        return [
            self.note,
            self.viewer,
            self.made_of,
            self.file,
            self.kind,
            self.metadata,
            self.quality,
            self.download,
            self.told,
            self.saving,
            self.facts,
            *(self.share.components if self.share else []),
        ]

    def begins(self, source: ImageSource | None, name: str, scale: int) -> Update:
        """Returns what the beginning of a run changes; `name` says by what the result is made: "Swift x4"."""
        return {
            self.note: "",
            self.viewer: before_after.show_running(source, name, scale),
            self.download: gr.DownloadButton(interactive=False),
        }

    def shows_so_far(self, view: View | None) -> Update:
        """Returns what a step of a run changes; None where there is nothing new to see."""
        return {} if view is None else {self.viewer: view}

    def shows(self, made: Made) -> Update:
        """Returns what a result changes."""
        return {
            self.note: "",
            self.viewer: _place_view(made),
            self.made_of: _identify(made),
            self.file: made.file or None,
            self.kind: "PNG",
            self.metadata: True,
            self.quality: gr.Slider(visible=False),
            self.download: gr.DownloadButton("Download PNG", value=made.file or None, interactive=bool(made.file)),
            self.told: tell_file("PNG", Path(made.file)) if made.file else "",
            self.saving: gr.Column(visible=bool(made.file)),
            self.facts: made.facts,
            **(self.share.offer() if self.share else {}),
        }

    def connect(
        self,
        picture: Block,
        button: RunButton,
        settled: Dependency,
        *,
        scale: Block | None = None,
        usual_scale: int = 4,
        chosen: Sequence[Block] = (),
        name: Callable[..., str] | None = None,
        also: Sequence[Block] = (),
        share: Share | None = None,
        shared: Sequence[Block] = (),
    ) -> None:
        """Connects the panel with a tab: a new picture is shown at once, in the place of the result of another.

        `settled` is the event after a run. `scale` is the component that says how many times a picture is enlarged,
        `usual_scale` without one. `name` says of the values of `chosen` by what a result would be made now. `also` are
        other components that tell of a result, as HTML. `share(place, *shared, file, made_of)` may stand for
        `make_shared_page`; each of `shared` is, as the file is, what a run is known by.
        """
        also = [*also, *(self.share.components if self.share else [])]
        result = [self.note, self.viewer, self.made_of, self.file, self.download, self.told, self.saving, self.facts]
        outputs = [button.progress, *result, *also]
        inputs = [picture, self.made_of, button.progress, *([] if scale is None else [scale])]
        show = SHOW_CHOSEN.replace("ALSO", str(len(also))).replace("SCALE", str(usual_scale))
        show = show.replace("READY", json.dumps(READY))
        for each in (picture, scale):
            if each is not None:
                each.change(None, inputs, outputs, js=show, **QUIET_EVENT, queue=False)  # type: ignore[attr-defined]
        rest: dict[str, Any] = {"js": REST.replace("NAME", str(self.viewer.elem_id)), "queue": False}
        for ended in (button.cancel.click, settled.then):
            ended(None, [self.viewer, self.file], self.download, **QUIET_EVENT, **rest)
        if name is not None:
            values = [self.made_of, picture, *chosen]

            def mark(made_of: str, source: ImageSource | None, *given: Any) -> str:
                return tell_whose(made_of, source, name, given, str(button.run.value))

            changes = [each.change for each in chosen]  # type: ignore[attr-defined]
            gr.on(changes, mark, values, self.note, **QUIET_EVENT, queue=False)
            settled.then(mark, values, self.note, **QUIET_EVENT, queue=False)  # another may have been chosen meanwhile
        if self.share:
            self.share.connect(share or self.make_shared_page, [*shared, self.file, self.made_of], len(shared) + 1)
        changed = [self.kind.input, self.metadata.input, self.quality.input]
        for choice, convert in zip(changed, (self.convert_result, self.convert_again, self.convert_again), strict=True):
            preparing = choice(_prepare, None, self.download, **QUIET_EVENT, queue=False)
            preparing.then(
                convert,
                [self.file, self.kind, self.metadata, self.quality],
                [self.download, self.told, self.quality],
                **QUIET_EVENT,
                concurrency_id="files",
            )

    def make_shared_page(self, place: Place, file: Path | None, made_of: str) -> Run[Page]:
        """Returns the page of that file's result. Raises BadSetting without one, FileNotFoundError where it is gone."""
        if not made_of:
            raise BadSetting("There is no result of this image yet. Upscale it, then share it.")
        yield Step(0, 1, "writing the page")
        kept = results.find_showing(self.file, str(file))
        if kept is not None:
            view, facts, made_of = (kept.shown[each][1] for each in (self.viewer, self.facts, self.made_of))
        elif self.first is not None and made_of == _identify(self.first):
            view, facts = self.first.view, self.first.facts
        else:
            raise FileNotFoundError(str(file))
        return pages.make_result_page(place, view, json.loads(made_of)["name"], facts)

    def convert_result(self, result: Path | None, kind: str, metadata: bool, _: float) -> Iterator[Update]:
        """Another format, at its usual quality."""
        usual = USUAL_QUALITIES.get(kind)
        slider = gr.Slider(visible=False) if usual is None else gr.Slider(value=usual, visible=True)
        for button, told in make_download(result, kind, metadata, usual):
            yield {self.download: button, self.told: told, self.quality: slider}

    def convert_again(self, result: Path | None, kind: str, metadata: bool, quality: float) -> Iterator[Update]:
        """The same format, with or without metadata, at another quality."""
        for button, told in make_download(result, kind, metadata, quality if kind in USUAL_QUALITIES else None):
            yield {self.download: button, self.told: told}


def place_result(name: str, facts_name: str, first: Made | View = NOTHING_YET) -> ResultPanel:
    """Puts the panel into the page being built; both names are ids there, of the viewer and of the facts.

    `first` was made beforehand, or is what is in its place.
    """
    made = first if isinstance(first, Made) else None
    note = gr.HTML("", elem_classes="whose")
    viewer = Viewer(_place_view(first) if isinstance(first, Made) else first, elem_id=name)
    made_of = gr.Textbox("" if made is None else _identify(made), visible=False)
    file = ResultFile(value=None if made is None else made.file or None, visible=False)
    file_now = made.file if made else ""
    with gr.Column(visible=made is None or bool(file_now)) as saving:
        with gr.Row(elem_classes="download"):
            download = gr.DownloadButton("Download PNG", value=file_now or None, interactive=bool(file_now), scale=0)
            told = gr.HTML(tell_file("PNG", Path(file_now)) if file_now else "", elem_classes="told")
        with gr.Row(elem_classes="download"):
            kind = gr.Radio(list(DOWNLOAD_FORMATS), value="PNG", label="Download as", min_width=300)
            metadata = gr.Checkbox(True, label="Keep metadata (EXIF)", min_width=180)
            low, high = QUALITY_RANGE
            quality = gr.Slider(
                low,
                high,
                USUAL_QUALITIES["JPEG"],
                step=1,
                label="Quality",
                info=ABOUT_QUALITY,
                min_width=400,
                visible=False,
            )
    if (share := place_share_button(name)) is not None:  # also for what has no file to download
        share.place_panel()
    facts = gr.HTML("" if made is None else made.facts, elem_id=facts_name)
    return ResultPanel(note, viewer, made_of, file, kind, metadata, quality, download, told, saving, facts, share, made)


def _place_view(made: Made) -> View:
    """The view, by whose source the browser knows an image again that it has already."""
    return replace(made.view, source=made.source)


def _identify(made: Made) -> str:
    """Whose result it is, as JSON."""
    return json.dumps({"source": made.source, "name": made.name})


def tell_whose(
    made_of: str, source: ImageSource | None, name: Callable[..., str], chosen: Sequence[Any], button: str = "Upscale"
) -> str:
    """Returns whose result is shown, where it is not of the image and the model that are chosen now; else "".

    `button` is the label of the one that makes another.
    """
    known = json.loads(made_of) if made_of else {}
    if not known.get("name"):
        return ""
    try:
        wanted = name(*chosen)
    except UpscaleError:  # while it is being chosen; the plan says what is wrong
        return ""
    whose = f"Result of {known['name']}"
    if known["source"] and isinstance(source, Path) and str(source) != known["source"]:
        whose += f" for {Path(known['source']).name}"
    elif wanted == known["name"]:
        return ""
    return f'<p class="about whose">{escape(whose)}. Press {button} for {escape(wanted)}.</p>'


def _prepare() -> gr.DownloadButton:
    return gr.DownloadButton("Preparing", interactive=False)


def tell_file(kind: str, path: Path) -> str:
    """Returns what a download is: "PNG, 4.2 MB"."""
    return f'<p class="about">{kind}, {format_bytes(path.stat().st_size)}</p>'


def make_download(
    result: Path | None, kind: str, metadata: bool, quality: float | None = None
) -> Iterator[tuple[gr.DownloadButton, str]]:
    """The result in the format to download, made of the lossless file, and what there is to tell of it.

    Where that fails, the lossless file can still be downloaded, if it is there.
    """
    if result is None:
        yield gr.DownloadButton(f"Download {kind}", value=None, interactive=False), ""
        return
    suffix = DOWNLOAD_FORMATS[kind]
    try:
        with explain_errors(), tempfile.TemporaryDirectory() as folder:
            if not result.is_file():
                raise gr.Error(RESULT_GONE, print_exception=False)
            path = result
            if suffix != "png" or not metadata:
                path = Path(folder) / result.with_suffix(f".{suffix}").name
                level = None if quality is None or (kind == "WebP" and quality == LOSSLESS) else int(quality)
                images.write(images.read_back(result), path, metadata, level)
            yield gr.DownloadButton(f"Download {kind}", value=str(path), interactive=True), tell_file(kind, path)
    except gr.Error as error:
        left = result if result.is_file() else None
        button = gr.DownloadButton("Download PNG", value=left and str(left), interactive=left is not None)
        yield button, "" if left is None else tell_file("PNG", left)
        raise escape_error(error) from None
