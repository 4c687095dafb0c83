"""How surely the best is best, in words."""

from pipelines.measuring.contenders import title_of
from pipelines.measuring.metrics.metric import Metric
from pipelines.measuring.significance import Lead, Pair
from pipelines.phrasing import format_number

MOST_NAMED = 3  # of those that the best cannot be told from


def describe_lead(lead: Lead, metric: Metric) -> str:
    """Says on how many images the best is best, how far it is ahead of the second, and what the test says.

    Without enough images there is no p, which could only mislead, but what the test needs.
    """
    return f"{_ahead(lead, metric)} {_tested(lead) if lead.is_testable else _needed(lead)}"


def describe_wins(lead: Lead) -> str:
    """Says on how many images the best is best."""
    return f"{title_of(lead.best)} was best on {lead.won} of {lead.n} images."


def format_difference(value: float, metric: Metric, like: float | None = None) -> str:
    """Returns a difference without its unit: of decibels one decimal, below 0.1 two; as many as of `like` if given."""
    size = abs(value if like is None else like)
    digits = (1 if size >= 0.1 else 2) if metric.unit == "dB" else metric.digits
    return format_number(value, digits)


def format_p(p: float) -> str:
    """Returns "p < 0.001" or "p = 0.031"."""
    return "p < 0.001" if p < 0.001 else f"p = {format_number(p, 3)}"


def _ahead(lead: Lead, metric: Metric) -> str:
    pair = lead.second
    ends = [end * pair.sign for end in (pair.low, pair.high) if end is not None]
    texts = [format_difference(end, metric, pair.difference) for end in sorted(ends)]
    interval = f" (95 % interval {' to '.join(texts)}{f' {metric.unit}' if metric.unit else ''})" if texts else ""
    ahead = f"{format_difference(pair.difference * pair.sign, metric)} {metric.unit}".strip()
    wins = describe_wins(lead).removesuffix(".")
    return f"{wins}, ahead of {title_of(pair.second)} by {ahead} on average{interval}."


def _needed(lead: Lead) -> str:
    more = lead.images_needed - lead.n
    return f"For a statistical test of {lead.methods} models add {more} more image{'' if more == 1 else 's'}."


def _tested(lead: Lead) -> str:
    if lead.second.misleads:
        pair = lead.second
        return (
            f"It is ahead only on average: on {pair.lost} of {pair.n} images {title_of(pair.second)} is better "
            f"({format_p(pair.p)})."
        )
    clear = [pair for pair in lead.pairs if pair.distinguishable and not pair.misleads]
    others = [pair for pair in lead.pairs if pair not in clear]
    if len(lead.pairs) == 1:
        return f"The difference is {'' if clear else 'not '}significant ({format_p(lead.second.p)})."
    if not others:
        return f"It is significantly better than each of the other {len(clear)} models ({_most(clear)})."
    if not clear:
        least = min(pair.p for pair in others)
        return f"It is not significantly better than any other model ({format_p(least)} or more)."
    return (
        f"It is significantly better than {len(clear)} of the other {len(lead.pairs)} models ({_most(clear)}), but "
        f"not better than {_names(others)}."
    )


def _most(pairs: list[Pair]) -> str:
    """Returns what every p of these is at most."""
    most = max(pair.p for pair in pairs)
    return "p < 0.001" if most < 0.001 else f"p ≤ {format_number(most, 3)}"


def _names(pairs: list[Pair]) -> str:
    names = [title_of(pair.second) for pair in pairs]
    if len(names) > MOST_NAMED + 1:
        names = [*names[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
