"""The verdict and the summary as text to put elsewhere: Markdown for a page or an issue, LaTeX for a paper."""

import re
from collections.abc import Callable

from pipelines.measuring.conclusions import conclude
from pipelines.measuring.protocols import PROTOCOLS, describe_conditions
from pipelines.measuring.statistics import select_comparable
from pipelines.report.model import Report
from pipelines.report.preferences import describe_agreement, make_preference_table
from pipelines.report.summary_table import count_pictures, make_summary_table
from pipelines.report.table import Column, Line, Table

LEGEND = "Bold is the best, – not available, ∞ identical."
TITLE = "Which upscaler is best at x"
BEGINS_MARKDOWN, BEGINS_LATEX = f"# {TITLE}", f"% {TITLE}"
LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "∞": r"$\infty$", "–": "--", "≤": r"$\leq$", "→": r"$\to$",
}  # fmt: skip


def to_markdown(report: Report) -> bytes:
    """The verdict, the summary's main columns, a blind test where there was one, and the command, as Markdown."""
    found = conclude(report.rows)
    claims = [each.sentence for each in (found.verdicts.closest, found.verdicts.natural) if each]
    blocks = [f"{BEGINS_MARKDOWN}{report.scale}?", *map(_escape_markdown, (*claims, *found.verdicts.remarks))]
    table, count = _main_columns(_summary(report)), count_pictures(report.rows)
    images = f"{count} image{'' if count == 1 else 's'}."
    blocks += [_markdown_table(table), f"{images} {_conditions(report)} {LEGEND}"]
    preference = make_preference_table(report)
    if preference:
        blocks += ["## Blind test", _markdown_table(preference), describe_agreement(report)]
    blocks.append(_code(report.command))
    return ("\n\n".join(filter(None, blocks)) + "\n").encode(errors="replace")


def to_latex(report: Report) -> bytes:
    """The summary's main columns as a table of LaTeX with booktabs, the conditions in its caption."""
    table = _main_columns(_summary(report))
    heads = _heads(table)
    lines = [
        f"{BEGINS_LATEX}{report.scale}? Needs \\usepackage{{booktabs}}.",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_escape_latex(f'{table.title} at x{report.scale}. {_conditions(report)} {LEGEND}')}}}",
        f"  \\begin{{tabular}}{{{''.join('r' if head != table.first else 'l' for head in heads)}}}",
        r"    \toprule",
        f"    {' & '.join(map(_escape_latex, heads))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(_texts(line, table, _bold_latex, _escape_latex))} \\\\" for line in table.lines),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return ("\n".join(lines) + "\n").encode(errors="replace")


def is_markdown(beginning: bytes) -> bool:
    """Returns whether a file that begins so is what `to_markdown` writes."""
    return beginning.startswith(BEGINS_MARKDOWN.encode())


def is_latex(beginning: bytes) -> bool:
    """Returns whether a file that begins so is what `to_latex` writes."""
    return beginning.startswith(BEGINS_LATEX.encode())


def _summary(report: Report) -> Table:
    return make_summary_table(select_comparable(report.rows), conclude(report.rows).compared)


def _main_columns(table: Table) -> Table:
    shown = [index for index, column in enumerate(table.columns) if column.main]
    lines = tuple(Line(line.name, tuple(line.cells[index] for index in shown), line.rank) for line in table.lines)
    return Table(table.title, table.first, tuple(table.columns[index] for index in shown), lines)


def _conditions(report: Report) -> str:
    protocol = next((each for each in PROTOCOLS if each.key == report.protocol), None)
    return describe_conditions(protocol, report.kernel)


def _heads(table: Table) -> list[str]:
    ranked = ["Rank"] if table.is_ranked else []
    return [*ranked, table.first, *(_head(column) for column in table.columns)]


def _head(column: Column) -> str:
    return f"{column.name} {column.arrow}".strip()


def _texts(line: Line, table: Table, bold: Callable[[str], str], escape: Callable[[str], str]) -> list[str]:
    ranked = ["–" if line.rank is None else str(line.rank)] if table.is_ranked else []
    cells = [bold(escape(cell.text)) if cell.best else escape(cell.text) for cell in line.cells]
    return [*(escape(each) for each in ranked), escape(line.name), *cells]


def _markdown_table(table: Table) -> str:
    heads = _heads(table)
    below = [":-" if head == table.first else "-:" for head in heads]
    lines = [_texts(line, table, "**{}**".format, _escape_markdown) for line in table.lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([*map(_escape_markdown, heads)], below, *lines))


def _escape_markdown(text: str) -> str:
    """A text of one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """A block of code that holds the text, whatever ticks are in it."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _bold_latex(text: str) -> str:
    return f"\\textbf{{{text}}}"


def _escape_latex(text: str) -> str:
    return "".join(LATEX_SIGNS.get(sign, sign) for sign in " ".join(text.split()))
