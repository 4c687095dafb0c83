"""The files of a comparison that the page keeps: results to look at, tiles of them, and what can be downloaded."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.files import write_whole
from pipelines.images import door as images
from pipelines.images.door import CONSISTENCY_LEVELS, ERROR_LEVELS, Pixels8, Pyramid, to_uint8
from pipelines.measuring.run import Plan, Row, Subject, conclude, title_of
from pipelines.phrasing import format_duration
from pipelines.report import report as reports
from pipelines.report.report import Outputs, Report
from pipelines.runs import Run, Step, prefix_notes
from ui.widgets.viewer import Pane, View, tiles_folder

REPORT_FILE = "report.json"
DOWNLOAD_KINDS = ("HTML", "JSON", "CSV", "Markdown", "LaTeX", "ZIP")
SUFFIXES = {"Markdown": "md", "LaTeX": "tex"}  # where it is not the kind itself


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What there is of one picture: the original if it is known, and what reads each model's result, of one size."""

    original: Pixels8 | None
    models: Mapping[str, Callable[[], Pixels8]]
    icc: bytes | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison that a visitor asked for, with the folder of its report, its pictures and its results."""

    plan: Plan
    pictures: tuple[Subject, ...]
    folder: Path

    @property
    def outputs(self) -> Outputs:
        """Its pictures and results."""
        return Outputs(self.folder, self.pictures, self.plan.scale)


def read_results(comparison: Comparison, found: Report, picture: Subject) -> Results:
    """The results of one of the pictures, as far as they were kept."""
    outputs = comparison.outputs
    models = {row.model: load for row, load in outputs.results(picture, found.rows).items()}
    return Results(outputs.original(picture), models, outputs.profile(picture))


def report_so_far(comparison: Comparison) -> Report | None:
    """The report with the rows that are finished; None before the first one."""
    path = comparison.folder / REPORT_FILE
    return reports.from_json(path.read_bytes(), path.name) if path.is_file() else None


def make_view(comparison: Comparison, found: Report, picture: Subject, ranked: bool = False) -> Run[View]:
    """The viewer's value for one of the pictures: original, small picture, and every result with its errors.

    Results are in the order of the rows, or of the verdict: the winner is beside the original then.
    """
    outputs = comparison.outputs
    rows = outputs.results(picture, found.rows)
    if ranked and (ranking := conclude(found.rows).verdicts.ranking) is not None:
        ranks = ranking.ranks
        rows = dict(sorted(rows.items(), key=lambda each: ranks.get(each[0].model, len(ranks) + 1)))
    original, small = outputs.original(picture), outputs.small(picture)
    if small is None or not rows:
        return View([])
    icc = outputs.profile(picture)
    panes = []
    if original is not None:
        panes.append(Pane("Original", describe_size(original), (yield from write_tiles(original, icc))))
    for row, load in rows.items():
        name = title_of(row.model)
        layers = yield from prefix_notes(_make_layers(load(), original, small, comparison.plan.scale, icc), f"{name}, ")
        panes.append(Pane(name, _describe_row(row), *layers))
    panes.append(Pane("Small image", describe_size(small), (yield from write_tiles(small, icc))))
    boxes = reports.choose_places(original, list(rows.values()), comparison.plan.scale)
    places = [(box.x, box.y, box.side, box.side) for box in boxes]
    return View(panes, None if original is None else 0, places, open_at=0)


def write_downloads(comparison: Comparison, found: Report) -> Run[dict[str, Path]]:
    """The files to download, by DOWNLOAD_KINDS; the ZIP has every result as a PNG, and all the others."""
    folder, outputs = comparison.folder, comparison.outputs
    *kinds, archive = DOWNLOAD_KINDS
    files = {kind: folder / f"report.{SUFFIXES.get(kind, kind.lower())}" for kind in kinds}
    archive_file = folder / "comparison.zip"
    yield Step(0, 3, "writing the report")
    write_whole(files["JSON"], reports.to_json(found))
    write_whole(files["CSV"], reports.to_csv(found))
    write_whole(files["Markdown"], reports.to_markdown(found))
    write_whole(files["LaTeX"], reports.to_latex(found))
    yield Step(1, 3, "writing the report")
    write_whole(files["HTML"], reports.to_html(found, list(reports.read_kept_sections(found, outputs))))
    yield Step(2, 3, "writing the report")
    _write_archive([*files.values(), *outputs.files()], archive_file)
    return files | {archive: archive_file}


def write_tiles(pixels: Pixels8, icc: bytes | None = None) -> Run[Pyramid]:
    """The picture as the viewer takes it, with its ICC profile."""
    return (yield from images.write_pyramid(pixels, tiles_folder(), icc))


def describe_size(pixels: Pixels8) -> str:
    """A picture's size to read."""
    return f"{pixels.shape[1]} × {pixels.shape[0]}"


def _write_archive(files: Sequence[Path], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, file.name)


def _make_layers(
    pixels: Pixels8, original: Pixels8 | None, small: Pixels8, scale: int, icc: bytes | None
) -> Run[tuple[Pyramid, Pyramid | None, Pyramid]]:
    """A result as the viewer shows it: itself, its error, and its consistency error at the small picture's size."""
    picture = yield from write_tiles(pixels, icc)
    error = None if original is None else (yield from write_tiles(images.compute_heat(pixels, original, ERROR_LEVELS)))
    floats = np.divide(pixels, np.float32(255), dtype=np.float32)
    shrunk = to_uint8((yield from images.shrink(floats, scale, "bicubic")))
    consistency = yield from write_tiles(images.compute_heat(shrunk, small, CONSISTENCY_LEVELS))
    return picture, error, consistency


def _describe_row(row: Row) -> str:
    """Returns how a result did, in a few words."""
    consistency = row.scores["consistency_psnr"] if row.scores["mse"] is None else None
    scores = {"PSNR Y": row.scores["psnr_y"], "consistency": consistency}
    texts = [f"{name} {score:.2f} dB" for name, score in scores.items() if score is not None]
    return ", ".join([*texts, *([] if row.seconds is None else [format_duration(row.seconds)])])
