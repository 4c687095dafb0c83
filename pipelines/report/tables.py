"""What a benchmark's rows say beside the summary, as tables: the same for the report and the page, which draw them."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import prod
from operator import mul
from statistics import median
from typing import TypeVar

from pipelines.measuring.columns import as_columns
from pipelines.measuring.conclusions import conclude
from pipelines.measuring.contenders import title_of
from pipelines.measuring.evidence import format_difference
from pipelines.measuring.metrics.scores import METRICS, find_metric, is_no_news
from pipelines.measuring.rows import PictureKey, Row
from pipelines.measuring.significance import Lead, Pair
from pipelines.measuring.statistics import Summary
from pipelines.phrasing import format_number, simplify_note
from pipelines.report.crops import PictureSection
from pipelines.report.summary_table import list_measured
from pipelines.report.table import Cell, Column, Line, Table, format_times, mark_best, metric_column

T = TypeVar("T")

NOT_APART = "not significant"
MOST_LISTED = 200  # pictures, or notes, in a report that is to be read
TOO_FEW = "too few images"
CHANCE = "How likely a difference this one-sided is by chance, corrected for the number of comparisons."


def make_pair_tables(rows: Sequence[Row]) -> list[Table]:
    """Shows the best against each other contender, a table for each verdict; none for a single picture."""
    tables = []
    for lead in conclude(rows).leads:
        metric = find_metric(lead.metric)
        if metric.says in ("closeness", "naturalness"):
            about = f"{metric.name} of the first minus that of the second, averaged over the images."
            columns = (
                Column(f"Difference, {metric.unit}".rstrip(", "), about=about),
                Column("Better on", about="On how many images the first is better."),
                Column("p", about=CHANCE),
                Column("Result"),
            )
            lines = tuple(_pair(pair, lead) for pair in lead.pairs)
            title = f"{metric.name}: {title_of(lead.best)} against each of the others"
            tables.append(Table(title, "Models", columns, lines))
    return tables


def describe_pairs(rows: Sequence[Row]) -> str:
    """Says in a few words what `make_pair_tables` shows: "PSNR Y: significant for 7 of 8"."""
    found = []
    for lead in conclude(rows).leads:
        metric = find_metric(lead.metric)
        if metric.says in ("closeness", "naturalness"):
            clear = sum(pair.distinguishable for pair in lead.pairs)
            told = f"significant for {clear} of {len(lead.pairs)}"
            few = f"too few images to say ({lead.images_needed} needed)"
            found.append(f"{metric.name}: {told if lead.is_testable else few}")
    return "; ".join(found)


def make_picture_tables(rows: Sequence[Row]) -> list[Table]:
    """The scores of each picture, a table for each main metric that was measured; none for a single picture.

    Of more than MOST_LISTED pictures so many are shown, evenly chosen.
    """
    columns = as_columns(rows)
    every, models = columns.pictures, columns.models
    if len(every) < 2:
        return []
    places = choose_evenly(range(len(every)))
    which = "each image" if len(places) == len(every) else f"{len(places)} of {len(every)} images"
    tables = []
    for metric in list_measured(columns):
        if metric.main:
            lines, grid = [], columns.grid(columns.scores(metric.key))
            for place in places:
                scores = [None if math.isnan(score) else score for score in grid[:, place].tolist()]
                texts = [format_number(value, metric.digits) for value in scores]
                best = mark_best(scores, texts, metric.higher_is_better)
                cells = tuple(Cell(*each) for each in zip(texts, scores, best, strict=True))
                lines.append(Line(every[place][0], cells))
            column = metric_column(metric)
            title = f"{column.name} {column.arrow} of {which}"
            tables.append(Table(title, "Image", tuple(Column(title_of(each)) for each in models), tuple(lines)))
    return tables


def choose_evenly(items: Sequence[T]) -> list[T]:
    """Returns the items; of more than MOST_LISTED so many of them, evenly spread, the first and the last among them."""
    if len(items) <= MOST_LISTED:
        return list(items)
    return [items[round(number * (len(items) - 1) / (MOST_LISTED - 1))] for number in range(MOST_LISTED)]


def list_failures(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Lists who failed on which pictures and why: once, however many pictures or models it is the same for."""
    columns = as_columns(rows)
    methods, failed = len(columns.models), columns.select(columns.failed)
    errors: dict[PictureKey, list[str | None]] = {}
    for row in failed:
        errors.setdefault(row.picture, []).append(row.error)
    pictures: dict[tuple[str, str], dict[PictureKey, None]] = {}
    for row in failed:
        everyone = methods > 1 and errors[row.picture] == [row.error] * methods
        who = "Every model" if everyone else title_of(row.model)
        pictures.setdefault((who, row.error or ""), {})[row.picture] = None
    return [
        (who, next(iter(failing))[0] if len(failing) == 1 else f"{len(failing)} images", error)
        for (who, error), failing in pictures.items()
    ]


