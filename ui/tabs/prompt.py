"""The Prompt tab: a picture and a few words, enlarged by Stable Diffusion."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines import estimates
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import CREATIVITY, SEED_RANGE, Model, Settings, Stage, check_settings
from pipelines.errors import BadSetting, UpscaleError
from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.phrasing import format_duration
from pipelines.upscalers.loading import find_lacking
from ui.examples import EXAMPLES, STATIC, find_example
from ui.jobs.asking import answer_at_once
from ui.jobs.choosing import check_here
from ui.jobs.enlarging import check_run, expect
from ui.jobs.loans import describe_picture_cost
from ui.jobs.results import new_folder
from ui.jobs.run_button import RunButton, Update, place_run_button
from ui.jobs.running import QUIET_EVENT, explain_errors, forward_steps
from ui.widgets import before_after, html, plans
from ui.widgets.inputs import Dropdown
from ui.widgets.licence import accepts, offer_licence, place_licence
from ui.widgets.links import clear_link, keep_image, place_copy_button, read_link, write_link
from ui.widgets.picture import PictureField, place_picture_field
from ui.widgets.result_panel import ResultPanel, place_result
from ui.widgets.steering import (
    STEERING_SETTINGS,
    Steering,
    as_whole_number,
    place_advanced,
    place_creativity,
    place_prompt,
)

STEPS = STATIC / "steps"  # what the model does, in words and drawn


@dataclass(frozen=True, slots=True)
class PromptTab:
    """The tab's components, and what its events change of them."""

    told: gr.HTML  # what is to be said of the link that opened the page
    picture: PictureField
    model: Dropdown
    steering: Steering
    plan: gr.HTML
    button: RunButton
    about: gr.HTML
    result: ResultPanel
    settings: gr.Textbox  # with which the result can be made again

    @property
    def chosen(self) -> list[Block]:
        """Returns what a run and its plan depend on."""
        return [self.picture, self.model, *self.steering.values]

    def run(self, source: ImageSource | None, model: str, *steering_and_lock: Any) -> Iterator[Update]:
        """Enlarges, showing progress and previews, then the result beside a plain method's, and its settings."""
        *steering, locked = steering_and_lock
        seed = STEERING_SETTINGS.index("seed")
        if not locked or steering[seed] is None:
            steering[seed] = secrets.randbelow(SEED_RANGE[1] + 1)
        row, settings = understand(model, *steering)
        begun = self.result.begins(source, _name_choice(model), _choose_scale(row))
        yield self.button.begins() | begun | self.clear() | {self.steering.seed: steering[seed]}
        yield from self._enlarge(source, row, settings)

    def _enlarge(self, source: ImageSource | None, row: Model, settings: Settings) -> Iterator[Update]:
        started = time.monotonic()
        work, so_far = before_after.watch_previews(
            before_after.compare_with_plain(
                source, [Stage(row.key, _choose_scale(row))], settings, _name_choice(row.key), new_folder()
            ),
            source,
            _name_choice(row.key),
            _choose_scale(row),
        )

        def show(text: str, share: float) -> Update:
            text = text.replace(f"{row.name}: ", "")  # there is but one, and on a phone little room
            return {self.button.progress: html.progress(text, share), **self.result.shows_so_far(so_far())}

        made = yield from forward_steps(work, show, expect(source, [Stage(row.key, _choose_scale(row))], settings))
        yield {
            **self.button.ends(f"Done in {format_duration(time.monotonic() - started)}."),
            **self.result.shows(made),
            self.settings: gr.Textbox(made.about, visible=True),
        }

    def clear(self) -> Update:
        """Returns what a new run takes away."""
        return {
            self.settings: gr.Textbox(visible=False),
        }

    def choose_model(self, model: str) -> Update:
        """Shows what the model is good at, and the fields as it has them. The words and the seed are left alone."""
        fields, row = self.fit_fields(model), _find_model(model)
        return fields | {self.about: html.describe_model(row), self.steering.accept: offer_licence(row)}

    def fit_fields(self, model: str) -> Update:
        """The fields that the model can use, with its own values."""
        with explain_errors():
            return self.steering.fit(_find_model(model))

    def open_link(self, request: gr.Request) -> Update:
        """What the page's address asks for; it never runs by itself, as it takes long. What there is not is said."""
        asked = read_link(request, "prompt", ("model", "prompt", "creativity", "example"))
        if asked is None:
            return {self.told: ""}
        example = asked.read("example", find_example)
        row = asked.read("model", {each.key: each for each in list_models()}.get)
        level = asked.read("creativity", lambda text: text if text in CREATIVITY else None)
        fields = self.steering
        fitted = self.choose_model(row.key) if row else {}
        steered = fields.set_creativity(row or list_models()[0], level) if level else {}
        levels = {field: fitted.get(field, gr.update()) | {"value": value} for field, value in steered.items()}
        return {
            self.told: asked.tell("Press Upscale to run."),
            **({self.picture: str(example.path)} if example else {}),
            **({self.model: row.key} if row else {}),
            **fitted,
            **levels,
            **({fields.prompt: asked.given["prompt"]} if "prompt" in asked.given else {}),
        }

    def give_again(self, source: ImageSource | None, model: str, *steering_and_lock: Any) -> Update:
        """The tab with these inputs chosen."""
        fields, inputs = self.choose_model(model), dict(zip(self.steering.values, steering_and_lock, strict=False))
        chosen = {field: fields.get(field, gr.update()) | {"value": value} for field, value in inputs.items()}
        picture = str(source) if isinstance(source, Path) else None
        return fields | chosen | {self.picture: picture, self.model: model, self.steering.lock: steering_and_lock[-1]}

    def reset_fields(self, model: str) -> Update:
        """The same fields without words of what shall not be, and a seed that is drawn anew."""
        fields, negative = self.fit_fields(model), self.steering.negative
        return fields | {negative: fields[negative] | {"value": ""}, self.steering.lock: False}


