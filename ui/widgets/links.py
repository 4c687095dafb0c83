"""The page's address: it says what is chosen on the tab in sight, opens with it, and can be copied.

static/links.js writes it in the browser, with no trip to the server.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.errors import UpscaleError
from pipelines.phrasing import printable
from ui.jobs.running import QUIET_EVENT
from ui.widgets import html

TABS = ("upscale", "compare", "chained", "prompt")
LONGEST_SHOWN = 40  # characters of a value that is not known

Event = Any  # of a component: gradio gives these no type of their own


@dataclass(slots=True)
class Asked:
    """What a link asks of a tab: `given` by the parameters' names, and a sentence for each value that there is not."""

    given: Mapping[str, str]
    wrong: list[str] = field(default_factory=list)

    def read(self, name: str, parse: Callable[[str], Any], what: str = "") -> Any:
        """Returns the value of a parameter; None where it is left out, or `parse` gives None or an UpscaleError.

        `what` is what such a value is called in the sentence that says so: the parameter's name unless it is given.
        """
        text = self.given.get(name)
        if text is None:
            return None
        try:
            value = parse(text)
        except UpscaleError:
            value = None
        if value is None:
            self.wrong.append(f"There is no {what or name} “{printable(text[:LONGEST_SHOWN])}”.")
        return value

    def tell(self, more: str = "") -> str:
        """Returns what to say of it, as HTML; `more` is a sentence that follows."""
        return html.link_note(" ".join([*self.wrong, *([more] if more else [])]))


def read_link(request: gr.Request, tab: str, names: Sequence[str]) -> Asked | None:
    """Returns what the page's address asks of that tab; None where it is another's, or asks for nothing of `names`."""
    query = {name: str(value) for name, value in dict(request.query_params).items()}
    asked = {name: query[name] for name in names if name in query}
    return Asked(asked) if asked and find_tab(request) == tab else None


def find_tab(request: gr.Request) -> str:
    """Returns the tab that the page's address asks for; the first one without it."""
    tab = str(dict(request.query_params).get("tab", TABS[0]))
    return tab if tab in TABS else TABS[0]


def find_wrong_tab(request: gr.Request) -> str:
    """Returns a sentence where the page's address asks for a tab that there is not; else ""."""
    tab = str(dict(request.query_params).get("tab", TABS[0]))
    return "" if tab in TABS else f"There is no tab “{printable(tab[:LONGEST_SHOWN])}”."


def write_link(event: Event, tab: str, name: str, value: Block, clears: Sequence[str] = (), unsaid: str = "") -> None:
    """Has the address say what `value` is, after an event of the visitor, unless it is `unsaid`.

    Parameters that it `clears` go.
    """
    said = f"value === {json.dumps(unsaid)} ? '' : value"
    script = f"(value) => {{ links.set({json.dumps(tab)}, {json.dumps(name)}, {said}, {json.dumps([*clears])}); }}"
    event(None, value, None, js=script, **QUIET_EVENT, queue=False)


def clear_link(event: Event, tab: str, name: str) -> None:
    """Has the address say nothing of a parameter, after an event of the visitor."""
    script = f"() => {{ links.set({json.dumps(tab)}, {json.dumps(name)}, '', []); }}"
    event(None, None, None, js=script, **QUIET_EVENT, queue=False)


def keep_image(tab: str, image: Block, opened: Event) -> None:
    """Has the browser remember a tab's image, and give it back after a reload, once the address was read."""
    remember = f"(value) => {{ links.remember({json.dumps(tab)}, value); }}"
    image.change(None, image, None, js=remember, **QUIET_EVENT, queue=False)  # type: ignore[attr-defined]
    opened.then(
        None, image, image, js=f"(value) => [links.recall({json.dumps(tab)}, value)]", **QUIET_EVENT, queue=False
    )


def place_copy_button() -> gr.Button:
    """Puts the button that copies the address into the page being built."""
    return gr.Button("Copy link", size="sm", elem_classes="copy-link")