def make_chain_table(rows: Sequence[Row], pictures: Sequence[PictureSection]) -> Table | None:
    """Each stage's size and time. Sizes are those of the first picture shown, or else shares of the original's side."""
    found, medians = list[tuple[str, Cell, Cell]](), list[float | None]()
    for model, own in as_columns(rows).of_each_model().items():
        stages = own[0].stages or ()
        factors = [int(stage.rpartition(":")[2]) for stage in stages]
        grown = list(accumulate(factors, mul, initial=1))
        times = [row.stage_seconds for row in own if row.stage_seconds] if stages else []
        for index, stage in enumerate(stages):
            sizes = " → ".join(_size(step, prod(factors), pictures) for step in grown[index : index + 2])
            medians.append(median(each[index] for each in times) if times else None)
            found.append((title_of(model), Cell(title_of(stage)), Cell(sizes)))
    if not found:
        return None
    unit, texts = format_times(medians)
    of = f"on {pictures[0].name}" if pictures else "of the original's side"
    columns = (Column("Stage"), Column(f"Size, {of}"), Column(f"Time, {unit}"))
    times_of = zip(found, texts, medians, strict=True)
    lines = tuple(Line(name, (stage, size, Cell(text, time))) for (name, stage, size), text, time in times_of)
    return Table("The stages of the chains", "Model", columns, lines)


def list_notes(rows: Sequence[Row], entries: Sequence[Summary]) -> list[tuple[str, str]]:
    """Lists each note once, in plain words, with whom it is about; `entries` are what `summarise` made of the rows."""
    about: dict[str, dict[str, None]] = {}
    columns = as_columns(rows)
    for model, _, notes in columns.said:
        for note in notes:
            about.setdefault(note, {})[title_of(model)] = None
    for entry in entries:
        for note in entry.notes:
            about.setdefault(note, {})[title_of(entry.model)] = None
    methods = len(columns.models)
    found = [
        ("Every model" if len(models) == methods > 1 else ", ".join(models), told)
        for note, models in about.items()
        if not is_no_news(note) and (told := simplify_note(_without_key(note)))
    ]
    return choose_evenly(found)


def _without_key(note: str) -> str:
    """A note that begins with the key of the metric that it is about, without that: it is a sentence by itself."""
    return next((note.removeprefix(f"{each.key}: ") for each in METRICS if note.startswith(f"{each.key}: ")), note)


def _pair(pair: Pair, lead: Lead) -> Line:
    metric = find_metric(pair.metric)
    interval = ""
    if pair.low is not None and pair.high is not None:
        ends = (format_difference(end, metric, pair.difference) for end in (pair.low, pair.high))
        interval = " to ".join(ends)
    sign = "+" if pair.difference > 0 else ""
    p = ("< 0.001" if pair.p < 0.001 else format_number(pair.p, 3)) if lead.is_testable else "–"
    return Line(
        f"{title_of(pair.first)} – {title_of(pair.second)}",
        (
            Cell(f"{sign}{format_difference(pair.difference, metric)}", pair.difference, interval=interval),
            Cell(f"{pair.won} of {pair.n}", pair.won),
            Cell(p, pair.p if lead.is_testable else None),
            Cell(_result(pair, lead), float(pair.distinguishable)),
        ),
    )


def _result(pair: Pair, lead: Lead) -> str:
    if not lead.is_testable:
        return TOO_FEW
    if not pair.distinguishable:
        return NOT_APART
    return "significant, but the other way by ranks" if pair.misleads else "significant"


def _size(step: int, whole: int, pictures: Sequence[PictureSection]) -> str:
    if not pictures:
        return str(Fraction(step, whole))
    return f"{pictures[0].small_width * step} × {pictures[0].small_height * step}"
