"""All that there is to see of a comparison: verdict, downloads, viewer, table, details, and how to repeat it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr
from gradio.blocks import Block

from pipelines.measuring.run import Plan, find_protocol
from pipelines.report.report import Report
from pipelines.runs import Run, prefix_notes
from ui.jobs import kept_files
from ui.jobs.kept_files import DOWNLOAD_KINDS, Comparison
from ui.jobs.run_button import Update
from ui.sharing.button import ShareButton, place_share_button
from ui.widgets import html, results
from ui.widgets.blind_test import BlindTestParts, BlindTestWindow
from ui.widgets.ready_comparison import read_ready_comparison
from ui.widgets.thumbnails import place_thumbnails, render_thumbnails
from ui.widgets.viewer import View, Viewer

ABOUT_READY = "A finished example: this face, shrunk by 4 and upscaled back."


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """The components, from the top of the page down."""

    note: gr.HTML  # whose results these are, where something else is chosen by now
    made_of: gr.Textbox  # what they are of, as JSON; out of sight
    verdict: gr.HTML
    blind: BlindTestParts
    files: gr.Column  # the downloads
    downloads: Mapping[str, gr.DownloadButton]  # by DOWNLOAD_KINDS
    share: ShareButton | None  # none where sharing is off
    which: gr.HTML  # of the pictures to look at
    viewer: Viewer
    table: gr.HTML
    details: gr.HTML
    elsewhere: gr.Accordion
    command: gr.Textbox
    script: gr.Textbox

    @property
    def components(self) -> list[Block]:
        """Returns all that `show` and `clear` change."""
        above = [
            self.note,
            self.made_of,
            self.verdict,
            *self.blind.components,
            *self.offered,
            self.which,
            self.viewer,
        ]
        return [*above, self.table, self.details, self.elsewhere, self.command, self.script]

    def show(self, comparison: Comparison, report: Report, url: str) -> Run[Update]:
        """Returns what the page at that URL shows of a report."""
        seen = {row.picture for row in report.rows if row.error is None}
        pictures = [number for number, picture in enumerate(comparison.pictures) if picture.picture in seen]
        view = View([])
        if pictures:
            making = kept_files.make_view(comparison, report, comparison.pictures[pictures[0]], ranked=True)
            view = yield from prefix_notes(making, "preparing the viewer: ")
        files = yield from kept_files.write_downloads(comparison, report)
        names = [picture.name for picture in comparison.pictures]
        plan = comparison.plan
        return {
            self.note: "",
            self.made_of: _identify(
                [each.path for each in comparison.pictures], plan.protocol, plan.scale, plan.kernel
            ),
            self.verdict: results.render_verdict(report.rows),
            **self.blind.clear(),
            **self.blind.offer(report),
            **self.offer_files(files),
            self.which: _offer_pictures(comparison, pictures),
            self.viewer: view if pictures else None,
            self.table: results.render_table(report.rows, report.protocol, report.kernel, running=False),
            self.details: results.render_details(report.rows, report.protocol, report.kernel),
            self.elsewhere: gr.Accordion(visible=True),
            self.command: report.command,
            self.script: write_client_script(url, names, comparison.plan),
        }

    @property
    def offered(self) -> list[Block]:
        """Returns what `offer_files` changes."""
        return [self.files, *self.downloads.values(), *(self.share.components if self.share else [])]

    def offer_files(self, files: Mapping[str, Path]) -> Update:
        """Returns what offers these files to download."""
        buttons: Update = {button: gr.DownloadButton(value=str(files[kind])) for kind, button in self.downloads.items()}
        return {self.files: gr.Column(visible=True), **buttons, **(self.share.offer() if self.share else {})}

    def clear(self) -> Update:
        """The same components without anything to show."""
        return {
            self.note: "",
            self.made_of: "",
            self.verdict: "",
            **self.blind.clear(),
            self.files: gr.Column(visible=False),
            self.which: "",
            self.viewer: None,
            self.table: "",
            self.details: "",
            self.elsewhere: gr.Accordion(visible=False),
            self.command: "",
            self.script: "",
        }


def place_results(example: Path) -> ComparisonResults:
    """Puts the components into the page being built, with the comparison that was made beforehand.

    `example` is the path by which the page's field knows the image that it is of.
    """
    ready = read_ready_comparison()
    rows, by, kernel = ready.report.rows, ready.report.protocol, ready.report.kernel
    note = gr.HTML("", elem_classes="at-times")
    made_of = gr.Textbox(_identify([example], by, ready.report.scale, kernel), visible=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            verdict = results.place_panel(results.render_verdict(rows, ABOUT_READY), "compare-verdict")
            with gr.Row(elem_classes="blind-start") as place:
                start = gr.Button("Blind test", elem_id="blind-test", scale=0, min_width=160)
                about = html.aside("Judge for yourself, without knowing which model is which.")
                gr.HTML(about, elem_classes="blind-about")
        with gr.Column(scale=1, min_width=260, visible=False) as files:
            gr.HTML(html.aside("Download the report"))
            with gr.Row(elem_classes="downloads"):
                downloads = {kind: gr.DownloadButton(kind, size="md", min_width=80) for kind in DOWNLOAD_KINDS}
            share = place_share_button("comparison", "this comparison")
    if share is not None:
        share.place_panel()
    outcome = results.place_panel(elem_id="blind-outcome", elem_classes="at-times")
    add = gr.Button("Add to the report", visible=False, size="sm", elem_classes="apart")
    blind = BlindTestParts(place, start, BlindTestWindow(), gr.State(None), outcome, add)
    which = place_thumbnails()
    viewer = Viewer(ready.view)
    table = results.place_panel(results.render_table(rows, by, kernel, running=False))
    details = results.place_panel(results.render_details(rows, by, kernel))
    with gr.Accordion("Repeat this comparison elsewhere", open=False, visible=False) as elsewhere:
        command = gr.Textbox(label="Command line", elem_id="command", buttons=["copy"], interactive=False, lines=2)
        script = gr.Textbox(
            label="Python, with this page's API", elem_id="script", buttons=["copy"], interactive=False, lines=8
        )
    return ComparisonResults(
        note,
        made_of,
        verdict,
        blind,
        files,
        downloads,
        share,
        which,
        viewer,
        table,
        details,
        elsewhere,
        command,
        script,
    )


def _identify(pictures: Sequence[Path], protocol: str, scale: int, kernel: str) -> str:
    """What results are of, as JSON."""
    return json.dumps({"images": [*map(str, pictures)], "protocol": protocol, "scale": f"x{scale}", "kernel": kernel})


def tell_whose(made_of: str, pictures: Sequence[Path], protocol: str, scale: str, kernel: str) -> str:
    """Returns whose results are shown, where they are not of what is chosen now; else ""."""
    if not made_of:
        return ""
    known, by = json.loads(made_of), find_protocol(protocol)
    same_scale = by.fixed_scale is not None or scale == known["scale"]
    same_kernel = not by.shrinks or kernel == known["kernel"]
    if [*map(str, pictures)] == known["images"] and protocol == known["protocol"] and same_scale and same_kernel:
        return ""
    names = [Path(path).name for path in known["images"]]
    of = names[0] if len(names) == 1 else f"{len(names)} images"
    what = f"Results of {of} at {known['scale']}. Press Compare for what is chosen now."
    return f'<p class="about whose">{escape(what)}</p>'


def _offer_pictures(comparison: Comparison, numbers: Sequence[int]) -> str:
    """The thumbnails to choose from; none of a single picture. They are of the small ones, which are read quickly."""
    if len(numbers) < 2:
        return ""
    read = [(number, comparison.outputs.small(comparison.pictures[number])) for number in numbers]
    return render_thumbnails(
        (comparison.pictures[number].name, number, small) for number, small in read if small is not None
    )


def write_client_script(url: str, pictures: Sequence[str], plan: Plan) -> str:
    """Python that asks the page at that URL for the same comparison of each picture."""
    models = [each.key for each in plan.contenders if not each.is_chain]
    chains = [each.key for each in plan.contenders if each.is_chain]
    return "\n".join(
        [
            "from gradio_client import Client, handle_file",
            "",
            f"client = Client({url!r})",
            f"for name in {list(pictures)!r}:",
            "    report = client.predict(",
            "        image=handle_file(name),",
            f"        protocol={plan.protocol!r}, scale='x{plan.scale}', kernel={plan.kernel!r},",
            f"        models={models!r},",
            f"        stages={chains!r},",
            "        api_name='/benchmark',",
            "    )",
            "    print(name, report['verdict'])",
        ]
    )
