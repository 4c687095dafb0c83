"""The Chained 8x tab: an x4 and then an x2 model, every stage to be seen, and scored if wanted."""

import json
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial

import gradio as gr
from gradio.blocks import Block

from pipelines.images import door as images
from pipelines.images.door import ImageSource
from pipelines.measuring.run import CHAINED_8X, Contender, check_size
from pipelines.report.report import Report
from pipelines.runs import Run
from ui.examples import EXAMPLES, find_example
from ui.jobs import chain_views, comparing, enlarging, kept_files
from ui.jobs.kept_files import Comparison
from ui.jobs.offered import list_offered
from ui.jobs.run_button import RunButton, Update, place_run_button
from ui.jobs.running import QUIET_EVENT, EndedEarly, explain_errors
from ui.sharing.chains import make_chain_page, see_stages
from ui.widgets import before_after, html, results
from ui.widgets.before_after import Made
from ui.widgets.chain_choice import (
    CHAIN_SCALES,
    CHAINED_SCALE,
    chain_of,
    chain_settings,
    describe_plan,
    list_direct_models,
    model_choices,
    name_choice,
    split_chain,
)
from ui.widgets.growing_table import GrowingTable
from ui.widgets.inputs import CheckboxGroup, Dropdown
from ui.widgets.licence import check_ticked, offer_licence, place_licence
from ui.widgets.links import keep_image, place_copy_button, read_link, write_link
from ui.widgets.picture import PictureField, place_picture_field
from ui.widgets.result_panel import ResultPanel, place_result

ABOUT_CHAIN = "Upscales by four and then by two, with a model for each step, and shows you every stage."
ABOUT_EXAMPLE = "A finished example, at eight times its size. Press Run to upscale your own image."
SCORED = "Test mode: shrink the image 8× first and measure the result"
ABOUT_SCORING = "The small image is then upscaled again and compared with the original. Leave it off for an 8× result."
ABOUT_SCORES = (
    "The chain is scored as a whole: its second model gets what the first one made, flaws included, and nothing is "
    "rounded in between. The other models upscale by eight in one step."
)


