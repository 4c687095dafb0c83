"""The Upscale tab: one picture, or a batch of many, one model, one scale."""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import NO_CLEANUP, Model, find_purpose, parse_size
from pipelines.upscalers.loading import load
from ui.examples import EXAMPLES, find_example
from ui.jobs import batches, enlarging, results
from ui.jobs.batches import Batch, Chosen, Progress
from ui.jobs.lanes import LOOK
from ui.jobs.offered import list_offered
from ui.jobs.results import new_folder
from ui.jobs.run_button import RunButton, Update
from ui.jobs.running import (
    ONE_AT_A_TIME,
    QUIET_EVENT,
    TELLING_EVENT,
    EndedEarly,
    escape_errors,
    explain_errors,
    read_event,
)
from ui.widgets import before_after, html
from ui.widgets.advice import CUSTOM, FIRST_MODEL, FIRST_PURPOSE, FIRST_SCALE
from ui.widgets.batch_board import BatchBoard, place_batch_board
from ui.widgets.cleanup import FIRST_STRENGTH, read_cleanup
from ui.widgets.html import tell_time
from ui.widgets.inputs import Radio
from ui.widgets.links import find_wrong_tab, keep_image, place_copy_button, read_link
from ui.widgets.picture import BatchField, place_batch_field
from ui.widgets.result_panel import DOWNLOAD_FORMATS, ResultPanel, place_result
from ui.widgets.upscale_form import UpscaleForm, place_form
from ui.widgets.wanted import describe_plan, name_choice, name_chosen, takes_a_moment, understand, understand_batch

LINK = ("purpose", "model", "scale", "size", "example", "prompt", "creativity", "cleanup")  # what a link may ask for
RESULTS_GONE = "The results are no longer kept here. Upscale the images again."
BATCH_GONE = "The batch of this link is no longer kept here."
PRESS = "Press Upscale to run."
# A link is one wish, not one for each time that the page is loaded.
PRESS_IF_ASKED = """(asked) => {
    if (!(FIND_AGAIN)() && asked && !links.isReload()) document.querySelector("#actions button.primary").click();
}"""


