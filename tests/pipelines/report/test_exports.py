"""The summary as Markdown and LaTeX: what a reader pastes elsewhere, whatever signs are in it."""

import re

import pytest

from pipelines.report.exports import is_latex, is_markdown
from pipelines.report.report import to_latex, to_markdown
from tests.support.rows import report_of, row, several

REPORT = report_of([
    row("bicubic", psnr_y=30.0, ssim_y=0.9, lpips=0.3, seconds=0.004, mse=9.0),
    row("swift", psnr_y=33.126, ssim_y=0.95, lpips=0.2, seconds=0.1, mse=5.0),
    row("nearest", psnr_y=None, mse_y=0.0, lpips=0.25, seconds=0.001, mse=0.0),
    row("edsr", error="No room."),
])  # fmt: skip


def test_markdown_has_both_verdicts_the_main_columns_and_the_command() -> None:
    text = to_markdown(REPORT).decode()
    assert text.startswith("# Which upscaler is best at x2?\n\nClosest to the original at x2: Nearest neighbour, ")
    assert "\n\nMost natural (LPIPS): Swift, 0.20 against 0.25 for Nearest neighbour, 0.10 s.\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table == [
        "| Rank | Model | PSNR Y, dB ↑ | SSIM Y ↑ | LPIPS ↓ | Time, ms ↓ |",
        "| -: | :- | -: | -: | -: | -: |",
        "| 1 | Nearest neighbour | **∞** | – | 0.2500 | **1** |",
        "| 2 | Swift | 33.13 | **0.9500** | **0.2000** | 100 |",
        "| 3 | Bicubic | 30.00 | 0.9000 | 0.3000 | 4 |",
        "| – | EDSR | – | – | – | – |",
    ]
    assert "1 image. Shrunk by bicubic (antialiased bicubic, as MATLAB's imresize)." in text
    assert text.endswith("```\npython -m pipelines benchmark one.png --scale 2\n```\n")
    assert is_markdown(to_markdown(REPORT)) and not is_markdown(to_latex(REPORT))


def test_latex_has_the_table_with_its_conditions() -> None:
    text = to_latex(REPORT).decode()
    assert "    1 & Nearest neighbour & \\textbf{$\\infty$} & -- & 0.2500 & \\textbf{1} \\\\\n" in text
    assert "Rank & Model & PSNR Y, dB $\\uparrow$ & SSIM Y $\\uparrow$ & LPIPS $\\downarrow$ & Time, ms" in text
    assert "\\begin{tabular}{rlrrrr}" in text and "\\usepackage{booktabs}" in text.splitlines()[0]
    assert "Shrunk by bicubic (antialiased bicubic" in text
    for opened, closed in (("\\begin{", "\\end{"), ("{", "}")):
        assert text.count(opened) == text.count(closed)
    assert len({line.count("&") for line in text.splitlines() if line.endswith("\\\\")}) == 1
    assert is_latex(to_latex(REPORT)) and not is_latex(to_markdown(REPORT))


@pytest.mark.parametrize("name", ["a|b/c.pth", "a_b/`c`.pth", "50%/$x#{}~^\\.pth", "a\nb/<script>.pth", "\udcff/x.pth"])
def test_names_from_outside_stay_in_their_cell(name: str) -> None:
    report = report_of([row(name, psnr_y=30.0), row("bicubic", psnr_y=29.0)], kernel="a|b_c", command=f"run `{name}```")
    markdown, latex = to_markdown(report).decode(), to_latex(report).decode()
    table = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert len(table) == 4 and {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
    assert "<script" not in re.sub(r"\\<", "", markdown.split("```")[0])
    row_of = [line for line in latex.splitlines() if line.endswith(" \\\\")]
    assert len(row_of) == 3 and {len(re.findall(r"(?<!\\)&", line)) for line in row_of} == {3}
    assert not re.search(r"(?<!\\)[#$_%](?!.*booktabs)", re.sub(r"\$\\\w+\$", "", "\n".join(row_of)))


def test_several_images_are_means() -> None:
    report = report_of([*several("bicubic", [30.0, 31.0]), *several("swift", [32.0, 33.0])])
    assert "| 1 | Swift | **32.50** |" in to_markdown(report).decode()
    assert "All models, means over 2 images at x2. Shrunk by" in to_latex(report).decode()


def test_a_report_of_nothing_can_be_written() -> None:
    for write in (to_markdown, to_latex):
        assert b"Nothing was scored." in write(report_of([])) or write is to_latex
