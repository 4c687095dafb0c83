"""What the Upscale tab asks: what for, or by which model, how large, and what that model can be told besides."""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import HUB_EXAMPLE, NO_CLEANUP, Model, purpose_of
from pipelines.errors import UpscaleError
from pipelines.images.door import ImageSource
from ui.jobs.batches import Chosen
from ui.jobs.run_button import RunButton, Update, place_run_button
from ui.jobs.running import QUIET_EVENT
from ui.widgets import html
from ui.widgets.advice import (
    CUSTOM,
    FIRST_MODEL,
    FIRST_PURPOSE,
    FIRST_SCALE,
    advise,
    fit_scale,
    measure,
    offer_models,
    offer_purposes,
    offer_scales,
)
from ui.widgets.artifacts import ArtifactsField, place_artifacts
from ui.widgets.choices import Choices, offer, place_choices
from ui.widgets.cleanup import CleanupField, place_cleanup
from ui.widgets.form_scripts import ANSWER, ASK, GO_ON, SETTLE, TAKE_MODEL, TAKE_PURPOSE
from ui.widgets.inputs import Dropdown, Slider, Textbox
from ui.widgets.licence import LicenceBox, offer_licence, place_licence
from ui.widgets.links import write_link
from ui.widgets.model_search import ModelSearch, place_model_search
from ui.widgets.steering import place_creativity, place_prompt
from ui.widgets.wanted import describe_plan, find_model

ABOUT_DENOISE = "How much noise and grain to remove."
ABOUT_SIZE = "A factor (x1.5 to x16), a width (1920x), a height (x1080), or both to fit within (1920x1080)."
ABOUT_OWN = (
    "Type to search OpenModelDB, or enter a file on the Hugging Face Hub or an https address. It is used until you "
    "choose another model."
)


