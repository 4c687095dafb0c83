"""All that there is to see of a comparison: the table, the viewer, details, files, and how to measure it elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from pipelines.measuring.run import Plan
from pipelines.report.report import Report
from pipelines.runs import Run, prefix_notes
from ui.jobs import kept_files
from ui.jobs.kept_files import Comparison
from ui.jobs.run_button import Update
from ui.widgets import results
from ui.widgets.viewer import View, Viewer

DOWNLOAD_KINDS = ("JSON", "CSV", "HTML", "ZIP")


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """The components, from the top of the page down."""

    table: gr.HTML
    which: gr.Dropdown  # of the pictures, to look at
    viewer: Viewer
    details: gr.HTML
    files: gr.Row
    downloads: Mapping[str, gr.DownloadButton]  # by DOWNLOAD_KINDS
    elsewhere: gr.Accordion
    command: gr.Textbox
    script: gr.Textbox

    @property
    def components(self) -> list[Block]:
        """Returns all that `show` and `clear` change."""
        above = [self.table, self.which, self.viewer, self.details, self.files]
        return [*above, *self.downloads.values(), self.elsewhere, self.command, self.script]

    def show(self, comparison: Comparison, report: Report, url: str) -> Run[Update]:
        """Returns what the page at that URL shows of a report."""
        seen = {row.picture for row in report.rows if row.error is None}
        pictures = [
            (picture.name, number) for number, picture in enumerate(comparison.pictures) if picture.picture in seen
        ]
        view = View([])
        if pictures:
            making = kept_files.make_view(comparison, report, comparison.pictures[pictures[0][1]])
            view = yield from prefix_notes(making, "to look at: ")
        files = yield from kept_files.write_downloads(comparison, report)
        names = [picture.name for picture in comparison.pictures]
        return {
            self.table: results.render_results(report.rows, report.protocol, report.kernel, running=False),
            self.which: gr.Dropdown(pictures, value=pictures[0][1] if pictures else None, visible=len(pictures) > 1),
            self.viewer: view if pictures else None,
            self.details: results.render_details(report.rows, report.protocol, report.kernel),
            self.files: gr.Row(visible=True),
            **{button: gr.DownloadButton(value=str(files[kind])) for kind, button in self.downloads.items()},
            self.elsewhere: gr.Accordion(visible=True),
            self.command: report.command,
            self.script: write_client_script(url, names, comparison.plan),
        }

    def clear(self) -> Update:
        """The same components without anything to show."""
        return {
            self.table: "",
            self.which: gr.Dropdown(visible=False),
            self.viewer: None,
            self.details: "",
            self.files: gr.Row(visible=False),
            self.elsewhere: gr.Accordion(visible=False),
            self.command: "",
            self.script: "",
        }


def place_results() -> ComparisonResults:
    """Puts the components into the page being built."""
    table = results.place_panel()
    which = gr.Dropdown([], label="Picture to look at", visible=False, filterable=False)
    viewer, details = Viewer(), results.place_panel()
    with gr.Row(visible=False) as files:
        downloads = {kind: gr.DownloadButton(f"Download {kind}", size="sm") for kind in DOWNLOAD_KINDS}
    with gr.Accordion("Measure the same elsewhere", open=False, visible=False) as elsewhere:
        command = gr.Textbox(label="Command line", elem_id="command", buttons=["copy"], interactive=False, lines=2)
        script = gr.Textbox(
            label="Python, by this page's API", elem_id="script", buttons=["copy"], interactive=False, lines=8
        )
    return ComparisonResults(table, which, viewer, details, files, downloads, elsewhere, command, script)


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
