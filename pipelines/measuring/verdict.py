"""What a benchmark's rows say, in a few plain sentences that follow from the numbers by these rules and nothing else.

1. There are two verdicts: who is closest to the original, by PSNR Y, the figure that papers quote; and who looks most
   natural, by the first such metric that was measured (LPIPS), or why none was. They trade off (Blau and Michaeli 2018)
   and are never averaged.
2. Over several images contenders rank by the mean over those that each of them has a finite score of
   (`statistics.find_shared_pictures`), so that nobody gains by failing on a hard one.
3. Those within a metric's `tie` of the best tie with it, and the fastest of them is named.
4. The gain is told over bicubic, which everybody has; without it, over the next.
5. Over several images it is told on how many the best is best, how far it is ahead of the second, and what the test of
   it against each other one says; where there are too few images for any test, how many more it needs, and no p.
6. Without an original nobody is closest to it, and the most consistent ones are named.
7. One that is named, or ties, although it strays from the small image (STRAY_DB, STRAY_GAP_DB) is named with that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.measuring.columns import Rows, as_columns
from pipelines.measuring.contenders import title_of
from pipelines.measuring.evidence import describe_lead, describe_wins
from pipelines.measuring.metrics.metric import NOT_HERE
from pipelines.measuring.metrics.scores import METRICS
from pipelines.measuring.ranking import Ranking, Standing, find_speaker, has_any, rank, rank_for_verdict
from pipelines.measuring.rows import Row
from pipelines.measuring.significance import Lead, find_leads
from pipelines.phrasing import format_duration, format_number

STRAY_DB = 32.0  # a typical error of 6 levels in the small image: on photographs blur alone stays above it
STRAY_GAP_DB = 6.0  # twice the error of the most consistent one: else the image is hard for all of them
LONGEST_LIST = 4  # names in a sentence

REFERENCE = "bicubic"


@dataclass(frozen=True, slots=True)
class Claim:
    """One answer: what it is about, who is best (their keys; several tie, none where nobody is), and by how much."""

    heading: str
    models: tuple[str, ...] = ()
    where: str = ""
    facts: str = ""
    evidence: str = ""  # how surely, in whole sentences

    @property
    def sentence(self) -> str:
        """All of it as one text."""
        heading = f"{self.heading} {self.where}".strip()
        facts = self.facts if self.facts.endswith(".") else f"{self.facts}."
        return f"{heading}: {facts} {self.evidence}".strip() if self.facts else f"{heading}."

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        return {"models": list(self.models), "text": self.sentence}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is closest to the original, who looks most natural, and what else has to be said; its text is all of it."""

    closest: Claim
    natural: Claim | None = None
    remarks: tuple[str, ...] = ()
    ranking: Ranking | None = None  # the order of the table

    def __str__(self) -> str:
        claims = [self.closest, self.natural] if self.natural else [self.closest]
        return " ".join([*(each.sentence for each in claims), *self.remarks])

    def as_dict(self) -> dict[str, Any]:
        """Returns it as data for JSON."""
        ranks = self.ranking.ranks if self.ranking else {}
        return {
            "closest": self.closest.as_dict(),
            "natural": self.natural.as_dict() if self.natural else None,
            "remarks": list(self.remarks),
            "ranked_by": self.ranking.metric.key if self.ranking else None,
            "ranking": [{"model": model, "rank": place} for model, place in ranks.items()],
        }


def state_verdict(rows: Sequence[Row]) -> str:
    """Says which contender is best, by how much and how surely. The rows are of one scale; some may have failed."""
    return str(decide(rows))


