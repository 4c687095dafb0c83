"""All that follows from a benchmark's rows, worked out once for whoever writes it down."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipelines.measuring.columns import Rows, as_columns
from pipelines.measuring.rows import Row
from pipelines.measuring.significance import Lead, Pair, find_leads
from pipelines.measuring.statistics import Summary, select_comparable, summarise
from pipelines.measuring.verdict import Verdict, decide


@dataclass(frozen=True, slots=True)
class Conclusions:
    """What `conclude` found."""

    verdicts: Verdict
    summary: tuple[Summary, ...]  # each contender over all of its own pictures
    compared: tuple[Summary, ...]  # over the `select_comparable` rows
    leads: tuple[Lead, ...]  # of each metric

    @property
    def verdict(self) -> str:
        """The verdict as one text."""
        return str(self.verdicts)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The best by each metric against each other contender."""
        return tuple(pair for lead in self.leads for pair in lead.pairs)

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON, without what is over the comparable rows."""
        return {
            "verdict": self.verdict,
            "verdicts": self.verdicts.as_dict(),
            "summary": [each.as_dict() for each in self.summary],
            "leads": [each.as_dict() for each in self.leads],
            "pairs": [each.as_dict() for each in self.pairs],
        }


def conclude(rows: Sequence[Row]) -> Conclusions:
    """The conclusions from the rows of one report."""
    return _concluded(rows if isinstance(rows, Rows) else tuple(rows), len(rows))


@lru_cache(maxsize=1)  # the JSON, the page and the terminal ask for the same, and intervals take 3 ms each
def _concluded(rows: Sequence[Row], count: int) -> Conclusions:
    """The conclusions from so many rows: `Rows` may grow."""
    columns = as_columns(rows)
    summary = tuple(summarise(columns))
    same = select_comparable(columns)
    compared = summary if len(same) == len(columns) else tuple(summarise(same))
    leads = tuple(find_leads(columns))
    return Conclusions(decide(columns, leads), summary, compared, leads)