@dataclass(frozen=True, slots=True)
class UpscaleForm:
    """The fields, and what their events change of them."""

    purpose: Choices
    why: gr.HTML
    model: Dropdown
    own: Textbox
    scale: Choices
    size: Textbox  # where the scale is CUSTOM
    models: gr.Accordion  # the list of all models, and one's own
    denoise: Slider
    denoising: gr.Accordion
    prompt: Textbox
    creativity: Choices
    licence: LicenceBox
    cleanup: CleanupField
    artifacts: ArtifactsField
    search: ModelSearch
    plan: gr.HTML
    about: gr.HTML
    model_chosen: gr.Checkbox  # whether the visitor chose a purpose or a model by hand; out of sight, as all below
    scale_chosen: gr.Checkbox
    answer: gr.Textbox  # the server's last, as JSON
    again: gr.Textbox  # asks once more; a number

    @property
    def values(self) -> list[Any]:
        """Returns the fields that a run depends on."""
        more = [self.cleanup.choice, self.cleanup.strength, self.artifacts.choice, self.licence.accept]
        return [self.model, self.own, self.scale, self.size, self.denoise, self.prompt, self.creativity, *more]

    @property
    def fitted(self) -> list[Block]:
        """Returns what another model changes beside itself."""
        parts = [self.denoising, self.artifacts.part, self.prompt, self.creativity, *self.licence]
        return [self.scale, self.size, self.about, *parts]

    @property
    def all(self) -> list[Block]:
        """Returns what `choose` changes."""
        chosen = [self.purpose, self.model, self.own, self.models, self.why, self.model_chosen, self.scale_chosen]
        return [*self.fitted, *chosen]

    def choose(self, image: Chosen, key: str, scale: str, own_size: str = "") -> Update:
        """The form with that model, or one's own by its address, at that scale or the nearest one that it has.

        `own_size` is the size where the scale is CUSTOM.
        """
        row, size = catalog.find(key), measure(image)
        listed, at = not row.from_hub, fit_scale(offer_scales(row, size), scale)
        fitted = self._fit(row, size, at, [])
        return {
            **fitted,
            self.scale: fitted[self.scale] | {"value": at},
            self.size: fitted[self.size] | {"value": own_size},
            self.purpose: offer(offer_purposes(size, at), value=_purpose_key(row)),
            self.model: _offer(size, at) | ({"value": row.key} if listed else {}),
            self.own: "" if listed else row.key,
            # What no purpose stands for is chosen in the list: it is where one sees what is chosen.
            **({} if _purpose_key(row) else {self.models: gr.Accordion(open=True)}),
            self.why: "",
            self.model_chosen: True,
            self.scale_chosen: True,
        }

    def fit(
        self,
        image: Chosen,
        model: str,
        own: str,
        scale: str,
        model_chosen: bool,
        scale_chosen: bool,
        licences: list[str],
        asked: str,
    ) -> Update:
        """What these choices offer; and under `answer`, for the browser to take, what they choose by themselves.

        That is the purpose that the model serves, what an image suits best unless the visitor has chosen, and a scale
        that fits. `asked` is given back with it. What one's own model upscales by is known only once it is loaded.
        """
        size = measure(image)
        found: dict[str, str] = {"asked": asked}
        try:
            row = find_model(model, own)
        except UpscaleError:  # while it is being written; the plan says what is wrong
            return {**self._offer_all(size, scale), self.about: "", self.answer: json.dumps(found)}
        why = ""
        if not model_chosen and not row.from_hub:
            advice = advise(image)
            row, why = catalog.find(advice.purpose.model), advice.why
        at = fit_scale(offer_scales(row, size), scale if scale_chosen else FIRST_SCALE)
        found |= {
            "purpose": _purpose_key(row),
            "model": model if row.from_hub else row.key,
            "scale": at,
            "why": html.advice(why) if why else "",
        }
        return {**self._offer_all(size, at), **self._fit(row, size, at, licences), self.answer: json.dumps(found)}

    def _offer_all(self, size: tuple[int, int] | None, scale: str) -> Update:
        """The purposes and models with what each would take at that scale, and the field for a size of one's own."""
        return {
            self.size: gr.update(visible=scale == CUSTOM),
            self.purpose: offer(offer_purposes(size, scale)),
            self.model: _offer(size, scale),
        }

    def _fit(self, row: Model, size: tuple[int, int] | None, scale: str, licences: list[str]) -> Update:
        """What belongs to a model, for an image of that size; `scale` is chosen, `licences` were asked for before."""
        return {
            self.scale: offer(offer_scales(row, size)),
            self.size: gr.update(visible=scale == CUSTOM),
            self.about: html.describe_model(row),
            self.denoising: gr.Accordion(visible="denoise" in row.takes),
            self.artifacts.part: gr.Accordion(visible="artifacts" in row.takes),
            self.prompt: gr.update(visible=row.prompt),
            self.creativity: gr.update(visible="creativity" in row.takes),
            **offer_licence(self.licence, licences, row),
        }

    def connect(self, picture: Block, changed: Any, ended: Any) -> None:
        """Has the fields follow each other and the image; `changed` is the event of another image, `ended` that of a
        run: it was timed, and what it downloaded is here.
        """
        quiet: dict[str, Any] = {**QUIET_EVENT, "queue": False}
        self.purpose.input(
            None, self.purpose, [self.model, self.own, self.why, self.model_chosen], js=TAKE_PURPOSE, **quiet
        )
        self.model.input(
            None, self.model, [self.purpose, self.own, self.why, self.model_chosen], js=TAKE_MODEL, **quiet
        )
        self.scale.input(None, None, self.scale_chosen, js="() => true", **quiet)
        # One's own model most likely upscales by four.
        gr.on([self.own.input, self.search.found.input], None, None, self.scale_chosen, js="() => false", **quiet)

        choices = [picture, self.model, self.own, self.scale, self.model_chosen, self.scale_chosen]
        asking = [self.purpose.input, self.model.input, self.own.change, self.scale.change, self.again.change]
        settled = gr.on([*asking, changed, ended], None, None, None, js=SETTLE, **quiet)
        offers = [self.purpose, self.model, *self.fitted, self.answer]
        answered = settled.then(self.fit, [*choices, self.licence.asked, self.answer], offers, js=ASK, **quiet)
        chosen = [self.purpose, self.model, self.scale, self.why, self.again]
        answered.then(None, [self.answer, self.again, *choices], chosen, js=ANSWER, **quiet)
        self.cleanup.connect()
        self.search.connect(self.own)
        changes = [changed, ended, *(field.change for field in self.values)]
        going = gr.on(changes, None, None, None, js=GO_ON, **quiet)
        going.then(describe_plan, [picture, *self.values], self.plan, **quiet)

    def write_link(self) -> None:
        """Has the page's address say what the visitor chooses."""
        write_link(self.purpose.input, "upscale", "purpose", self.purpose, ["model"])
        write_link(self.model.input, "upscale", "model", self.model, ["purpose"])
        write_link(self.own.blur, "upscale", "model", self.own, ["purpose"])
        write_link(self.search.found.input, "upscale", "model", self.search.found, ["purpose"])
        write_link(self.cleanup.choice.input, "upscale", "cleanup", self.cleanup.choice, unsaid=NO_CLEANUP)
        write_link(self.scale.input, "upscale", "scale", self.scale, ["size"], unsaid=CUSTOM)
        write_link(self.size.blur, "upscale", "size", self.size, ["scale"])
        write_link(self.prompt.blur, "upscale", "prompt", self.prompt)
        write_link(self.creativity.input, "upscale", "creativity", self.creativity)