@dataclass(frozen=True, slots=True)
class ChainedTab:
    """The tab's components, and what its events change of them."""

    told: gr.HTML  # what is to be said of the link that opened the page
    picture: PictureField
    first: Dropdown
    second: Dropdown
    scored: gr.Checkbox
    accept: CheckboxGroup
    presets: dict[gr.Button, str]  # each with the chain that it chooses
    plan: gr.HTML
    button: RunButton
    verdict: gr.HTML
    result: ResultPanel
    table: gr.HTML
    comparison: gr.State  # of the last run, if it was scored

    @property
    def chosen(self) -> list[Block]:
        """Returns what a run and its plan depend on."""
        return [self.picture, self.first, self.second, self.scored, self.accept]

    def open_link(self, request: gr.Request) -> Update:
        """What the page's address asks for; it never runs by itself. What there is not is said."""
        asked = read_link(request, "chained", ("first", "second", "example"))
        if asked is None:
            return {self.told: ""}
        example = asked.read("example", find_example)
        keys = {
            field: asked.read(name, {row.key: row.key for row in list_offered(scale)}.get, "model")
            for name, field, scale in zip(("first", "second"), (self.first, self.second), CHAIN_SCALES, strict=True)
        }
        return {
            self.told: asked.tell("Press Run to start."),
            **({self.picture: str(example.path)} if example else {}),
            **{field: key for field, key in keys.items() if key},
        }

    def see_models(self, first: str, second: str) -> Update:
        """Other models: what licences have to be accepted for them."""
        with explain_errors():
            return {self.accept: offer_licence(*(stage.model for stage in chain_of(first, second).stages))}

    def run(
        self, source: ImageSource | None, first: str, second: str, scored: bool, accepted: list[str]
    ) -> Iterator[Update]:
        """Measures the chain or simply enlarges by it, showing progress, then every stage."""
        name = name_choice(first, second, scored)
        shown = self.result.begins(source, name, 1 if scored else CHAINED_SCALE)
        yield self.button.begins() | shown | {self.verdict: "", self.table: "", self.comparison: None}
        chain = chain_of(first, second, accepted)
        check_ticked(accepted, *(stage.model for stage in chain.stages))
        if scored:
            yield from self._measure(source, chain)
        else:
            yield from self._enlarge(source, chain, name)

    def _measure(self, source: ImageSource | None, chain: Contender) -> Iterator[Update]:
        """Each row as it is finished, then the stages of the chain and the direct models beside them."""
        comparison = _begin_comparison(source, chain)
        table = GrowingTable(self.table, comparison.plan.protocol, comparison.plan.kernel)
        measuring = comparing.collect_rows(comparing.measure(comparison), table.rows)
        try:
            report = yield from self.button.steps(
                measuring, lambda: {self.comparison: comparison, **table.changes()}, comparing.expect(comparison)
            )
        except Exception as error:
            raise EndedEarly(error, (yield from self._show_finished(comparison, "Ended early"))) from error
        shown = yield from self.button.steps(self._scores(comparison, report))
        yield self.button.ends(report.rows[0].error or "Done.") | shown

    def _enlarge(self, source: ImageSource | None, chain: Contender, name: str) -> Iterator[Update]:
        """The picture, what each stage makes of it, and the result's file."""
        started, settings = time.monotonic(), chain_settings(chain)
        making = chain_views.make_stages(source, chain.stages, settings, name)
        work, so_far = before_after.watch_previews(making, source, name, CHAINED_SCALE)
        expected = enlarging.expect(source, chain.stages, settings)
        made = yield from self.button.steps(work, lambda: self.result.shows_so_far(so_far()), expected)
        yield self.button.ends(f"Done in {html.tell_time(time.monotonic() - started)}.") | self.result.shows(made)

    def show_cancelled(self, comparison: Comparison | None) -> Iterator[Update]:
        """Shows what was finished when the visitor cancelled."""
        shown = None if comparison is None else (yield from self._show_finished(comparison, "Cancelled"))
        yield shown or self.button.ends("Cancelled.")

    def _show_finished(self, comparison: Comparison, how: str) -> Generator[Update, None, Update]:
        """Returns what shows the rows of a comparison that has come to an early end; nothing where there is none."""
        report = kept_files.report_so_far(comparison)
        if report is None:
            return {}
        shown = yield from self.button.steps(self._scores(comparison, report))
        return self.button.ends(f"{how}: {len(report.rows)} of {len(comparison.plan.contenders)} are below.") | shown

    def _scores(self, comparison: Comparison, report: Report) -> Run[Update]:
        """Returns what the page shows of a report."""
        chain = next(each for each in comparison.plan.contenders if each.is_chain)
        name = name_choice(chain.stages[0].key, chain.stages[1].key, True)
        view = yield from see_stages(comparison, report, comparison.pictures[0])
        made = Made(view, html.aside(ABOUT_SCORES), "", "", name=name, source=str(comparison.pictures[0].path))
        return self.result.shows(made) | {
            self.verdict: results.render_verdict(report.rows),
            self.table: results.render_table(report.rows, report.protocol, report.kernel, running=False),
        }