@dataclass(frozen=True, slots=True)
class UpscaleTab:
    """The tab's components, and what its events change of them."""

    picture: BatchField
    form: UpscaleForm
    format: Radio  # of a batch's results
    button: RunButton
    told: gr.HTML  # what is to be said of the link that opened the page
    result: ResultPanel
    board: BatchBoard  # in the place of the result, where there are many
    progress: gr.State  # of the last batch
    asked: gr.Checkbox  # whether the page's URL asked for a state; a hidden box, so that the browser knows it

    @property
    def chosen(self) -> list[Block]:
        """Returns what a run and its plan depend on."""
        return [self.picture, *self.form.values]

    @property
    def choice(self) -> list[Block]:
        """Returns what `choose_other` changes."""
        return [*dict.fromkeys([self.picture, *self.form.values, *self.form.all])]

    def run(self, image: Chosen, kind: str, *values: Any) -> Iterator[Update]:
        """Upscales, showing progress, then the result beside what a plain method gives, and its PNG to download.

        Of a batch each image turns to done, and the results are a zip, in the format of that `kind`.
        """
        if isinstance(image, Batch):
            yield from self.run_batch(image, kind, *values)
            return
        row, size, settings, first = understand(*values)
        name = name_choice(row, size, first)
        sized = enlarging.plan_size_of(image, row.key, size, first.stages)
        scale = math.prod(stage.scale for stage in sized.stages)
        started, begun = time.monotonic(), self.button.begins() | self.result.begins(image, name, scale)
        work = before_after.compare_with_plain(image, sized.stages, settings, name, new_folder(), sized.size)
        work, so_far = before_after.watch_previews(work, image, name, scale)
        expected = enlarging.expect(image, sized.stages, settings)
        made = yield from self.button.steps(work, lambda: self.result.shows_so_far(so_far()), expected, begun)
        yield self.button.ends(f"Done in {tell_time(time.monotonic() - started)}.") | self.result.shows(made)

    def run_batch(self, chosen: Batch, kind: str, *values: Any) -> Iterator[Update]:
        """Upscales many images. What is done when it is cancelled or fails is kept; a closed page does not end it."""
        _, recipe = understand_batch(*values)
        outlook = batches.foresee(chosen, recipe)
        progress = batches.begin(chosen, recipe, DOWNLOAD_FORMATS.get(str(kind), str(kind)))
        yield self.button.begins() | self.board.begins(progress) | {self.progress: progress}
        started, shown, kept = time.monotonic(), 0, results.find_filled()
        if kept is not None:
            kept.lasting = True

        def more() -> Update:
            nonlocal shown
            if len(progress.outcomes) == shown:
                return {}
            shown = len(progress.outcomes)
            return self.board.shows_so_far(progress)

        try:
            yield from self.button.steps(batches.upscale(progress, outlook), more, outlook.expected)
        except GeneratorExit:  # cancelled: its address shows what is done
            if kept is not None and progress.done:
                kept.note(self.end_batch(progress, "Cancelled"))
                kept.partial = True
            raise
        except Exception as error:
            if not progress.done:
                raise
            raise EndedEarly(error, self.end_batch(progress, "Ended early")) from error
        took, failed = tell_time(time.monotonic() - started), len(progress.jobs) - progress.done
        ended = f"Done in {took}{f', but {failed} of {len(progress.jobs)} images failed' if failed else ''}."
        yield self.button.ends(ended) | self.board.shows(progress)

    def show_cancelled(self, progress: Progress | None) -> Iterator[Update]:
        """Shows what was done when the visitor cancelled a batch, once the zip is whole."""
        if progress is None or not progress.closed.wait(batches.CLOSING_SECONDS):
            yield {self.button.progress: html.status("Cancelled.")}
            return
        yield self.end_batch(progress, "Cancelled")

    def end_batch(self, progress: Progress, how: str) -> Update:
        """Returns what a batch shows that has come to its end before all images were done."""
        done = f"{how}: {progress.done} of {len(progress.jobs)} are done."
        return self.button.ends(done) | self.board.shows(progress)

    def look_at(self, progress: Progress | None, event: gr.EventData) -> Iterator[Update]:
        """A result of the batch beside its image."""
        number = read_event(event, "number")
        with escape_errors(), explain_errors():
            found = None if progress is None else batches.read_one(progress, number)
            if progress is None or found is None:
                raise gr.Error(RESULTS_GONE, print_exception=False)
            source, result = found
            running = before_after.look_at(source.path, result, source.relative.name, progress.recipe.key)
            view = yield from self.button.steps(running, expected=LOOK)
            yield {self.button.progress: html.status("Done."), self.board.viewer: view}

    def open_link(self, request: gr.Request) -> Update:
        """What the page's address asks for, and whether it is to run by itself.

        It is where nothing has to be downloaded and it takes a moment. What there is not is said, and the usual chosen.
        """
        job = read_link(request, "upscale", ["job"])
        if job is not None and results.find(job.given["job"]) is not None:
            return {self.asked: False}  # the page shows that batch, and what was chosen for it
        asked = read_link(request, "upscale", LINK)
        if job is not None and asked is None:
            return {self.told: html.link_note(BATCH_GONE), self.asked: False}
        wrong_tab = find_wrong_tab(request)
        if asked is None:  # to say again what the page shows would undo a click in the meantime
            return {self.asked: False, **({self.told: html.link_note(wrong_tab)} if wrong_tab else {})}
        if wrong_tab:
            asked.wrong.append(wrong_tab)
        example = asked.read("example", find_example)
        purpose = asked.read("purpose", find_purpose)
        row = asked.read("model", find_offered) or catalog.find((purpose or FIRST_PURPOSE).model)
        size = asked.read("size", lambda text: str(parse_size(text)))
        scale = CUSTOM if size else asked.read("scale", read_scale) or FIRST_SCALE
        image = EXAMPLES[0].path if example is None else example.path
        chosen = self.form.choose(image, row.key, scale, size or "")
        at = chosen[self.form.scale]["value"]
        if scale not in (at, CUSTOM):
            asked.wrong.append(f"{row.name} has no {scale}, so {at} is chosen.")
        cleanup = asked.read("cleanup", read_choice, "clean-up model")
        runs = not asked.wrong and cleanup in (None, NO_CLEANUP) and takes_a_moment(image, row.key, at)
        level = asked.read("creativity", lambda text: text if text in catalog.CREATIVITY else None)
        return {
            **({} if example is None else {self.picture: str(example.path)}),
            **chosen,
            self.form.prompt: chosen[self.form.prompt] | {"value": asked.given.get("prompt", "")},
            **({self.form.creativity: chosen[self.form.creativity] | {"value": level}} if level else {}),
            **({} if cleanup is None else self.form.cleanup.set(cleanup)),
            self.told: asked.tell("" if runs else PRESS),
            self.asked: runs,
        }

    def give_again(self, image: Chosen, kind: str, model: str, own: str, scale: str, *more: Any) -> Update:
        """The tab with these inputs chosen, but for the tick of a licence: who opens a run's link has not read it."""
        size, denoise, prompt, creativity, cleanup, strength, artifacts, _ = more
        chosen = self.form.choose(image, own or model, scale, size)
        return {
            **chosen,
            self.picture: _put_back(image),
            self.format: kind,
            self.form.scale: chosen[self.form.scale] | {"value": scale},
            self.form.denoise: denoise,
            self.form.prompt: chosen[self.form.prompt] | {"value": prompt},
            self.form.creativity: chosen[self.form.creativity] | {"value": creativity},
            **self.form.cleanup.set(cleanup, strength),
            self.form.artifacts.choice: artifacts,
        }

    def choose_other(self, image: Chosen) -> Update:
        """The tab with that picture and the first model chosen, for who wanted one that is unavailable."""
        return {
            self.picture: _put_back(image),
            **self.form.choose(image, FIRST_MODEL, FIRST_SCALE),
            **self.form.cleanup.set(NO_CLEANUP),
        }