def place_form(first_image: ImageSource) -> tuple[UpscaleForm, RunButton]:
    """Puts the fields into the page being built, as they are for that image, and the buttons among them."""
    row, size = catalog.find(FIRST_MODEL), measure(first_image)
    purpose = place_choices("What is it for?", offer_purposes(size, FIRST_SCALE), FIRST_PURPOSE.key, "cards")
    why = gr.HTML(html.advice(""), elem_classes="at-times")
    prompt = place_prompt("upscale-prompt", visible=False)
    creativity = place_creativity(visible=False)
    licence = place_licence("upscale-licence", row)
    scale = place_choices("Size", offer_scales(row, size), FIRST_SCALE, "pills", elem_id="scale")
    own_size = Textbox(
        label="Custom size", placeholder="x2.5", info=ABOUT_SIZE, max_lines=1, visible=False, elem_id="size"
    )
    plan = gr.HTML(describe_plan(first_image, FIRST_MODEL, "", FIRST_SCALE, "", None, "", None), render=False)
    button = place_run_button("Upscale", "progress", plan, tab="upscale", elem_id="actions")
    with gr.Accordion("Denoising", open=False, visible=False) as denoising:
        denoise = Slider(0, 1, value=1, step=0.05, label="Denoise strength", info=ABOUT_DENOISE)
    with gr.Accordion("Clean up first", open=False):
        cleanup = place_cleanup()
    with gr.Accordion("All models", open=False) as models:
        model = Dropdown(
            offer_models(size, FIRST_SCALE),
            value=FIRST_MODEL,
            label="Model",
            info="Type to search.",
            elem_id="all-models",
        )
        own = Textbox(
            "",  # as events empty it: a change to that, where there was none, would be asked about while others change
            label="Or your own model",
            placeholder=f"ultrasharp, or {HUB_EXAMPLE}",
            info=ABOUT_OWN,
            max_lines=1,
            elem_id="own",
        )
        search = place_model_search()
        about = gr.HTML(html.describe_model(row))
    model_chosen, scale_chosen = (gr.Checkbox(False, visible=False) for _ in range(2))
    chosen = (purpose, why, model, own, scale, own_size, models)
    steered = (denoise, denoising, prompt, creativity, licence, cleanup, place_artifacts(row))
    answer, again = gr.Textbox("", visible=False), gr.Textbox("0", visible="hidden")
    form = UpscaleForm(*chosen, *steered, search, plan, about, model_chosen, scale_chosen, answer, again)
    return form, button


def _offer(size: tuple[int, int] | None, scale: str) -> dict[str, Any]:
    """Returns the change of the list of models to what each takes for an image of that size."""
    return gr.update(choices=offer_models(size, scale))


def _purpose_key(row: Model) -> str:
    purpose = purpose_of(row.key)
    return "" if purpose is None else purpose.key
