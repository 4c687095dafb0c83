"""All that follows from a benchmark's rows, worked out once for whoever writes it down."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipelines.measuring.rows import Row
from pipelines.measuring.statistics import comparable, compare, summarise
from pipelines.measuring.verdict import verdict


@dataclass(frozen=True, slots=True)
class Conclusions:
    """Entries are as `statistics` gives them, and are not to be changed: they are shared."""

    verdict: str
    summary: list[dict[str, Any]]  # each contender over all of its own pictures
    compared: list[dict[str, Any]]  # over the `comparable` rows
    pairs: list[dict[str, Any]]


@lru_cache(maxsize=1)  # the JSON, the page and the terminal ask for the same, and intervals take 3 ms each
def conclude(rows: tuple[Row, ...]) -> Conclusions:
    """The conclusions from the rows of one report."""
    summary = summarise(rows)
    same = comparable(rows)
    return Conclusions(verdict(rows), summary, summary if len(same) == len(rows) else summarise(same), compare(rows))
