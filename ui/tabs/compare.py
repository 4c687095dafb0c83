"""The Compare tab: many models on one or several pictures, scored, ranked, and seen side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipelines.catalog import rows as catalog
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.measuring.run import (
    KERNEL_NAMES,
    PROTOCOLS,
    ROUND_TRIP,
    check_size,
    find_protocol,
)
from ui.examples import EXAMPLES, STATIC
from ui.jobs import comparing, kept_files
from ui.jobs.kept_files import Comparison
from ui.jobs.lanes import MOMENT
from ui.jobs.line_up import kernel_choices, list_chains, model_choices
from ui.jobs.offered import list_offered
from ui.jobs.run_button import RunButton, Update, place_run_button
from ui.jobs.running import ONE_AT_A_TIME, QUIET_EVENT, escape_errors, explain_errors
from ui.tabs.blind import BlindEvents
from ui.widgets import html, plans
from ui.widgets.comparison_results import ComparisonResults, place_results
from ui.widgets.growing_table import GrowingTable
from ui.widgets.inputs import CheckboxGroup, Dropdown, Radio
from ui.widgets.picture import PicturesField, place_pictures_field

FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL = ROUND_TRIP.key, "x4", KERNEL_NAMES[0]
ABOUT = "We shrink your image, let each model upscale it back, and measure which one came closest to the original."
ABOUT_PROTOCOLS = (
    "Test mode scores every model against your image. Chained 8x does that for two models in a row. Without an "
    "original your image is upscaled as it is, and you judge by eye."
)
ABOUT_KERNELS = "How the small image is made. The usual one gives scores that compare with published ones."
RESULTS_GONE = "The results are no longer kept here. Compare again."


@dataclass(frozen=True, slots=True)
class CompareTab:
    """The tab's components, and what its events change of them."""

    pictures: PicturesField
    form: gr.Accordion
    protocol: gr.Radio
    scale: Radio
    kernel: Dropdown
    models: CheckboxGroup
    chains: Dropdown
    plan: gr.HTML
    button: RunButton
    results: ComparisonResults
    comparison: gr.State  # of the last run
    offers: gr.State  # the keys of the models that can be ticked

    @property
    def chosen(self) -> list[Block]:
        """Returns what a run and its plan depend on."""
        return [self.pictures, self.protocol, self.scale, self.kernel, self.models, self.chains]

    def run(
        self,
        sources: list[Path],
        protocol: str,
        scale: str,
        kernel: str,
        models: list[str],
        chains: list[str],
        request: gr.Request,
    ) -> Iterator[Update]:
        """Measures, each row shown as it is finished; then everything else that there is to see."""
        yield self.button.begins() | self.results.clear() | {self.comparison: None}
        comparison = comparing.start(sources, protocol, scale, kernel, models, _shown_chains(protocol, chains))
        table = GrowingTable(self.results.table, comparison.plan.protocol, comparison.plan.kernel)

        def more() -> Update:
            return {self.comparison: comparison, **table.changes()}

        report = yield from self.button.steps(
            comparing.collect_rows(comparing.measure(comparison), table.rows), more, comparing.expect(comparison)
        )
        shown = yield from self.button.steps(self.results.show(comparison, report, _url_of(request)), more)
        yield self.button.ends("Done.") | shown | {self.form: _folded(comparison)}

    def show_cancelled(self, comparison: Comparison | None, request: gr.Request) -> Iterator[Update]:
        """Shows what was finished when the visitor cancelled: all that a whole run shows, of those rows."""
        report = None if comparison is None else kept_files.report_so_far(comparison)
        if comparison is None or report is None:
            yield self.button.ends("Cancelled.") | self.results.clear()
            return
        shown = yield from self.button.steps(self.results.show(comparison, report, _url_of(request)))
        total = len(comparison.pictures) * len(comparison.plan.contenders)
        done = f"Cancelled: {len(report.rows)} of {total} are below."
        yield self.button.ends(done) | shown | {self.form: _folded(comparison)}

    def show_picture(self, comparison: Comparison | None, event: gr.EventData) -> Iterator[Update]:
        """Another of the pictures in the viewer."""
        report = None if comparison is None else kept_files.report_so_far(comparison)
        number: Any = getattr(event, "number", None)
        if comparison is None or report is None or number not in range(len(comparison.pictures)):
            raise gr.Error(RESULTS_GONE, print_exception=False)
        with escape_errors(), explain_errors():
            making = kept_files.make_view(comparison, report, comparison.pictures[number], ranked=True)
            view = yield from self.button.steps(making, expected=MOMENT)
            if not view.panes:
                raise gr.Error(RESULTS_GONE, print_exception=False)
            yield {self.button.progress: html.status("Done."), self.results.viewer: view}

    def offer_choices(self, protocol: str, scale: str, ticked: list[str], before: list[str]) -> Update:
        """The choices that fit the protocol and scale. Models that were on offer before stay as they were ticked."""
        by = find_protocol(protocol)
        with explain_errors():
            choices, ready = model_choices(protocol, scale)
        keys = [key for _, key in choices]
        value = [key for key in keys if key in ((ticked or []) if key in before else ready)]
        label = "Direct x8 models, beside the chains" if by.has_chains else "Models"
        return {
            self.scale: Radio(visible=by.fixed_scale is None),
            self.kernel: Dropdown(visible=by.shrinks),
            self.models: CheckboxGroup(choices, value=value, label=label),
            self.chains: Dropdown(visible=by.has_chains),
            self.offers: keys,
        }

    def give_again(
        self, sources: list[Path], protocol: str, scale: str, kernel: str, models: list[str], chains: list[str]
    ) -> Update:
        """The tab with these inputs chosen."""
        offered = [key for _, key in model_choices(protocol, scale)[0]]
        return self.offer_choices(protocol, scale, models, offered) | {
            self.pictures: [str(source) for source in sources],
            self.protocol: protocol,
            self.scale: gr.update(value=scale, visible=find_protocol(protocol).fixed_scale is None),
            self.kernel: gr.update(value=kernel, visible=find_protocol(protocol).shrinks),
            self.chains: gr.update(value=chains, visible=find_protocol(protocol).has_chains),
        }


