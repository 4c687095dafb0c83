"""The Compare tab's form: what to compare, what that will take, and the address that says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog import rows as catalog
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.measuring.run import KERNEL_NAMES, PROTOCOLS, ROUND_TRIP, Contender, check_size, find_protocol
from ui.examples import EXAMPLES
from ui.jobs import comparing
from ui.jobs.asking import ask
from ui.jobs.line_up import kernel_choices, list_chains, model_choices
from ui.jobs.offered import list_offered
from ui.jobs.run_button import RunButton, Update, place_run_button
from ui.jobs.running import QUIET_EVENT, explain_errors
from ui.widgets import html, plans
from ui.widgets.advice import FIRST_SCALE
from ui.widgets.comparison_link import LINK_TAB, read_comparison
from ui.widgets.inputs import CheckboxGroup, Dropdown, Radio
from ui.widgets.licence import check_ticked, offer_licence, place_licence
from ui.widgets.links import keep_image, place_copy_button, write_link
from ui.widgets.picture import PicturesField, place_pictures_field

FIRST_PROTOCOL, FIRST_KERNEL = ROUND_TRIP.key, KERNEL_NAMES[0]
ABOUT = "We shrink your image, let each model upscale it back, and measure which one came closest to the original."
ABOUT_FORM = "What to compare"
ABOUT_PROTOCOLS = (
    "Test mode scores every model against your image. Chained 8x does that for two models in a row. Without an "
    "original your image is upscaled as it is, and you judge by eye."
)
ABOUT_MORE = "They are downloaded before they run."
ABOUT_KERNELS = "How the small image is made. Scores with the default can be compared with published ones."


@dataclass(frozen=True, slots=True)
class ComparisonForm:
    """The components, and what their events change of them."""

    note: gr.HTML  # what there is to say of the address that the page was opened with
    pictures: PicturesField
    fold: gr.Accordion  # of all but the note and the images; its label says what is chosen
    protocol: gr.Radio
    scale: Radio
    kernel: Dropdown
    models: CheckboxGroup
    more: gr.Checkbox  # whether those that need a download are among them
    chains: Dropdown
    accept: CheckboxGroup
    plan: gr.HTML
    offers: gr.JSON  # the keys of the models that can be ticked; out of sight

    @property
    def chosen(self) -> list[Block]:
        """Returns what a run and its plan depend on."""
        return [self.pictures, self.protocol, self.scale, self.kernel, self.models, self.chains, self.accept]

    @property
    def given(self) -> list[Block]:
        """Returns what follows what a run depends on."""
        return [self.more, self.offers]

    def see_choice(self, *chosen: Any) -> Update:
        """Other inputs: what a run of them takes, the label of the fold, and what licences have to be accepted."""
        sources, protocol, scale, _, models, chains, _ = chosen
        found = _list_contenders(protocol, scale, models, chains)
        return {
            self.plan: describe_plan(*chosen),
            self.fold: gr.Accordion(label=name_choice(sources, found)),
            self.accept: offer_licence(*(stage.model for each in found for stage in each.stages)),
        }

    def offer_choices(self, protocol: str, scale: str, ticked: list[str], before: list[str], more: bool) -> Update:
        """The choices that fit the protocol and scale. Models that were on offer before stay as they were ticked."""
        by = find_protocol(protocol)
        with explain_errors():
            line_up = model_choices(protocol, scale)
        keys = [key for _, key in line_up.choices]
        ticked, before = read_ticked(ticked), read_ticked(before)
        value = [key for key in keys if key in (ticked if key in before else line_up.ticked)]
        choices = line_up.choices if more else line_up.shorten(value)
        label = "Direct x8 models, to compare with the chains" if by.has_chains else "Models"
        return {
            self.scale: Radio(visible=by.fixed_scale is None),
            self.kernel: Dropdown(visible=by.shrinks),
            self.models: CheckboxGroup(choices, value=value, label=label),
            self.more: gr.Checkbox(visible=bool(line_up.to_download)),
            self.chains: Dropdown(visible=by.has_chains),
            self.offers: keys,
        }

    def show_more(self, protocol: str, scale: str, ticked: list[str], more: bool) -> Update:
        """Those that need a download among the models, or out of sight but for the ticked ones."""
        with explain_errors():
            line_up = model_choices(protocol, scale)
        return {self.models: CheckboxGroup(line_up.choices if more else line_up.shorten(read_ticked(ticked)))}

    def give_again(
        self,
        sources: list[Path],
        protocol: str,
        scale: str,
        kernel: str,
        models: list[str],
        chains: list[str],
        accepted: list[str],
    ) -> Update:
        """The tab with these inputs chosen."""
        chosen = self.choose(protocol, scale, kernel, models, chains)
        return chosen | {self.pictures: [str(each) for each in sources], self.accept: accepted}

    def choose(self, protocol: str, scale: str, kernel: str, models: list[str], chains: list[str]) -> Update:
        """The tab with these choices, and the image as it is."""
        by, line_up = find_protocol(protocol), model_choices(protocol, scale)
        more = not line_up.to_download.isdisjoint(models)
        return self.offer_choices(protocol, scale, models, [key for _, key in line_up.choices], more) | {
            self.more: gr.update(value=more, visible=bool(line_up.to_download)),
            self.protocol: protocol,
            self.scale: gr.update(value=scale, visible=by.fixed_scale is None),
            self.kernel: gr.update(value=kernel, visible=by.shrinks),
            self.chains: gr.update(value=chains, visible=by.has_chains),
        }

    def open_url(self, ticked: list[str], chains: list[str], request: gr.Request) -> Update:
        """What the page's address asks for, which waits for the button; else the models as their files are here now.

        Ticks stay where a visitor made some in the meantime: else a click would be undone.
        """
        asked = read_comparison(request, FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL)
        if asked is not None:
            found = chains if asked.chains is None else asked.chains
            return self.choose(asked.protocol, asked.scale, asked.kernel, asked.models, found) | {self.note: asked.note}
        line_up = model_choices(FIRST_PROTOCOL, FIRST_SCALE)
        untouched = ticked == self.models.value != line_up.ticked
        value: dict[str, Any] = {"value": line_up.ticked} if untouched else {}
        return {
            self.models: gr.CheckboxGroup(
                line_up.shorten(line_up.ticked if untouched else read_ticked(ticked)), **value
            )
        }

    def connect(self, page: gr.Blocks) -> None:
        """Connects the events of its own."""
        linked: dict[str, Any] = {
            "protocol": self.protocol,
            "scale": self.scale,
            "kernel": self.kernel,
            "models": self.models,
        }
        opened = page.load(
            self.open_url,
            [self.models, self.chains],
            [self.note, *linked.values(), *self.given, self.chains],
            **QUIET_EVENT,
            queue=False,
        )
        keep_image(LINK_TAB, self.pictures, opened)
        for name, component in (linked | {"chains": self.chains}).items():
            write_link(component.input, LINK_TAB, name, component)
        ask(
            [self.protocol.input, self.scale.input],
            self.offer_choices,
            [self.protocol, self.scale, self.models, self.offers, self.more],
            [self.scale, self.kernel, self.models, *self.given, self.chains],
        )
        ask([self.more.input], self.show_more, [self.protocol, self.scale, self.models, self.more], [self.models])
        changed = [each.change for each in self.chosen]  # type: ignore[attr-defined]
        outputs = [self.plan, self.fold, self.accept]
        gr.on(changed, self.see_choice, self.chosen, outputs, **QUIET_EVENT, queue=False)


def place_comparison_form() -> tuple[ComparisonForm, RunButton]:
    """Puts the form into the page being built, folded but for the image, and the buttons beside it."""
    gr.HTML(html.aside(ABOUT))
    note = gr.HTML("")
    line_up, first_image = model_choices(FIRST_PROTOCOL, FIRST_SCALE), [EXAMPLES[0].path]
    no_chains: list[str] = []
    chosen = first_image, FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL, line_up.ticked, no_chains
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            pictures = place_pictures_field("pictures")
        with gr.Column(scale=3, min_width=320):
            label = name_choice(first_image, _list_contenders(FIRST_PROTOCOL, FIRST_SCALE, line_up.ticked, no_chains))
            with gr.Accordion(label, open=False, elem_id="compare-form") as fold:
                with gr.Row():
                    scales = [f"x{each}" for each in catalog.SCALES]
                    scale = Radio(scales, value=FIRST_SCALE, label="Scale", min_width=200)
                    kernel = Dropdown(
                        kernel_choices(),
                        value=FIRST_KERNEL,
                        label="Shrunk by",
                        info=ABOUT_KERNELS,
                        filterable=False,
                        min_width=200,
                    )
                models = CheckboxGroup(
                    line_up.shorten(line_up.ticked), value=line_up.ticked, label="Models", elem_id="models"
                )
                more = gr.Checkbox(
                    False, label="More models (download)", info=ABOUT_MORE, visible=bool(line_up.to_download)
                )
                chains = Dropdown(
                    list_chains(list_offered()),
                    value=comparing.list_ready_chains(),
                    label="Chains: x4, then x2",
                    multiselect=True,
                    visible=False,
                )
                protocol = gr.Radio(
                    [(each.name, each.key) for each in PROTOCOLS],
                    value=FIRST_PROTOCOL,
                    label="How to compare (protocol)",
                    info=ABOUT_PROTOCOLS,
                )
            accept = place_licence("compare-licence")
            plan = gr.HTML(describe_plan(*chosen), render=False)
            button = place_run_button("Compare", plan=plan, elem_classes="actions")
            place_copy_button()
    offers = gr.JSON([key for _, key in line_up.choices], visible=False)
    form = ComparisonForm(note, pictures, fold, protocol, scale, kernel, models, more, chains, accept, plan, offers)
    return form, button


def describe_plan(
    sources: list[Path],
    protocol: str,
    scale: str,
    kernel: str,
    models: list[str],
    chains: list[str],
    accepted: object = None,
) -> str:
    """Returns what a comparison would take, or what is wrong with what was chosen."""
    try:
        comparing.check_sources(sources)
        found = choose_accepted(protocol, scale, models, chains, accepted)
        by, factor = find_protocol(protocol), found[0].scale
        sizes = [images.read_size(source, by.grows_by(factor)) for source in sources]
        for size in sizes:
            check_size(*size, by.shrunk_by(factor))
        comparing.check_sizes(sizes, by, found)
        small = comparing.small_sizes(sizes, by, factor)
        comparing.check_gpu_seconds(found, small)
    except UpscaleError as error:
        return html.problem(str(error))
    times = [comparing.estimate_seconds(each, *size) for each in found for size in small]
    lacking = {needed for each in found for needed in comparing.lacking_weights(each)}
    missing, cost = sum(needed.size for needed in lacking), comparing.describe_cost(found, small)
    return plans.comparison_plan(len(sources), len(found), times, missing, cost)


def choose_accepted(
    protocol: str, scale: str, models: list[str], chains: list[str], accepted: object
) -> tuple[Contender, ...]:
    """Returns who takes part. Raises BadSetting for what does not fit, and for a licence that is not accepted."""
    found = comparing.choose_contenders(protocol, scale, models, shown_chains(protocol, chains), accept=True)
    check_ticked(accepted, *(stage.model for each in found for stage in each.stages))
    return found


def name_choice(sources: list[Path], found: Sequence[Contender]) -> str:
    """Returns what is to be compared, in short: "What to compare: 1 image, 5 models, x4"."""
    if not found:  # the plan says what is wrong
        return ABOUT_FORM
    parts = plans.count(len(sources), "image"), plans.count(len(found), "model")
    return f"{ABOUT_FORM}: {', '.join(parts)}, x{found[0].scale}"


def read_ticked(ticked: Any) -> list[str]:
    """Returns the values of what is ticked; strangers may send anything."""
    return [each for each in ticked if isinstance(each, str)] if isinstance(ticked, list) else []


def _list_contenders(protocol: str, scale: str, models: list[str], chains: list[str]) -> tuple[Contender, ...]:
    """Who would take part once all licences are accepted; nobody where what was chosen does not fit."""
    try:
        return comparing.choose_contenders(protocol, scale, models, shown_chains(protocol, chains), accept=True)
    except UpscaleError:
        return ()


def shown_chains(protocol: str, chains: list[str]) -> list[str]:
    """The chains that are chosen; none where their field is out of sight."""
    return chains if find_protocol(protocol).has_chains else []