def build(page: gr.Blocks) -> PromptTab:
    """Puts the tab's components and events into the page being built."""
    tab = _place()
    fields = tab.steering
    fields.connect(tab.model)
    keys, reset = [row.key for row in list_models()], [*fields.usable, fields.lock]
    put_back = answer_at_once(tab.reset_fields, keys, reset)
    fields.reset.click(None, tab.model, reset, js=put_back, **QUIET_EVENT, queue=False)
    fitted = [tab.about, fields.accept, *fields.usable]
    choose = answer_at_once(tab.choose_model, keys, fitted)
    tab.model.input(None, tab.model, fitted, js=choose, **QUIET_EVENT, queue=False)
    changes = [tab.picture.change, tab.model.change, *(each.change for each in fields.values), page.load]
    gr.on(changes, describe_plan, tab.chosen, tab.plan, **QUIET_EVENT, queue=False)

    shown: list[Block] = [fields.seed, *tab.result.components, tab.settings]
    running = tab.button.connect(
        tab.run,
        [*tab.chosen, fields.lock],
        shown,
        give_again=tab.give_again,
        needs=tab.picture,
        given=fitted,
    )
    settled = tab.button.settle(running)
    settled.then(describe_plan, tab.chosen, tab.plan, **QUIET_EVENT, queue=False)  # what was downloaded is here now
    tab.result.connect(tab.picture, tab.button, settled, chosen=[tab.model], name=_name_choice)
    page.load(None, None, None, js=tab.button.find_again())
    _connect_link(page, tab)
    return tab


def _connect_link(page: gr.Blocks, tab: PromptTab) -> None:
    """Has the page's address say what the visitor chooses, and the tab open with what a link asks for."""
    fields = tab.steering
    write_link(tab.model.input, "prompt", "model", tab.model, ["creativity"])  # which begins anew with each
    clear_link(fields.reset.click, "prompt", "creativity")
    write_link(fields.prompt.blur, "prompt", "prompt", fields.prompt)
    write_link(fields.creativity.input, "prompt", "creativity", fields.creativity)
    outputs = [tab.told, tab.picture, tab.model, tab.about, fields.prompt, fields.accept, *fields.usable]
    opened = page.load(tab.open_link, None, outputs, **QUIET_EVENT, queue=False)
    keep_image("prompt", tab.picture, opened)


