"""The button that shares a result, and beside it what is shared and for how long, then the link, and how to delete it.

Nothing is shared before it is pressed. What deletes a page is told to the browser alone, which keeps it, and adds it
when the page is to be deleted (static/share.js).
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.context import LocalContext

from pipelines import environment
from pipelines.errors import BadSetting
from pipelines.runs import Run
from ui.jobs import results
from ui.jobs.lanes import MOMENT
from ui.jobs.run_button import Update
from ui.jobs.running import STARTING_EVENT, explain_errors, forward_steps, show_steps
from ui.sharing import routes, store
from ui.sharing.store import Page
from ui.widgets import html

RESULT_GONE = "The result is no longer kept here. Make it again, then share it."
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
REMEMBER = "(made) => { sharing.remember(made); }"
ADD_SECRET = "(made) => sharing.addSecret(made)"

Share = Callable[..., Run[Page]]  # makes the page for a place, its first argument, of what is shown


@dataclass(frozen=True, slots=True)
class ShareButton:
    """The components: the button, what is said, and out of sight the place that was made as JSON, and what deletes."""

    share: gr.Button
    panel: gr.HTML
    made: gr.Textbox
    delete: gr.Button

    @property
    def components(self) -> list[Block]:
        """Returns what `offer` changes."""
        return [self.panel, self.made]

    def offer(self) -> Update:
        """Returns what changes with a new result: the link of the one before goes out of sight."""
        return {self.panel: "", self.made: ""}

    def connect(self, share: Share, inputs: Sequence[Block], known_by: int = 1) -> None:
        """Has the button do `share(place, *inputs)`, and show the link.

        The first of the inputs, or so many of them, are what a run is known by, so that a page that is loaded anew
        shows the link again.
        """

        def show(text: str, part: float) -> Update:
            return {self.panel: html.progress(text, part)}

        def press(*values: Any) -> Iterator[Update]:
            *given, made = values
            try:
                with explain_errors():
                    key, secret = yield from self._share(share, given, _read_made(made), show)
            except gr.Error as error:
                yield {self.panel: html.problem(str(error.message))}
                return
            for block, value in zip(inputs[:known_by], given, strict=False):
                run = results.find_showing(block, str(value) if isinstance(value, Path) else value) if value else None
                if run is not None:  # which others may be shown: what deletes the page is not theirs
                    run.note(self._tell_link(key, ""))
            yield self._tell_link(key, secret)

        shared = self.share.click(
            press, [*inputs, self.made], self.components, **STARTING_EVENT, concurrency_id="sharing"
        )
        shared.then(None, self.made, None, js=REMEMBER, **STARTING_EVENT, queue=False)
        self.delete.click(
            self.delete_page,
            self.made,
            self.components,
            js=ADD_SECRET,
            **STARTING_EVENT,
            concurrency_id="sharing",
        )

    def _share(
        self, share: Share, given: Sequence[Any], known: tuple[str, str] | None, show: Callable[[str, float], Update]
    ) -> Generator[Update, None, tuple[str, str]]:
        """Makes a page. Returns its id, and what deletes it, "" where only the browser knows it.

        No run of others waits while this one waits for the disk or the Hub.
        """
        if known and store.find(known[0]):  # it is shared already: one page is enough
            return known
        yield {self.panel: html.progress("Preparing the page", 0)}
        place = store.reserve()
        try:
            page = yield from forward_steps(share(place, *given), show, MOMENT)
            yield from show_steps(store.add(place, page), show)
        except FileNotFoundError:
            raise BadSetting(RESULT_GONE) from None
        return place.id, place.secret

    def delete_page(self, made: str) -> Update:
        """Deletes the page that was shared last from here."""
        known = _read_made(made)
        if known is None:
            return self.offer()
        try:
            with explain_errors():
                deleted = store.delete(*known)
        except gr.Error as error:
            return {self.panel: html.problem(str(error.message))}
        if not deleted:
            return {self.panel: html.problem(routes.NOT_YOURS)}
        if (run := results.find_showing(self.made, _write_made(known[0]))) is not None:
            run.note(self.offer())
        return {self.panel: html.advice("The shared page is deleted. Its link no longer works."), self.made: ""}

    def _tell_link(self, key: str, secret: str) -> Update:
        link = routes.write_link(LocalContext.request.get(), key)
        return {
            self.panel: tell_link(link, store.last_day_of(key), str(self.delete.elem_id)),
            self.made: _write_made(key, secret),
        }

    def place_panel(self) -> None:
        """Puts what is said of a page that was shared into the page being built: a line that wants its whole width."""
        self.panel.render()  # type: ignore[no-untyped-call]


def place_share_button(name: str, what: str = "the image and the result") -> ShareButton | None:
    """Puts the button, and what it shares, into the page being built; none where sharing is off.

    `name` tells it from others, `what` is what is shared; `place_panel` says where the link is to stand.
    """
    if not environment.share_days():
        return None
    with gr.Row(elem_classes="download"):
        share = gr.Button("Share link", size="md", scale=0, min_width=140, elem_id=f"{name}-share")
        gr.HTML(tell_about(what), elem_classes="share-about")
    panel = gr.HTML("", elem_classes="share-panel", render=False)
    made = gr.Textbox(visible=False)
    # Not visible="hidden", which ends as soon as the column around it comes into sight.
    delete = gr.Button("Delete the shared page", elem_id=f"{name}-unshare", elem_classes="for-scripts")
    return ShareButton(share, panel, made, delete)


def tell_about(what: str) -> str:
    """Returns what is shared, and for how long, as HTML."""
    days = environment.share_days()
    kept = f"{days} day{'' if days == 1 else 's'}"
    return html.aside(f"Makes a page with {what}. Anyone with the link can see it, for {kept}.")


def tell_link(link: str, last_day: date, delete: str) -> str:
    """Returns the link of a page that is kept until that day as HTML; `delete` is the id of what deletes it."""
    day = f"{last_day:%d %B %Y}".lstrip("0")
    here = link.partition("://")[2].partition("/")[0].rpartition(":")[0].strip("[]") in THIS_MACHINE
    where = " This server runs on your own machine, so the link works only there." if here else ""
    return (
        f'<div class="shared-link" role="status"><input type="text" readonly aria-label="Link" value="{escape(link)}">'
        f'<button type="button" data-copy="{escape(link)}">Copy</button>'
        f'<button type="button" data-open="{escape(link)}">Open</button>'
        f'<button type="button" data-press="{escape(delete)}">Delete</button></div>'
        f'<p class="about">Anyone with the link can see the page until {day}.{where}</p>'
    )


def _write_made(key: str, secret: str = "") -> str:
    return json.dumps({"id": key, "secret": secret} if secret else {"id": key})


def _read_made(made: Any) -> tuple[str, str] | None:
    """Returns id and secret of the page that was made, "" where only the browser knows it; None where there is no page,
    or of what strangers send.
    """
    try:
        known = json.loads(made)
        return str(known["id"]), str(known.get("secret", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
