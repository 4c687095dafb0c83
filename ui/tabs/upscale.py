"""The Upscale tab: one picture, one model, one scale."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.blocks import Block

from pipelines import estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import HUB_EXAMPLE, Model, Settings, Stage, check_settings
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.phrasing import format_duration
from pipelines.upscalers.loading import find_lacking, load
from ui.examples import EXAMPLES, find_example
from ui.jobs.enlarging import check_run, expect
from ui.jobs.offered import list_offered
from ui.jobs.results import new_folder
from ui.jobs.run_button import RunButton, Update, place_run_button
from ui.jobs.running import QUIET_EVENT
from ui.widgets import before_after, html, plans
from ui.widgets.inputs import Dropdown, Radio, Slider
from ui.widgets.picture import PictureField, place_picture_field
from ui.widgets.result_panel import ResultPanel, place_result

FIRST_MODEL, FIRST_SCALE = "swift", "x4"
URL_STATE = ("model", "scale", "example")  # what the page's URL may ask for
# A URL that asks for a state is one wish, not one for each time that the page is loaded.
PRESS_IF_ASKED = """(asked) => {
    if (!(FIND_AGAIN)() && asked) document.querySelector("#actions button.primary").click();
}"""
ABOUT_DENOISE = "How much noise and grain is taken away."
ABOUT_OWN = (
    "An ESRGAN or compact network, by name or address. It is used instead of the model above until one is chosen there."
)


@dataclass(frozen=True, slots=True)
class UpscaleTab:
    """The tab's components, and what its events change of them."""

    picture: PictureField
    model: Dropdown
    scale: Radio
    denoise: Slider
    plan: gr.HTML
    button: RunButton
    about: gr.HTML
    own: gr.Textbox
    result: ResultPanel
    asked: gr.Checkbox  # whether the page's URL asked for a state; a hidden box, so that the browser knows it

    @property
    def chosen(self) -> list[Block]:
        """Returns what a run and its plan depend on."""
        return [self.picture, self.model, self.own, self.scale, self.denoise]

    @property
    def choice(self) -> list[Block]:
        """Returns what `choose_other` changes."""
        return [*self.chosen, self.about]

    def run(
        self, image: ImageSource | None, model: str, own: str, scale: str, denoise: float | None
    ) -> Iterator[Update]:
        """Enlarges, showing progress, then the result beside what a plain method gives, and its PNG to download."""
        factor = catalog.parse_scale(scale)
        row, settings = _model_and_settings(model, own, denoise)
        name = before_after.name_result(row, factor)
        yield self.button.begins() | self.result.begins(image, name, factor)
        started = time.monotonic()
        work, so_far = before_after.watch_previews(
            before_after.compare_with_plain(image, row, settings, factor, new_folder()), image, name, factor
        )
        expected = expect(image, [Stage(row.key, factor)], settings)
        made = yield from self.button.steps(work, lambda: self.result.shows_so_far(so_far()), expected)
        yield self.button.ends(f"Done in {format_duration(time.monotonic() - started)}.") | self.result.shows(made)

    def pick_model(self, model: str, own: str, scale: str) -> Update:
        """A model picked from the list: one's own, if there is one, gives way to it."""
        return self.fit_model(model, "", scale) | ({self.own: ""} if own else {})

    def fit_model(self, model: str, own: str, scale: str) -> Update:
        """The scales that the model has, what it is good at, and whether it denoises.

        A scale is chosen only where the chosen one is lacking: to say again what is chosen would undo a click that was
        made in the meantime. One's own model most likely enlarges by four, which is known only once it is loaded.
        """
        try:
            row, _ = _model_and_settings(model, own, None)
        except UpscaleError:  # while it is being written; the plan says what is wrong
            return {self.about: ""}
        scales = _list_scales(row)
        wanted = FIRST_SCALE if row.from_hub else scale if scale in scales else scales[0]
        radio = Radio(scales) if scale == wanted else Radio(scales, value=wanted)
        return {self.scale: radio, self.about: html.describe_model(row), self.denoise: _fit_denoise(row)}

    def open_url(self, request: gr.Request) -> Update:
        """The state that ?model=…&scale=…&example=… asks for, and whether it asks for one; nonsense asks for none."""
        query = dict(request.query_params)
        if query.keys().isdisjoint(
            URL_STATE
        ):  # to say again what the page shows would undo a click made in the meantime
            return {self.asked: False}
        example = find_example(query.get("example", ""))
        key = query["model"] if query.get("model") in {row.key for row in list_offered()} else FIRST_MODEL
        row = catalog.find(key)
        scales, scale = _list_scales(row), f"x{query.get('scale', '').removeprefix('x')}"
        asked = example is not None or key == query.get("model") or scale in scales
        if scale not in scales:
            scale = FIRST_SCALE if FIRST_SCALE in scales else scales[0]
        return {
            **({} if example is None else {self.picture: str(example.path)}),
            self.model: key,
            self.scale: Radio(scales, value=scale),
            self.about: html.describe_model(row),
            self.denoise: _fit_denoise(row),
            self.asked: asked,
        }

    def give_again(self, image: ImageSource | None, model: str, own: str, scale: str, denoise: float | None) -> Update:
        """The tab with these inputs chosen."""
        row, _ = _model_and_settings(model, own, denoise)
        return {
            self.picture: str(image) if isinstance(image, Path) else None,
            self.model: model,
            self.own: own,
            self.scale: Radio(_list_scales(row), value=scale),
            self.about: html.describe_model(row),
            self.denoise: gr.update(value=denoise, visible="denoise" in row.takes),
        }

    def choose_other(self, image: ImageSource | None) -> Update:
        """The tab with that picture and the first model chosen, for who wanted one that is unavailable."""
        row = catalog.find(FIRST_MODEL)
        return {
            self.picture: str(image) if isinstance(image, Path) else None,
            self.model: row.key,
            self.own: "",
            self.scale: Radio(_list_scales(row), value=FIRST_SCALE),
            self.about: html.describe_model(row),
            self.denoise: _fit_denoise(row),
        }


