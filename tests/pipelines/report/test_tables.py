"""What the report's and the page's tables hold."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipelines.measuring.run import METRICS, Row, find_metric, select_comparable, state_verdict, summarise
from pipelines.report import tables
from pipelines.report.charts import draw_charts, shows_looks
from pipelines.report.summary_table import make_metric_columns, make_summary_table
from pipelines.report.table import Cell, Table, format_times
from pipelines.report.tables import NOT_APART, TOO_FEW
from tests.support.rows import row, several, with_scores

BASE = np.linspace(28, 36, 8)
CHAIN = "lapsrn:4,fsrcnn:2"


def summary_of(rows: list[Row]) -> Table:
    return make_summary_table(rows, summarise(rows))


def column(table: Table, name: str) -> list[Cell]:
    place = [column.name for column in table.columns].index(name)
    return [line.cells[place] for line in table.lines]


def test_what_decides_comes_first_and_says_what_it_is() -> None:
    table = summary_of([row("bicubic", mse=9.0, psnr=30.0, psnr_y=31.0, ssim_y=0.9, lpips=0.2)])
    assert table.title == "All models" and table.first == "Model"
    names = [column.name for column in table.columns]
    scores = ["PSNR Y, dB", "SSIM Y", "LPIPS", "Time, ms", "PSNR, dB", "MSE"]
    assert names == [*scores, "Memory, MB", "Parameters", "Weights"]
    assert [column.name for column in table.columns if column.main] == scores[:4]
    assert all(column.about for column in table.columns)
    assert [column.better for column in table.columns[:4]] == ["higher", "higher", "lower", "lower"]
    assert table.columns[0].about == find_metric("psnr_y").about and table.columns[-1].arrow == ""


def test_without_an_original_consistency_is_the_column_to_see() -> None:
    table = summary_of([row("nearest", consistency_psnr=40.0), row("bicubic", consistency_psnr=45.0)])
    assert [column.name for column in table.columns if column.main] == ["Consistency, dB", "Time, ms"]
    assert [line.name for line in table.lines] == ["Bicubic", "Nearest neighbour"] and not table.is_ranked


def test_lines_are_in_the_order_of_the_verdict_with_ranks_and_names() -> None:
    rows = [row("edsr", error="No room."), row("bicubic", psnr_y=30.0), row("real-esrgan-general", psnr_y=28.0)]
    rows += [row("swift", psnr_y=33.0), row("srcnn", psnr_y=32.98)]
    table = summary_of(rows)
    assert [(line.rank, line.name) for line in table.lines] == [
        (1, "Swift"), (1, "SRCNN"), (3, "Bicubic"), (4, "Real-ESRGAN general"), (None, "EDSR")
    ]  # fmt: skip
    assert table.is_ranked and [cell.text for cell in column(table, "PSNR Y, dB")][-1] == "–"


def test_the_best_of_each_column_is_marked_in_its_own_direction() -> None:
    table = summary_of([
        row("a", psnr_y=30.0, lpips=0.2, ssim_y=0.9, seconds=0.1, peak_mb=9.0, params=10),
        row("b", psnr_y=31.0, lpips=0.3, ssim_y=0.9, seconds=2.0, peak_mb=13.0, params=20),
    ])  # fmt: skip
    assert [line.name for line in table.lines] == ["b", "a"]
    assert [cell.best for cell in column(table, "PSNR Y, dB")] == [True, False]
    assert [cell.best for cell in column(table, "LPIPS")] == [False, True]
    assert [cell.best for cell in column(table, "Time, s")] == [False, True]
    assert [cell.best for cell in column(table, "SSIM Y")] == [False, False], "all alike: none is better"
    assert [cell.best for cell in column(table, "Memory, MB")] == [False, False]
    assert [cell.best for cell in column(table, "Parameters")] == [False, False]


def test_what_reads_the_same_as_the_best_is_marked_too() -> None:
    table = summary_of([row(model, psnr_y=psnr) for model, psnr in (("a", 30.001), ("b", 30.0), ("c", 29.0))])
    assert [cell.best for cell in column(table, "PSNR Y, dB")] == [True, True, False]


def test_of_times_the_shortest_is_marked_alone() -> None:
    table = summary_of([row(model, psnr_y=30.0, seconds=seconds) for model, seconds in (("a", 0.0042), ("b", 0.0038))])
    times = column(table, "Time, ms")
    assert [(cell.text, cell.best) for cell in times] == [("3.8", True), ("4.2", False)]


def test_means_over_the_same_pictures_agree_with_the_verdict() -> None:
    """On a flat picture bicubic is perfect, which no mean can take: espcn must not win by its 60 dB there."""
    rows = [*several("bicubic", [30.0, 31.0]), row("bicubic", "2.png", mse_y=0.0), *several("espcn", [29, 30, 60])]
    compared = [replace(each, seconds=1.0) for each in select_comparable(rows)]
    table = summary_of(compared)
    assert table.title == "All models, means over 2 images"
    assert [(cell.text, cell.best) for cell in column(table, "PSNR Y, dB")] == [("30.50", True), ("29.50", False)]
    assert "every model has a finite score: Bicubic, +1.0 dB over ESPCN" in state_verdict(rows)
    (plot,) = draw_charts(compared, summarise(compared))
    assert ">29.5<" in plot and ">50<" not in plot


def test_means_over_other_pictures_are_told_and_none_is_the_best() -> None:
    rows = [*several("a", [30.0, 31.0]), *several("b", [20.0, 29.0, 40.0]), row("a", "2.png", error="No room.")]
    rows = [each if each.error else replace(each, seconds=float(number)) for number, each in enumerate(rows)]
    table = summary_of(rows)
    assert table.title == "All models, each over the images it has a score of"
    for name in ("PSNR Y, dB", "Time, s"):
        assert not any(cell.best for cell in column(table, name))
    assert [cell.detail for cell in column(table, "PSNR Y, dB")] == ["of 2 images", ""]
    assert list(draw_charts(rows, summarise(rows))) == []


def test_a_metric_that_some_lack_on_some_pictures_is_not_compared() -> None:
    rows = [*several("a", [30.0, 31.0]), *several("b", [29.0, 30.0])]
    rows = [with_scores(replace(each, seconds=1.0), lpips=each.scores["psnr_y"]) for each in rows]
    rows[0] = with_scores(rows[0], lpips=None)
    cells = column(summary_of(rows), "LPIPS")
    assert [cell.best for cell in cells] == [False, False] and cells[0].detail == "of 1 image"
    assert len(list(draw_charts(rows, summarise(rows)))) == 1, "time alone"


def test_cells_carry_the_numbers_they_are_sorted_by() -> None:
    rows = [
        row("perfect", mse_y=0.0, seconds=95.0, params=1000, weights_bytes=86_000),
        row("other", psnr_y=30.126, mse_y=63.0, seconds=130.0),
        row("broken", error="No room."),
    ]
    table = summary_of(rows)
    psnr = column(table, "PSNR Y, dB")
    assert [cell.text for cell in psnr] == ["∞", "30.13", "–"]
    assert [cell.value for cell in psnr] == [math.inf, pytest.approx(30.126), None]
    times = column(table, "Time, s")
    assert [(cell.text, cell.value) for cell in times] == [("95.00", 95), ("130.00", 130), ("–", None)]
    assert [(cell.text, cell.value) for cell in column(table, "Weights")][:2] == [("86 kB", 86_000), ("–", None)]


def test_several_pictures_have_means_with_intervals() -> None:
    rows = [*several("bicubic", BASE), *several("lapsrn", BASE + 1)]
    table = summary_of(rows)
    assert table.title == "All models, means over 8 images"
    assert [cell.value for cell in column(table, "Images")] == [8, 8]
    low, high = map(float, column(table, "PSNR Y, dB")[0].interval.split(" to "))
    assert low < 33 < high


def test_a_quick_summary_has_the_same_means_and_no_intervals() -> None:
    rows = [*several("bicubic", BASE), *several("lapsrn", BASE + 1)]
    quick, whole = make_summary_table(rows, summarise(rows, intervals=False)), summary_of(rows)
    for cells, others in zip(column(quick, "PSNR Y, dB"), column(whole, "PSNR Y, dB"), strict=True):
        assert others.interval and replace(others, interval="") == cells


def test_pairs_are_the_best_against_each_other() -> None:
    rows = [*several("bicubic", BASE), *several("lapsrn", BASE + np.linspace(0.7, 0.9, 8))]
    rows += several("espcn", BASE + 0.7 + np.array([0.5, -0.5] * 4))
    (table,) = tables.make_pair_tables(rows)
    assert table.title == "PSNR Y: LapSRN against each of the others"
    assert [line.name for line in table.lines] == ["LapSRN – ESPCN", "LapSRN – Bicubic"]
    assert [cell.text for cell in column(table, "Result")] == [NOT_APART, "significant"]
    difference = column(table, "Difference, dB")[1]
    assert (difference.text, difference.value, difference.interval) == ("+0.8", pytest.approx(0.8), "0.8 to 0.8")
    assert [cell.text for cell in column(table, "Better on")] == ["4 of 8", "8 of 8"]
    assert column(table, "p")[1].text == "0.016"
    assert tables.describe_pairs(rows) == "PSNR Y: significant for 1 of 2"


def test_too_few_images_have_no_p() -> None:
    rows = [*several("bicubic", BASE[:5]), *several("lapsrn", BASE[:5] + 1)]
    rows = [with_scores(each, lpips=0.3 if each.model == "bicubic" else 0.2) for each in rows]
    psnr, lpips = tables.make_pair_tables(rows)
    for table in (psnr, lpips):
        assert [(cell.text, cell.value) for cell in column(table, "p")] == [("–", None)]
        assert [cell.text for cell in column(table, "Result")] == [TOO_FEW]
    assert column(lpips, "Difference")[0].text == "-0.1000" and column(lpips, "Better on")[0].text == "5 of 5"
    few = "too few images to say (6 needed)"
    assert tables.describe_pairs(rows) == f"PSNR Y: {few}; LPIPS: {few}"


def test_a_test_against_the_mean_is_told_of() -> None:
    base = np.linspace(28, 36, 24)
    rows = [*several("bicubic", base), *several("a", base + np.append(np.linspace(-0.6, -0.5, 23), 39.5))]
    (table,) = tables.make_pair_tables(rows)
    assert column(table, "Result")[0].text == "significant, but the other way by ranks"


@pytest.mark.parametrize(
    ("times", "unit", "texts"),
    [
        ([0.0004, 0.0061], "ms", ["0.4", "6.1"]),
        ([0.00001, None], "ms", ["< 0.1", "–"]),
        ([0.0004, 0.01, 0.999], "ms", ["< 1", "10", "999"]),
        ([0.004, 1.0, 95.0], "s", ["< 0.01", "1.00", "95.00"]),
        ([None], "ms", ["–"]),
    ],
)
def test_a_column_of_times_has_one_unit(times: list[float | None], unit: str, texts: list[str]) -> None:
    assert format_times(times) == (unit, texts)


def test_a_single_picture_has_no_tables_of_several() -> None:
    rows = [row("bicubic", psnr_y=30.0), row("lapsrn", psnr_y=31.0)]
    assert tables.make_pair_tables(rows) == tables.make_picture_tables(rows) == []
    assert "Images" not in [column.name for column in summary_of(rows).columns]


def test_picture_by_picture_leaves_what_is_missing_open() -> None:
    rows = [*several("bicubic", [30, 31]), row("lapsrn", "0.png", psnr_y=30.5), row("edsr", "1.png", error="No.")]
    (table,) = tables.make_picture_tables(rows)
    assert table.title == "PSNR Y, dB ↑ of each image"
    assert [column.name for column in table.columns] == ["Bicubic", "LapSRN", "EDSR"]
    assert [[cell.text for cell in line.cells] for line in table.lines] == [
        ["30.00", "30.50", "–"],
        ["31.00", "–", "–"],
    ]
    assert [[cell.best for cell in line.cells] for line in table.lines] == [[False, True, False], [False] * 3]


def test_a_failure_is_told_once() -> None:
    rows = [row("edsr", name, error="No room.") for name in ("1.png", "2.png")]
    rows.append(row(CHAIN, "1.png", error="No network."))
    assert tables.list_failures(rows) == [
        ("EDSR", "2 images", "No room."),
        ("LapSRN x4 then FSRCNN x2", "1.png", "No network."),
    ]


def test_a_picture_that_all_fail_on_is_told_once() -> None:
    rows = [
        row(model, name, error=f"{name} is no picture.") for name in ("1.png", "2.png") for model in ("a", "b", "c")
    ]
    rows += [row(model, name, error="No room.") for name in ("3.png", "4.png") for model in ("a", "b", "c")]
    rows += [row("a", "5.png", error="No room."), row("b", "5.png", error="No room."), row("c", "5.png", psnr_y=30.0)]
    assert tables.list_failures(rows) == [
        ("Every model", "1.png", "1.png is no picture."),
        ("Every model", "2.png", "2.png is no picture."),
        ("Every model", "2 images", "No room."),
        ("a", "5.png", "No room."),
        ("b", "5.png", "No room."),
    ]
    assert tables.list_failures([row("a", error="No room.")]) == [("a", "one.png", "No room.")], "it is the only one"


def test_chains_show_each_stage() -> None:
    assert tables.make_chain_table([row("bicubic")], ()) is None
    table = tables.make_chain_table(
        [row(CHAIN, stage_seconds=(0.5, 0.1)), row(CHAIN, "2.png", stage_seconds=(0.7, 0.1))], ()
    )
    assert table is not None
    assert [[cell.text for cell in line.cells] for line in table.lines] == [
        ["LapSRN x4", "1/8 → 1/2", "600"],
        ["FSRCNN x2", "1/2 → 1", "100"],
    ]


def test_a_note_is_told_once_with_all_whom_it_is_about() -> None:
    rows = [row(model, notes=("In 4 tiles.",)) for model in ("a", "b")] + [row("c", mse_y=0.0)]
    assert tables.list_notes(rows, summarise(rows)) == [
        ("a, b", "In 4 tiles."),
        ("c", "PSNR Y is infinite for 1 image, which the mean leaves out."),
    ]
    lacking = ("lpips: LPIPS is not installed here (244 MB).", "dists: DISTS is not installed here (553 MB).")
    rows = [row(model, notes=lacking) for model in ("a", "b")]
    assert tables.list_notes(rows, summarise(rows)) == [("Every model", "LPIPS is not installed here (244 MB).")]
    found = ("settings: artifacts none", "antialiased: nothing to remove"), ("JPEG 78, soft: artifacts are removed",)
    rows = [row(model, notes=notes) for model, notes in zip("ab", found, strict=True)]
    assert tables.list_notes(rows, summarise(rows)) == [("b", "JPEG artifacts were removed (quality about 78)")]


def test_plots_are_those_that_can_be_had() -> None:
    def titles(**scores: float) -> list[str]:
        rows = [row("a", **scores), row("b", psnr_y=29.0)]
        found = draw_charts(rows, summarise(rows))
        return [plot.partition("<title>")[2].partition("</title>")[0] for plot in found]

    assert titles(psnr_y=30.0) == []
    assert titles(psnr_y=30.0, seconds=0.0) == ["Quality against time"]
    assert titles(psnr_y=30.0, consistency_psnr=40.0) == ["PSNR Y against Consistency"]
    assert titles(psnr_y=30.0, consistency_psnr=40.0, lpips=0.1) == ["PSNR Y against LPIPS"]
    both = [row("a", psnr_y=30.0, lpips=0.1), row("b", psnr_y=29.0, lpips=0.2)]
    assert shows_looks(both) and not shows_looks([row("a", psnr_y=30.0, consistency_psnr=40.0)])
    assert not shows_looks([row("a", lpips=0.1)]), "without closeness there is no plot at all"


def test_metrics_are_named_where_they_were_measured() -> None:
    assert make_metric_columns([row("a")]) == []
    everything = row("a", **{metric.key: 0.5 for metric in METRICS})
    assert [column.about for column in make_metric_columns([everything])] == [metric.about for metric in METRICS]