def decide(rows: Sequence[Row], leads: Sequence[Lead] | None = None) -> Verdict:
    """The verdict; `leads` are what `find_leads` found, where that is known already."""
    columns = as_columns(rows)
    closeness = find_speaker(columns, "closeness")
    if leads is None:
        leads = find_leads(columns, [metric for metric in METRICS if metric.says in ("closeness", "naturalness")])
    by_metric = {lead.metric: lead for lead in leads}
    natural = _rank_naturalness(columns)
    if closeness is None:
        return _without_original(columns, natural, by_metric)
    ranking = rank(columns, closeness)
    if ranking is None:
        return Verdict(Claim("On no image does every model have a finite score, so no model is called the best"))
    missing = [model for model, own in columns.of_each_model().items() if not has_any(own, closeness)]
    lead = by_metric.get(closeness.key)
    evidence = describe_lead(lead, closeness) if lead else ""
    tied = tuple(each.model for each in ranking.tied)
    closest = Claim("Closest to the original", tied, _where(columns, ranking), _leaders(ranking), evidence)
    if len(ranking.standings) == 1:
        closest = _only(columns, ranking, bool(missing))
    named = [*ranking.tied, *(natural.tied if natural else ())]
    remarks = [*_list_strays(columns, dict.fromkeys(each.model for each in named)), *_list_missing(missing)]
    if any("," in each.model for each in ranking.tied):
        remarks.append("A chain's score is the whole pipeline's.")
    return Verdict(closest, _most_natural(columns, natural, by_metric, ranking), tuple(remarks), ranking)


# --- closest to the original ---------------------------------------------------------------------------------------


def _where(rows: Rows, ranking: Ranking) -> str:
    total, counted = len(rows.pictures), ranking.pictures
    scale = f"at x{rows[0].scale}"
    if total == 1:
        return scale
    if counted == total:
        return f"{scale} over {total} images"
    return f"{scale} over the {counted} of {total} images on which every model has a finite score"


def _only(rows: Rows, ranking: Ranking, others_failed: bool) -> Claim:
    value = f"{ranking.metric.name} {format_number(ranking.best.value, ranking.metric.digits)} {ranking.metric.unit}"
    facts = ", ".join([ranking.best.title, value.strip(), *_time(ranking.best)])
    did = "gave a result" if others_failed else "was measured"
    return Claim(f"Only one model {did}", (), _where(rows, ranking), facts)


def _leaders(ranking: Ranking) -> str:
    """The best with its gain and time, or those that tie with theirs and the fastest of them."""
    tied = ranking.tied
    if len(tied) == 1:
        return ", ".join([tied[0].title, *_gain(ranking), *_time(tied[0])])
    within = f"{ranking.metric.name} within {ranking.metric.tie:g} {ranking.metric.unit}".strip()
    facts = ", ".join([f"{list_titles(tied)} tie ({within})", *_gain(ranking)])
    timed = [each for each in tied if each.seconds is not None]
    if not timed:
        return facts
    fastest = min(timed, key=lambda each: each.seconds or 0)
    return f"{facts}. {fastest.title} is the fastest of them, {format_duration(fastest.seconds or 0)}"


def _gain(ranking: Ranking) -> list[str]:
    """Returns how far the best is ahead, as a phrase; none where everybody ties and bicubic is not there."""
    tied = [each.model for each in ranking.tied]
    if math.isinf(ranking.best.value):
        return ["identical in luma"]
    if REFERENCE in tied and len(tied) > 1:
        return ["no visible gain over Bicubic"]
    after = ranking.standings[len(tied) :]
    if not after:
        return []
    over = next((each for each in after if each.model == REFERENCE), after[0])
    gain = ranking.lead_over(over)
    added = "" if over.model == REFERENCE else ", the next"
    return [f"+{format_number(gain, 1 if gain >= 0.1 else 2)} {ranking.metric.unit} over {over.title}{added}"]


def _time(standing: Standing) -> list[str]:
    return [] if standing.seconds is None else [format_duration(standing.seconds)]


# --- most natural --------------------------------------------------------------------------------------------------


def _rank_naturalness(rows: Rows) -> Ranking | None:
    metric = find_speaker(rows, "naturalness")
    return rank(rows, metric) if metric else None