def build(page: gr.Blocks) -> UpscaleTab:
    """Puts the tab's components and events into the page being built."""
    tab = _place()
    tab.model.input(
        tab.pick_model,
        [tab.model, tab.own, tab.scale],
        [tab.own, tab.scale, tab.about, tab.denoise],
        **QUIET_EVENT,
        queue=False,
    )
    tab.own.change(
        tab.fit_model, [tab.model, tab.own, tab.scale], [tab.scale, tab.about, tab.denoise], **QUIET_EVENT, queue=False
    )
    changes = [tab.picture.change, tab.model.change, tab.own.change, tab.scale.change, tab.denoise.change]
    gr.on(changes, describe_plan, tab.chosen, tab.plan, **QUIET_EVENT, queue=False)
    opened = page.load(
        tab.open_url,
        None,
        [tab.picture, tab.model, tab.scale, tab.about, tab.denoise, tab.asked],
        **QUIET_EVENT,
        queue=False,
    )
    # What it changes is planned by the changes: a plan of its own could come late, after that of a click.
    opened.then(None, tab.asked, None, js=PRESS_IF_ASKED.replace("FIND_AGAIN", tab.button.find_again()))

    running = tab.button.connect(
        tab.run, tab.chosen, tab.result.components, give_again=tab.give_again, given=tab.choice, needs=tab.picture
    )
    running.then(describe_plan, tab.chosen, tab.plan, **QUIET_EVENT, queue=False)  # what was downloaded is here now
    tab.result.connect(
        tab.picture, tab.button, running, scale=tab.scale, chosen=[tab.model, tab.own, tab.scale], name=_name_choice
    )
    return tab


def _place() -> UpscaleTab:
    """Puts the tab's components into the page being built."""
    row = catalog.find(FIRST_MODEL)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            picture = place_picture_field("picture")
            example = picture.move_resource_to_block_cache(EXAMPLES[0].path) or ""
            models = [(html.model_label(model), model.key) for model in list_offered()]
            with gr.Group():
                model = Dropdown(models, value=FIRST_MODEL, label="Model", filterable=False)
                scale = Radio(_list_scales(row), value=FIRST_SCALE, label="Scale")
                denoise = Slider(0, 1, value=1, step=0.05, label="Denoise strength", info=ABOUT_DENOISE, visible=False)
            plan = gr.HTML(describe_plan(EXAMPLES[0].path, FIRST_MODEL, "", FIRST_SCALE, None))
            button = place_run_button("Enlarge", "progress", elem_id="actions")
            about = gr.HTML(html.describe_model(row))
            with gr.Accordion("Your own model", open=False):
                own = gr.Textbox(
                    label="A file on the Hugging Face Hub",
                    placeholder=HUB_EXAMPLE,
                    info=ABOUT_OWN,
                    max_lines=1,
                    elem_id="own",
                )
        with gr.Column(scale=3, min_width=320):
            button.problem.place()
            result = place_result("compare", "facts", before_after.make_first_result(example))
    asked = gr.Checkbox(False, visible=False)
    return UpscaleTab(picture, model, scale, denoise, plan, button, about, own, result, asked)


def load_first_model() -> None:
    """Loads the first model, to have it ready by the time somebody clicks; what is wrong with it is said then."""
    with suppress(Exception):
        load(FIRST_MODEL, catalog.parse_scale(FIRST_SCALE))


def describe_plan(image: ImageSource | None, model: str, own: str, scale: str, denoise: float | None) -> str:
    """Returns what a run would give and take, or what is wrong with what was chosen."""
    if image is None:
        return html.problem("Choose an image first.")
    try:
        row, settings = _model_and_settings(model, own, denoise)
        factor = catalog.parse_scale(scale)
        check_settings([row], settings)
        missing = find_lacking([Stage(row.key, factor)], settings)
        size = images.read_size(image, factor)
        check_run([Stage(row.key, factor)], settings, size)
    except UpscaleError as error:
        return html.problem(str(error))
    return plans.upscale_plan(row, size, factor, estimates.estimate(row.key, factor, *size, settings), missing)


def _name_choice(model: str, own: str, scale: str) -> str:
    """Returns by what a result would be made now: "Swift x4"."""
    return before_after.name_result(_model_and_settings(model, own, None)[0], catalog.parse_scale(scale))


def _model_and_settings(model: str, own: str, denoise: float | None) -> tuple[Model, Settings]:
    """The model that is to run, one's own where its field is filled, with those of the settings that it takes."""
    row = catalog.find_on_hub(own) if own and own.strip() else catalog.find(model)
    return row, Settings(denoise=denoise).only(row.takes)


def _fit_denoise(row: Model) -> Slider:
    return Slider(visible="denoise" in row.takes)


def _list_scales(row: Model) -> list[str]:
    return [f"x{scale}" for scale in row.scales]