def build(page: gr.Blocks) -> ChainedTab:
    """Puts the tab's components and events into the page being built."""
    tab = _place()
    for preset, chain in tab.presets.items():
        script = f"() => {json.dumps(split_chain(chain))}"  # an answer of the server could undo the next choice
        preset.click(None, None, [tab.first, tab.second], js=script, **QUIET_EVENT, queue=False)
    models = [tab.first, tab.second]
    gr.on([each.change for each in models], tab.see_models, models, tab.accept, **QUIET_EVENT, queue=False)
    changes = [*(each.change for each in models), tab.picture.change, tab.scored.change, tab.accept.change, page.load]
    gr.on(changes, describe_plan, tab.chosen, tab.plan, **QUIET_EVENT, queue=False)
    running = tab.button.connect(
        tab.run,
        tab.chosen,
        [tab.comparison, tab.verdict, tab.table, *tab.result.components],
        kept=tab.comparison,
        show_kept=tab.show_cancelled,
        needs=tab.picture,
    )
    tab.result.connect(
        tab.picture,
        tab.button,
        tab.button.settle(running),
        usual_scale=CHAINED_SCALE,
        chosen=[tab.first, tab.second, tab.scored],
        name=name_choice,
        also=[tab.verdict, tab.table],
        share=partial(make_chain_page, tab.result.make_shared_page),
        shared=[tab.comparison],
    )
    page.load(None, None, None, js=tab.button.find_again())
    _connect_link(page, tab)
    return tab


def _connect_link(page: gr.Blocks, tab: ChainedTab) -> None:
    """Has the page's address say what the visitor chooses, and the tab open with what a link asks for."""
    for name, field in (("first", tab.first), ("second", tab.second)):
        write_link(field.change, "chained", name, field)  # a preset chooses, too
    opened = page.load(tab.open_link, None, [tab.told, tab.picture, tab.first, tab.second], **QUIET_EVENT, queue=False)
    keep_image("chained", tab.picture, opened)


def _place() -> ChainedTab:
    """Puts the tab's components into the page being built."""
    first_x4, first_x2 = split_chain(comparing.list_ready_chains()[-1])
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            told = gr.HTML("", elem_classes="at-times")
            picture = place_picture_field("chained-picture")
            first_path = picture.move_resource_to_block_cache(EXAMPLES[0].path) or ""
        with gr.Column(scale=3, min_width=320):
            gr.HTML(html.aside(ABOUT_CHAIN))
            with gr.Row(elem_classes="presets"):
                presets = {gr.Button(name, size="sm"): chain for name, chain in comparing.GOOD_CHAINS.items()}
            with gr.Row():
                first, second = (
                    Dropdown(model_choices(scale), value=key, label=label, filterable=False, min_width=200)
                    for scale, key, label in ((4, first_x4, "First, x4"), (2, first_x2, "Then, x2"))
                )
            scored = gr.Checkbox(False, label=SCORED, info=ABOUT_SCORING)
            accept = place_licence("chained-licence")
            plan = gr.HTML(describe_plan(EXAMPLES[0].path, first_x4, first_x2, False), render=False)
            button = place_run_button("Run", "chained-progress", plan, elem_classes="actions")
            place_copy_button()
    with gr.Column():
        button.problem.place()
        verdict = results.place_panel(elem_classes="at-times")
        view, name = chain_views.make_first_view(), name_choice(first_x4, first_x2, False)
        example = Made(view, html.aside(ABOUT_EXAMPLE), file="", about="", name=name, source=first_path)
        result = place_result("chained-viewer", "chained-about", example)
        table = results.place_panel(elem_classes="at-times")
    return ChainedTab(
        told, picture, first, second, scored, accept, presets, plan, button, verdict, result, table, gr.State(None)
    )


def _begin_comparison(source: ImageSource | None, chain: Contender) -> Comparison:
    """The comparison of the chain with the direct models; the chain comes first, to be there if it is ended early."""
    sources = [] if source is None else [source]
    direct = list_direct_models()
    comparison = comparing.start(sources, CHAINED_8X.key, "x8", "bicubic", direct, [chain.key], chain.accepted)
    check_size(*images.read_size(sources[0]), CHAINED_SCALE)
    order = sorted(comparison.plan.contenders, key=lambda each: each.is_chain, reverse=True)
    return replace(comparison, plan=replace(comparison.plan, contenders=tuple(order)))