def _most_natural(rows: Rows, found: Ranking | None, leads: dict[str, Lead], closeness: Ranking | None) -> Claim | None:
    """Who looks most natural, or why that was not measured; None where nothing was compared."""
    heading = "Most natural"
    if found is None:
        reasons = [reason for _, error, notes in rows.said if error is None for reason in _reasons(notes)]
        reasons.sort(key=lambda reason: NOT_HERE in reason)  # what was tried tells more than what nobody asked for
        return Claim(heading, facts=f"not measured. {reasons[0]}".strip() if reasons else "not measured")
    if len(found.standings) == 1:
        return None
    tied, digits = found.tied, 2
    lead = leads.get(found.metric.key)
    evidence = describe_wins(lead) if lead else ""
    value = format_number(found.best.value, digits)
    if len(tied) > 1:
        facts = f"{list_titles(tied)} tie ({found.metric.name} within {found.metric.tie:g})"
    else:
        other = closeness.best if closeness and closeness.best.model != found.best.model else found.standings[1]
        against = next((each for each in found.standings if each.model == other.model), found.standings[1])
        facts = f"{value} against {format_number(against.value, digits)} for {against.title}"
        facts = ", ".join([found.best.title, facts, *_time(found.best)])
    return Claim(heading, tuple(each.model for each in tied), f"({found.metric.name})", facts, evidence)


def _reasons(notes: Sequence[str]) -> list[str]:
    """Returns why a row with these notes lacks the metrics of how natural it looks, as sentences."""
    reasons = []
    for metric in METRICS:
        if metric.says == "naturalness":
            for note in notes:
                if note.startswith(f"{metric.key}: "):
                    reasons.append(note.removeprefix(f"{metric.key}: "))
                elif note.startswith(f"{metric.key} "):
                    reasons.append(metric.name + note.removeprefix(metric.key))
    return reasons


# --- without an original -------------------------------------------------------------------------------------------


def _without_original(rows: Rows, natural: Ranking | None, leads: dict[str, Lead]) -> Verdict:
    consistency = find_speaker(rows, "consistency")
    if consistency is None:
        return Verdict(_nothing(rows))
    claim = Claim("No original", facts=f"there is no objective winner at x{rows[0].scale}. Compare the results by eye")
    most = rank(rows, consistency)
    remarks = []
    if most:
        value = f"{format_number(most.best.value, 1)} {consistency.unit}"
        remarks.append(f"Most consistent with the small image: {list_titles(most.tied)}, {value}.")
    known = natural or any(_reasons(notes) for *_, notes in rows.said)
    looks = _most_natural(rows, natural, leads, None) if known else None
    return Verdict(claim, looks, tuple(remarks), rank_for_verdict(rows))


def _nothing(rows: Rows) -> Claim:
    reasons = list(dict.fromkeys(error for _, error, _ in rows.said if error))
    if not reasons:
        return Claim("Nothing was scored")
    if len(reasons) == 1:
        return Claim("No model gave a result", facts=reasons[0])
    return Claim("No model gave a result", facts=f"there are {len(reasons)} reasons. The first: {reasons[0]}")


# --- remarks -------------------------------------------------------------------------------------------------------


def _list_strays(rows: Rows, named: Sequence[str] | dict[str, None]) -> list[str]:
    """Says who, of those that are named as best or tie with it, does not keep to the small image."""
    metric = find_speaker(rows, "consistency")
    found = rank(rows, metric) if metric else None
    if found is None:
        return []
    limit = min(STRAY_DB, found.best.value - STRAY_GAP_DB)
    return [
        f"{each.title} invents or shifts content: shrunk again, it matches the small image only to "
        f"{format_number(each.value, 1)} dB."
        for each in found.standings
        if each.model in named and each.value < limit
    ]


def _list_missing(models: Sequence[str]) -> list[str]:
    return [f"Without a result: {_listed([title_of(model) for model in models])}."] if models else []


def list_titles(standings: Sequence[Standing]) -> str:
    """Lists names: "A", "A and B", "A, B and C", "A, B, C, D and 3 others"."""
    return _listed([each.title for each in standings])


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:LONGEST_LIST], f"{len(names) - LONGEST_LIST} others"] if len(names) > LONGEST_LIST + 1 else names
    *most, last = shown
    return f"{', '.join(most)} and {last}" if most else last
