"""The search in OpenModelDB's list, below the field for one's own model: what is typed there is looked for."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines import environment
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import OpenModelDbEntry
from pipelines.phrasing import format_bytes
from ui.jobs import model_list
from ui.jobs.run_button import Update
from ui.jobs.running import QUIET_EVENT
from ui.widgets import html
from ui.widgets.choices import Choices, Option, offer, place_choices

PREFIX = "omdb/"
LEAST_LETTERS = 2  # of words to look for
MOST_SHOWN = 8
# What is typed within this time is one question: what was waited for before is given up.
WAIT = """() => new Promise((done) => {
    clearTimeout(window.waitingToSearch);
    window.waitingToSearch = setTimeout(done, 200);
})"""


@dataclass(frozen=True, slots=True)
class ModelSearch:
    """The models found, of which one can be chosen, and what is to be said of them."""

    found: Choices
    told: gr.HTML

    def look_for(self, text: str) -> Update:
        """What the list has for what is typed; nothing for a whole name, and for an address."""
        words = read_words(text)
        if not words:
            return self._show([])
        if not catalog.read_openmodeldb() and (reason := model_list.bring()):
            return self._show([], reason)
        entries = catalog.search_models(words)
        if str(text).strip() in {f"{PREFIX}{entry.name}" for entry in entries}:
            return self._show([])  # a whole name: one that was chosen here, or came with a link
        if not entries:
            return self._show([], "OpenModelDB has no model that matches these words.")
        more = f"These are the first {MOST_SHOWN}. More words find fewer." if len(entries) > MOST_SHOWN else ""
        options = sorted(map(_describe, entries), key=lambda each: each.never != "")  # what cannot be chosen comes last
        return self._show(options[:MOST_SHOWN], more)

    def _show(self, options: list[Option], told: str = "") -> Update:
        return {
            self.found: offer(options, value=None, visible=bool(options)),
            self.told: html.aside(told) if told else "",
        }

    def connect(self, own: Block) -> None:
        """Has it follow the field, one question at a time, and a choice go there."""
        once: dict[str, Any] = {**QUIET_EVENT, "queue": False}
        # Of what is pasted, gradio tells no `input`.
        typed = own.change(None, None, None, js=WAIT, **once)  # type: ignore[attr-defined]
        typed.then(self.look_for, own, [self.found, self.told], **once)
        chosen = self.found.input(None, self.found, own, js="(key) => [key]", **once)
        chosen.then(lambda: self._show([]), None, [self.found, self.told], **once)


def place_model_search() -> ModelSearch:
    """Puts the list of what is found into the page being built, out of sight."""
    found = place_choices("Found in OpenModelDB", [], "", "cards", visible=False, elem_id="found")
    return ModelSearch(found, gr.HTML("", elem_classes="at-times"))


def read_words(text: object) -> str:
    """Returns what to look for; nothing where an address or a file is named, or too little is written."""
    words = str(text or "").strip().removeprefix(PREFIX).strip()
    return "" if "/" in words or len(words) < LEAST_LETTERS else words


def _describe(entry: OpenModelDbEntry) -> Option:
    use = "" if entry.commercial else ", no commercial use"
    about = f"x{entry.scale}, {entry.licence or 'no licence named'}{use}"
    cost, never = format_bytes(entry.size), ""
    if entry.scale == 1:
        cost, never = "under Clean up first", "It does not upscale. Choose it under Clean up first."
    elif not entry.loadable(environment.model_hosts()):
        cost, never = "download in a browser", f"Download it at {entry.page}."
    return Option(f"{PREFIX}{entry.name}", entry.name, about, cost, never)