def _place() -> PromptTab:
    """Puts the tab's components into the page being built."""
    first = list_models()[0]
    usual = catalog.find_specification(first).options
    gr.HTML((STEPS / "steps.html").read_text(), css_template=(STEPS / "steps.css").read_text(), apply_default_css=False)
    told = gr.HTML("", elem_classes="at-times")
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            picture = place_picture_field("prompt-picture")
            with gr.Group():
                models = [(row.name, row.key) for row in list_models()]
                model = Dropdown(models, value=first.key, label="Model", filterable=False, visible=len(models) > 1)
                prompt = place_prompt("prompt")
            creativity = place_creativity()
            accept = place_licence("prompt-licence", first)
            plan = gr.HTML(elem_id="prompt-plan", render=False)
            button = place_run_button(
                "Upscale", "prompt-progress", plan, elem_id="prompt-actions", elem_classes="actions"
            )
            about = gr.HTML(html.describe_model(first))
            with gr.Accordion("Advanced", open=False):
                steering = place_advanced(prompt, creativity, accept, usual, first)
            place_copy_button()
        with gr.Column(scale=3, min_width=320):
            button.problem.place()
            result = place_result(
                "prompt-compare", "prompt-facts", before_after.show_preview(EXAMPLES[0].path, _choose_scale(first))
            )
            settings = gr.Textbox(
                label="Settings to make it again",
                elem_id="prompt-settings",
                buttons=["copy"],
                interactive=False,
                lines=3,
                max_lines=5,
                visible=False,
            )
    plan.value = describe_plan(EXAMPLES[0].path, first.key, *(each.value for each in steering.values))
    return PromptTab(told, picture, model, steering, plan, button, about, result, settings)


def list_models() -> list[Model]:
    """The models that take words, first those that enlarge by four."""
    return sorted((row for row in catalog.MODELS if row.prompt), key=lambda row: 4 not in row.scales)


def stage_of(model: str | None) -> Stage:
    """Returns what `/prompt` runs: by that model, or by the one that is chosen at first. Raises BadSetting."""
    row = list_models()[0] if model is None else _find_model(model)
    return Stage(row.key, _choose_scale(row))


def describe_plan(source: ImageSource | None, model: str, *steering: Any) -> str:
    """Returns what a run would give and take, or what is wrong with what was chosen."""
    if source is None:
        return html.aside(html.NO_IMAGE)
    try:
        check_here(source)
        row, settings = understand(model, *steering)
        check_settings([row], settings)
        stages = [Stage(row.key, _choose_scale(row))]
        size = images.read_size(source, _choose_scale(row))
        check_run(stages, settings, size)
        missing = find_lacking(stages, settings)
    except UpscaleError as error:
        return html.problem(str(error))
    expected = estimates.estimate(*stages[0], *size, settings)
    width, height = (side * stages[0].scale for side in size)
    cost = describe_picture_cost(stages, settings, size)
    return plans.upscale_plan(row, size, (width, height), expected, missing, settings, cost=cost)


def understand(model: str, *steering: Any) -> tuple[Model, Settings]:
    """The model that is to run, with those of the settings that it takes; an empty field is none."""
    row = _find_model(model)
    given = dict(
        zip(STEERING_SETTINGS, (None if value == "" else as_whole_number(value) for value in steering), strict=True)
    )
    given["accept_licence"] = accepts(given["accept_licence"], row) or None
    return row, Settings(**given).only(row.takes)


def _find_model(model: str) -> Model:
    """The row with that key. Raises BadSetting where the tab has no such model."""
    row = next((each for each in list_models() if each.key == model), None)
    if row is None:
        raise BadSetting(
            f"{str(model)[:40]} does not take a prompt; "
            f"the models that do are {', '.join(each.key for each in list_models())}."
        )
    return row


def _name_choice(model: str) -> str:
    """Returns by what a result would be made now: "Stable Diffusion x4"."""
    row = _find_model(model)
    return before_after.name_result(row, _choose_scale(row))


def _choose_scale(row: Model) -> int:
    return 4 if 4 in row.scales else min(row.scales)
