"""The right side of the Upscale tab for many images: each turns to done, and a zip of the results to download."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
from gradio.blocks import Block
from gradio.data_classes import FileData, GradioModel

from pipelines.phrasing import format_bytes, simplify_note
from ui.examples import STATIC
from ui.jobs.batches import Progress
from ui.jobs.run_button import RunButton, Update
from ui.jobs.running import QUIET_EVENT
from ui.widgets import html
from ui.widgets.html import READY
from ui.widgets.inputs import NoInterfaceFile
from ui.widgets.viewer import Viewer

FILES = STATIC / "batch"
MOST_NOTES = 8  # of what is true of several results
DOWNLOAD = "Download ZIP"


class Item(GradioModel):
    """An image of a batch, by its own file, and what became of it; `told` is why it failed."""

    file: FileData
    name: str
    state: Literal["waiting", "done", "failed"] = "waiting"
    told: str = ""


class Items(GradioModel):
    """All images of a batch; once it has `ended` the results can be looked at."""

    items: list[Item]
    ended: bool = False


class ItemsField(gr.HTML, metaclass=NoInterfaceFile):
    """Shows the images of a batch, given its Progress; nobody reads it."""

    data_model = Items

    def __init__(self, value: Progress | None = None, **options: Any) -> None:
        own: dict[str, Any] = {
            "html_template": (FILES / "batch.html").read_text(),
            "css_template": (FILES / "batch.css").read_text(),
            "js_on_load": (FILES / "batch.js").read_text(),
            "apply_default_css": False,
        }
        super().__init__(value, **options | own)  # an event's update makes it anew with all of them as options

    def preprocess(self, payload: Items | None) -> None:  # type: ignore[override]
        return None

    def postprocess(self, value: Progress | None) -> Items:  # type: ignore[override]
        if value is None:
            return Items(items=[])
        items = []
        for source, outcome in value.pairs():
            file = FileData(path=str(source.path), orig_name=source.path.name)
            item = Item(file=file, name=source.relative.as_posix())
            if outcome is not None:
                item.state, item.told = "failed" if outcome.state == "failed" else "done", outcome.error or ""
            items.append(item)
        return Items(items=items, ended=value.closed.is_set())


@dataclass(frozen=True, slots=True)
class BatchBoard:
    """The components."""

    items: ItemsField
    download: gr.DownloadButton
    told: gr.HTML  # how large the zip is
    facts: gr.HTML
    viewer: Viewer  # of the result that was clicked

    @property
    def components(self) -> list[Block]:
        """Returns all that a run changes."""
        return [self.items, self.download, self.told, self.facts, self.viewer]

    def begins(self, progress: Progress) -> Update:
        """Returns what the beginning of a batch changes."""
        off = gr.DownloadButton(DOWNLOAD, value=None, interactive=False)
        return {self.items: progress, self.download: off, self.told: "", self.facts: "", self.viewer: None}

    def shows_so_far(self, progress: Progress) -> Update:
        """Returns what an image that is finished changes."""
        return {self.items: progress}

    def shows(self, progress: Progress) -> Update:
        """Returns what the end of a batch changes."""
        made = progress.done > 0
        size = f"{_count(progress.done)}, {format_bytes(progress.archive.stat().st_size)}" if made else ""
        return {
            self.items: progress,
            self.download: gr.DownloadButton(DOWNLOAD, value=str(progress.archive) if made else None, interactive=made),
            self.told: f'<p class="about">{size}</p>' if made else "",
            self.facts: render_facts(progress),
        }

    def connect(self, picture: Block, button: RunButton) -> None:
        """Has other images take the results of those before away: at once, and without the server."""
        script = (FILES / "chosen.js").read_text().replace("READY", json.dumps(READY))
        inputs, outputs = [picture, self.items, button.progress], [*self.components, button.progress]
        picture.change(None, inputs, outputs, js=script, **QUIET_EVENT, queue=False)  # type: ignore[attr-defined]


def place_batch_board(name: str) -> BatchBoard:
    """Puts the components into the page being built; `name` is the id of the images."""
    items = ItemsField(elem_id=name)
    with gr.Row(elem_classes="download"):
        download = gr.DownloadButton(DOWNLOAD, interactive=False, scale=0)
        told = gr.HTML("", elem_classes="told")
    return BatchBoard(items, download, told, gr.HTML("", elem_id=f"{name}-facts"), Viewer(elem_id=f"{name}-viewer"))


def render_facts(progress: Progress) -> str:
    """Returns what became of the images, and what is true of several results, as HTML."""
    outcomes = [*progress.outcomes.values()]
    states = Counter(each.state for each in outcomes)
    left = len(progress.batch.sources) - len(outcomes)
    counts = [f"{states['done']} done", f"{states['failed']} failed", f"{left} not begun"]
    rows = [("Images", ", ".join([counts[0], *(each for each in counts[1:] if not each.startswith("0 "))]))]
    details = [each.details for each in outcomes if each.details is not None]
    told = Counter(note for each in outcomes if each.details for note in (*each.losses, *each.details.notes))
    plain = Counter[str]()
    for note, often in told.items():
        plain[simplify_note(note)] += often
    del plain[""]
    rows += [("Note", f"{note} ({_count(often)})") for note, often in plain.most_common(MOST_NOTES)]
    folded = [("Found", f"{note} ({_count(told[note])})") for note in told if note != simplify_note(note)][:MOST_NOTES]
    if details:
        run_on = dict.fromkeys(f"{each.device}, {each.dtype}" for each in details)
        folded = [
            ("Computing", html.tell_time(sum(each.seconds for each in details))),
            ("Run on", "; ".join(run_on)),
            *folded,
        ]
    return html.list_facts(rows, folded)


def _count(number: int) -> str:
    return f"{number} {'image' if number == 1 else 'images'}"
