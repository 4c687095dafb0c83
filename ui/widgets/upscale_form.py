"""What the Upscale tab asks: what for, or by which model, how large, and what that model can be told besides."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import HUB_EXAMPLE, NO_CLEANUP, Model, purpose_of
from pipelines.errors import UpscaleError
from pipelines.images.door import ImageSource
from ui.jobs.asking import answer_at_once, ask
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
from ui.widgets.inputs import CheckboxGroup, Dropdown, Slider, Textbox
from ui.widgets.licence import offer_licence, place_licence
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
    accept: CheckboxGroup
    cleanup: CleanupField
    artifacts: ArtifactsField
    search: ModelSearch
    plan: gr.HTML
    about: gr.HTML
    model_chosen: gr.Checkbox  # whether the visitor chose a purpose or a model by hand; out of sight, as the next one
    scale_chosen: gr.Checkbox
    scaled: gr.Textbox  # one's own model that the scale is for

    @property
    def values(self) -> list[Any]:
        """Returns the fields that a run depends on."""
        more = [self.cleanup.choice, self.cleanup.strength, self.artifacts.choice, self.accept]
        return [self.model, self.own, self.scale, self.size, self.denoise, self.prompt, self.creativity, *more]

    @property
    def fitted(self) -> list[Block]:
        """Returns what another model changes beside itself."""
        parts = [self.denoising, self.artifacts.part, self.prompt, self.creativity, self.accept]
        return [self.purpose, self.scale, self.size, self.about, self.models, *parts]

    @property
    def all(self) -> list[Block]:
        """Returns what `choose` changes."""
        return [*self.fitted, self.model, self.own, self.why, self.model_chosen, self.scale_chosen, self.scaled]

    def choose(self, image: Chosen, key: str, scale: str, own_size: str = "") -> Update:
        """The form with that model, or one's own by its address, at that scale or the nearest one that it has.

        `own_size` is the size where the scale is CUSTOM.
        """
        row, size = catalog.find(key), measure(image)
        listed = not row.from_hub
        fitted = self._fit(row, size, scale, "")
        return {
            **fitted,
            self.size: fitted[self.size] | {"value": own_size},
            self.purpose: offer(offer_purposes(size, scale), value=_purpose_key(row)),
            self.model: _offer(size, scale) | ({"value": row.key} if listed else {}),
            self.own: "" if listed else row.key,
            self.why: "",
            self.model_chosen: True,
            self.scale_chosen: True,
            self.scaled: "" if listed else row.key,
        }

    def pick_purpose(self, key: str) -> Update:
        """What a click on a purpose chooses with it."""
        model = next(purpose.model for purpose in catalog.PURPOSES if purpose.key == key)
        return {self.model: model, self.own: "", self.why: "", self.model_chosen: True}

    def pick_model(self, key: str) -> Update:
        """What a model that is picked from the list chooses with it: one's own gives way to it."""
        return {self.purpose: _purpose_key(catalog.find(key)), self.own: "", self.why: "", self.model_chosen: True}

    def fit(
        self,
        image: Chosen,
        model: str,
        own: str,
        scale: str,
        model_chosen: bool,
        scale_chosen: bool,
        scaled: str = "",
    ) -> Update:
        """What belongs to the image and to what is chosen for it: the model that suits it best, unless the visitor has
        chosen one, a scale that fits, what each choice takes, and the fields that the model can use.

        One's own model most likely upscales by four, which is known only once it is loaded: a scale that was chosen
        before it, not for it, is given up.
        """
        size = measure(image)
        changes = self.tell_costs(image, scale) | {self.why: ""}
        try:
            row = find_model(model, own)
        except UpscaleError:  # while it is being written; the plan says what is wrong
            return changes | {self.about: ""}
        if not model_chosen and not row.from_hub:  # a model that was named is chosen, too
            advice = advise(image)
            row = catalog.find(advice.purpose.model)
            changes[self.why] = html.advice(advice.why)
            if row.key != model:
                changes[self.model] = _offer(size, scale) | {"value": row.key}
        changes[self.purpose] |= {"value": _purpose_key(row)}
        chosen = scale_chosen and (not row.from_hub or own == scaled)
        return changes | self._fit(row, size, scale if chosen else FIRST_SCALE, scale) | {self.scaled: own}

    def see_scale(self, image: Chosen, scale: str) -> Update:
        """Another scale: what each model would take at that, and the field for a size of one's own."""
        return self.tell_costs(image, scale) | {self.size: gr.update(visible=scale == CUSTOM)}

    def tell_costs(self, image: Chosen, scale: str) -> Update:
        """What each choice takes for the image at that scale."""
        size = measure(image)
        return {self.purpose: offer(offer_purposes(size, scale)), self.model: _offer(size, scale)}

    def _fit(self, row: Model, size: tuple[int, int] | None, wanted: str, shown: str) -> Update:
        """What belongs to a model, for an image of that size. A scale is set only where it is not the one `shown`."""
        options = offer_scales(row, size)
        scale = fit_scale(options, wanted)
        return {
            self.scale: offer(options, **({} if scale == shown else {"value": scale})),
            self.size: gr.update(visible=scale == CUSTOM),
            self.about: html.describe_model(row),
            # What no purpose stands for is chosen in the list: it is where one sees what is chosen.
            **({} if _purpose_key(row) else {self.models: gr.update(open=True)}),
            self.denoising: gr.update(visible="denoise" in row.takes),
            self.artifacts.part: gr.update(visible="artifacts" in row.takes),
            self.prompt: gr.update(visible=row.prompt),
            self.creativity: gr.update(visible="creativity" in row.takes),
            self.accept: offer_licence(row),
        }

    def connect(self, picture: Block, changed: Any) -> None:
        """Has the fields follow each other and the image; `changed` is the event of another image."""
        quiet: dict[str, Any] = {**QUIET_EVENT, "queue": False}
        # What a click chooses is chosen at once, in the browser; what belongs to it is asked for, and counts only if
        # nothing else was chosen by then.
        by_purpose = [self.model, self.own, self.why, self.model_chosen]
        known = answer_at_once(self.pick_purpose, [each.key for each in catalog.PURPOSES], by_purpose)
        self.purpose.input(None, self.purpose, by_purpose, js=known, **quiet)
        by_model = [self.purpose, self.own, self.why, self.model_chosen]
        known = answer_at_once(self.pick_model, [row.key for row in catalog.MODELS], by_model)
        self.model.input(None, self.model, by_model, js=known, **quiet)
        self.scale.input(None, None, self.scale_chosen, js="() => true", **quiet)
        ask([self.scale.change], self.see_scale, [picture, self.scale], [self.purpose, self.model, self.size])
        ask(
            [changed, self.model.change, self.own.change],
            self.fit,
            [picture, self.model, self.own, self.scale, self.model_chosen, self.scale_chosen, self.scaled],
            [*self.fitted, self.model, self.why, self.scaled],
        )
        self.cleanup.connect()
        self.search.connect(self.own)
        changes = [changed, *(field.change for field in self.values)]
        gr.on(changes, describe_plan, [picture, *self.values], self.plan, **quiet)

    def renew_costs(self, picture: Block, ended: Any) -> None:
        """Has each choice say what it takes by now: a run that `ended` was timed, and what it downloaded is here."""
        outputs = [self.purpose, self.model]
        ended.then(self.tell_costs, [picture, self.scale], outputs, **QUIET_EVENT, queue=False)

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
    accept = place_licence("upscale-licence", row)
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
    scaled = gr.Textbox("", visible=False)
    chosen = (purpose, why, model, own, scale, own_size, models)
    steered = (denoise, denoising, prompt, creativity, accept, cleanup, place_artifacts(row))
    form = UpscaleForm(*chosen, *steered, search, plan, about, model_chosen, scale_chosen, scaled)
    return form, button


def _offer(size: tuple[int, int] | None, scale: str) -> dict[str, Any]:
    """Returns the change of the list of models to what each takes for an image of that size."""
    return gr.update(choices=offer_models(size, scale))


def _purpose_key(row: Model) -> str:
    purpose = purpose_of(row.key)
    return "" if purpose is None else purpose.key