def build(page: gr.Blocks) -> UpscaleTab:
    """Puts the tab's components and events into the page being built."""
    tab = _place()
    form = tab.form
    form.connect(tab.picture, tab.picture.change)
    form.write_link()
    opened = page.load(tab.open_link, None, [*tab.choice, tab.told, tab.asked], **QUIET_EVENT, queue=False)
    # What it changes is planned by the changes: a plan of its own could come late, after that of a click.
    opened.then(None, tab.asked, None, js=PRESS_IF_ASKED.replace("FIND_AGAIN", tab.button.find_again()))
    keep_image("upscale", tab.picture, opened)

    running = tab.button.connect(
        tab.run,
        [tab.picture, tab.format, *form.values],
        [*tab.result.components, *tab.board.components, tab.progress],
        kept=tab.progress,
        show_kept=tab.show_cancelled,
        give_again=tab.give_again,
        given=[*tab.choice, tab.format],
        needs=tab.picture,
    )
    tab.board.connect(tab.picture, tab.button)
    looked_at = [tab.button.progress, tab.board.viewer]
    tab.board.items.click(tab.look_at, tab.progress, looked_at, **TELLING_EVENT, **ONE_AT_A_TIME)
    settled = tab.button.settle(running)
    settled.then(describe_plan, tab.chosen, form.plan, **QUIET_EVENT, queue=False)  # what was downloaded is here now
    chosen = [form.model, form.own, form.scale, form.size, form.cleanup.choice]
    form.renew_costs(tab.picture, settled)
    tab.result.connect(tab.picture, tab.button, settled, scale=form.scale, chosen=chosen, name=name_chosen)
    return tab


def _place() -> UpscaleTab:
    """Puts the tab's components into the page being built."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            told = gr.HTML("", elem_classes="at-times")
            picture = place_batch_field("picture")
            example = picture.move_resource_to_block_cache(EXAMPLES[0].path) or ""
            with gr.Column(elem_classes="for-many"):
                kind = Radio(list(DOWNLOAD_FORMATS), value="PNG", label="Format of the results", elem_id="batch-format")
            form, button = place_form(EXAMPLES[0].path)
            place_copy_button()
        with gr.Column(scale=3, min_width=320):
            button.problem.place()
            with gr.Column(elem_classes="for-one"):
                result = place_result("compare", "facts", before_after.make_first_result(example))
            with gr.Column(elem_classes="for-many"):
                board = place_batch_board("batch")
    state, asked = gr.State(None), gr.Checkbox(False, visible=False)
    return UpscaleTab(picture, form, kind, button, told, result, board, state, asked)


def _put_back(image: Chosen) -> str | Batch | None:
    """Returns what the field gave, as it takes it back: not an image that came without a file."""
    return str(image) if isinstance(image, Path) else image if isinstance(image, Batch) else None


def load_first_model() -> None:
    """Loads the first model, to have it ready by the time somebody clicks; what is wrong with it is said then."""
    with suppress(Exception):
        load(FIRST_MODEL, catalog.parse_scale(FIRST_SCALE))


def find_offered(key: str) -> Model | None:
    """The model of that key, if the page offers it, or one's own on the Hub. Raises BadSetting for no address there."""
    return catalog.find_named(key) if "/" in key else next((row for row in list_offered() if row.key == key), None)


def read_choice(text: str) -> str:
    """Returns what cleans up first, as the form has it. Raises BadSetting for what cannot."""
    read_cleanup(text, FIRST_STRENGTH)
    return text


def read_scale(text: str) -> str:
    """Returns the scale as the form has it, however it is written. Raises BadSetting for another."""
    return f"x{catalog.parse_scale(text)}"
