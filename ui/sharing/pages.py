"""A shared page's files: its HTML, the viewer with its tiles, and the card that stands for it elsewhere.

A page has all of it in its own files, so that it looks the same however this program changes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from markupsafe import Markup

from pipelines.measuring.run import Subject, conclude
from pipelines.report import report as reports
from pipelines.report.report import Report
from pipelines.runs import Run, prefix_notes
from ui.examples import STATIC
from ui.jobs import kept_files
from ui.jobs.kept_files import Comparison
from ui.sharing import store
from ui.sharing.card import draw_card
from ui.sharing.store import Page, Place
from ui.widgets.results import render
from ui.widgets.viewer import VIEWER_FILES, View, WholeFile, describe_view, list_layers, viewer_script

SHARED = STATIC / "shared"
SCRIPT, STYLE = "page.js", "page.css"

Files = dict[str, bytes | Path]
MakeView = Callable[[Comparison, Report, Subject], Run[View]]


def make_result_page(place: Place, view: View, name: str, facts: str) -> Page:
    """Returns the page of one result for that place; `name` says what it is: "Swift x4", `facts` are the page's, as
    HTML. Raises OSError where a tile is gone.
    """
    files, top = _make_top(place, {"": view})
    title = f"{name}: before and after"
    values = {"title": title, "facts": Markup(facts), "top": top, "head": _make_head(place)}
    files[store.INDEX] = render("shared_result.html", **values).encode()
    width, height = view.size or (0, 0)
    return Page(files, title, f"An image upscaled to {width} × {height} pixels by {name}. Compare them closely.")


def make_comparison_page(
    place: Place, comparison: Comparison, found: Report, make_view: MakeView | None = None
) -> Run[Page]:
    """Returns the page of a comparison for that place: its report, and the viewer for the images that the report shows.

    Raises FileNotFoundError where nothing of it is kept any more.
    """
    views, make_view = dict[str, View](), make_view or partial(kept_files.make_view, ranked=True)
    for subject in reports.choose_subjects(comparison.outputs.pictures, found.rows):
        view = yield from prefix_notes(make_view(comparison, found, subject), f"{subject.name}: ")
        if view.panes:
            views[subject.name] = view
    if not views:
        raise FileNotFoundError("the results are gone")
    files, top = _make_top(place, views)
    sections = list(reports.read_kept_sections(found, comparison.outputs))
    files[store.INDEX] = reports.to_html(found, sections, reports.Around(_make_head(place), top, policy=""))
    return Page(files, f"Which upscaler is best at x{found.scale}?", conclude(found.rows).verdict)


def _make_head(place: Place) -> Markup:
    return Markup(render("shared_head.html", id=place.id, style=STYLE, script=SCRIPT))


def _make_top(place: Place, views: Mapping[str, View]) -> tuple[Files, Markup]:
    """Returns the files of the viewer and the card, and the HTML that shows the views."""
    files: Files = {store.CARD: draw_card(next(iter(views.values())))}
    values = []
    for number, view in enumerate(views.values()):
        names: dict[Path, str] = {}
        for layer_number, layer in enumerate(list_layers(view)):
            folder = f"{number}-{layer_number}"
            paths = [layer.path] if isinstance(layer, WholeFile) else [*layer.files()]
            names |= {path: f"{folder}/{path.name}" for path in paths}
        files |= {name: path for path, name in names.items()}
        shared = replace(view, source="")  # no path of this server leaves it
        values.append(describe_view(shared, partial(_address, place, names)))
    styles = "\n".join((VIEWER_FILES / f"{name}.css").read_text() for name in ("viewer", "stage"))
    files[STYLE] = f"{(SHARED / STYLE).read_text()}\n.shared-viewer {{\n{styles}\n}}\n".encode()
    files[SCRIPT] = f"({viewer_script()})();\n{(SHARED / SCRIPT).read_text()}".encode()
    top = render(
        "shared_top.html",
        last_day=f"{place.last_day:%d %B %Y}".lstrip("0"),
        names=[*views],
        views=Markup(json.dumps(values).replace("<", "\\u003c")),
        viewer=Markup((VIEWER_FILES / "viewer.html").read_text()),
    )
    return files, Markup(top)


def _address(place: Place, names: Mapping[Path, str], path: Path) -> dict[str, str]:
    """Where the browser finds a file, from the page's own address."""
    return {"url": f"{place.id}/{names[path]}"}
