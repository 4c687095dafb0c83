"""A blind test's part of a report: the votes, the ranking that follows from them, and how it agrees with the scores."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipelines.errors import BadSetting
from pipelines.measuring.columns import as_columns
from pipelines.measuring.contenders import title_of
from pipelines.measuring.metrics.scores import METRICS, find_metric
from pipelines.measuring.preference import Vote, agreement, rank_preferences
from pipelines.measuring.ranking import rank
from pipelines.phrasing import format_number
from pipelines.report.model import Report
from pipelines.report.table import Cell, Column, Line, Table, count_cell

OUTCOMES = ("first", "second", "same")
AGREES = ((0.6, "matches"), (0.2, "partly matches"), (-0.2, "hardly matches"), (-1.0, "contradicts"))


def add_preference(report: Report, votes: Sequence[Vote]) -> Report:
    """Returns the report with what the votes of a blind test of its results say.

    `preference` has the votes, the ranking, and under "kendall" the rank correlation with each metric that answers a
    question of the verdict: 1 where both give the same order, -1 where the opposite.
    """
    rows = as_columns(report.rows)
    models = rows.select(~rows.failed).models
    ranking = rank_preferences([each for each in models if any(each in (v.first, v.second) for v in votes)], votes)
    liked = {each.model: each.strength for each in ranking}
    found: dict[str, float | None] = {}
    for metric in METRICS:
        order = rank(rows, metric) if metric.says else None
        if order:
            sign = 1 if metric.higher_is_better else -1
            found[metric.key] = agreement(liked, {each.model: sign * each.value for each in order.standings})
    preference = {
        "votes": [vote.as_dict() for vote in votes],
        "ranking": [each.as_dict() for each in ranking],
        "kendall": found,
    }
    return replace(report, preference=preference)


def read_votes(preference: Any, name: str) -> list[Vote]:
    """The votes of a report's `preference`. Raises BadSetting, by the report's `name`, where it is damaged."""
    found = preference.get("votes") if isinstance(preference, dict) else None
    if not isinstance(found, list):
        raise BadSetting(f"{name} is damaged: its preference has no votes.")
    votes = []
    for vote in found:
        values = [vote.get(key) for key in ("first", "second", "outcome")] if isinstance(vote, dict) else [None] * 3
        if not all(isinstance(value, str) for value in values) or values[2] not in OUTCOMES:
            raise BadSetting(f"{name} is damaged: one of its votes is not what it should be.")
        votes.append(Vote(*values))
    return votes


def make_preference_table(report: Report) -> Table | None:
    """The ranking of a blind test, best first; None where there was none."""
    if not report.preference or not report.preference["ranking"]:
        return None
    columns = (
        Column("Preferred", True, "The chance of being preferred to an average model here, with its 95 % interval."),
        Column("Shown", about="In how many pairs it was shown."),
        Column("Won", about="How often it was preferred."),
        Column("Equal", about="How often neither was."),
    )
    lines = tuple(
        Line(
            title_of(each["model"]),
            (
                Cell(_percent(each["strength"]), each["strength"], interval=_interval(each)),
                *(count_cell(each[key]) for key in ("shown", "won", "tied")),
            ),
            each["rank"],
        )
        for each in report.preference["ranking"]
    )
    return Table("What was preferred", "Model", columns, lines)


def describe_agreement(report: Report, order: str = "The order") -> str:
    """Says how a blind test's order, called so, agrees with the scores, as far as that is known."""
    found: dict[str, list[str]] = {}
    unit = "Kendall's τ "  # said once
    for key, tau in (report.preference or {"kendall": {}})["kendall"].items():
        if tau is not None:
            words = next(words for least, words in AGREES if tau >= least)
            value = format_number(tau, 2).replace("-", "−")
            found.setdefault(words, []).append(f"{find_metric(key).name} ({unit}{value})")
            unit = ""
    return " ".join(f"{order} {words} {_join(words, metrics)}." for words, metrics in found.items())


def _join(words: str, metrics: Sequence[str]) -> str:
    """Lists metrics behind a verb, of which one denies: "A, B or C"."""
    *most, last = metrics
    link = " or " if words.startswith("hardly") else " and "
    return f"{', '.join(most)}{link}{last}" if most else last


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _interval(each: dict[str, Any]) -> str:
    return f"{100 * each['low']:.0f} to {100 * each['high']:.0f} %"