def build(page: gr.Blocks) -> CompareTab:
    """Puts the tab's components and events into the page being built."""
    tab = _place()
    first = tab.models.value
    # What is downloaded by now.
    page.load(lambda ticked: _offer_anew(ticked, first), tab.models, tab.models, **QUIET_EVENT, queue=False)
    gr.on(
        [tab.protocol.input, tab.scale.input],
        tab.offer_choices,
        [tab.protocol, tab.scale, tab.models, tab.offers],
        [tab.scale, tab.kernel, tab.models, tab.chains, tab.offers],
        **QUIET_EVENT,
        queue=False,
    )
    fields = (tab.pictures, tab.protocol, tab.scale, tab.kernel, tab.models, tab.chains)
    gr.on([each.change for each in fields], describe_plan, tab.chosen, tab.plan, **QUIET_EVENT, queue=False)
    done = tab.button.connect(
        tab.run,
        tab.chosen,
        [tab.comparison, tab.form, *tab.results.components],
        kept=tab.comparison,
        show_kept=tab.show_cancelled,
        give_again=tab.give_again,
        given=[tab.offers],
        needs=tab.pictures,
    )
    done.success(None, None, None, js=(STATIC / "verdict.js").read_text())
    page.load(None, None, None, js=tab.button.find_again())
    BlindEvents(tab.button, tab.results).connect(tab.comparison)
    tab.results.which.click(
        tab.show_picture,
        tab.comparison,
        [tab.button.progress, tab.results.viewer],
        **QUIET_EVENT,
        **ONE_AT_A_TIME,
    )
    return tab


def _place() -> CompareTab:
    """Puts the tab's components into the page being built."""
    gr.HTML(html.aside(ABOUT))
    with gr.Accordion("What to compare", elem_id="compare-form") as form, gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            pictures = place_pictures_field("pictures")
        with gr.Column(scale=3, min_width=320):
            with gr.Row():
                scale = Radio([f"x{each}" for each in catalog.SCALES], value=FIRST_SCALE, label="Scale", min_width=200)
                kernel = Dropdown(
                    kernel_choices(),
                    value=FIRST_KERNEL,
                    label="Shrunk by",
                    info=ABOUT_KERNELS,
                    filterable=False,
                    min_width=200,
                )
            choices, ticked = model_choices(FIRST_PROTOCOL, FIRST_SCALE)
            models = CheckboxGroup(choices, value=ticked, label="Models", elem_id="models")
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
    plan = gr.HTML(describe_plan([EXAMPLES[0].path], FIRST_PROTOCOL, FIRST_SCALE, FIRST_KERNEL, ticked, []))
    button = place_run_button("Compare", elem_classes="actions")
    button.problem.place()
    results = place_results()
    comparison, offers = gr.State(None), gr.State([key for _, key in choices])
    return CompareTab(
        pictures,
        form,
        protocol,
        scale,
        kernel,
        models,
        chains,
        plan,
        button,
        results,
        comparison,
        offers,
    )


def describe_plan(
    sources: list[Path], protocol: str, scale: str, kernel: str, models: list[str], chains: list[str]
) -> str:
    """Returns what a comparison would take, or what is wrong with what was chosen."""
    try:
        comparing.check_sources(sources)
        found = comparing.choose_contenders(protocol, scale, models, _shown_chains(protocol, chains))
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
    return plans.comparison_plan(len(sources), len(found), times, sum(needed.size for needed in lacking))


def _offer_anew(ticked: list[str], first: list[str]) -> gr.CheckboxGroup:
    """The choices as files are here now. Ticks stay where a visitor made some: else a click would be undone."""
    choices, ready = model_choices(FIRST_PROTOCOL, FIRST_SCALE)
    return gr.CheckboxGroup(choices, value=ready) if ticked == first != ready else gr.CheckboxGroup(choices)


def _folded(comparison: Comparison) -> gr.Accordion:
    """The form out of the way of the results, with what was compared."""
    plan = comparison.plan
    pictures, methods = len(comparison.pictures), len(plan.contenders)
    what = f"{plans.count(pictures, 'image')}, {plans.count(methods, 'model')}, x{plan.scale}"
    return gr.Accordion(f"What to compare: {what}", open=False)


def _shown_chains(protocol: str, chains: list[str]) -> list[str]:
    """The chains that are chosen; none where their field is out of sight."""
    return chains if find_protocol(protocol).has_chains else []


def _url_of(request: gr.Request) -> str:
    """The URL of this page, as its visitor sees it."""
    return str(request.headers.get("origin", "http://127.0.0.1:7860"))
