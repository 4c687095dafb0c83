"""What a benchmark's rows say, in a few plain sentences that follow from the numbers by these rules and nothing else.

1. Contenders rank by PSNR Y, the figure that papers quote; over several pictures by its mean over those that each of
   them has a finite score of (`statistics.find_shared_pictures`), so that nobody gains by failing on a hard one.
2. Those within TIE_DB of the best tie with it, and the fastest of them is named.
3. The gain is told over bicubic, which everybody has; without it, over the next.
4. Over several pictures it is told whether the best and the second can be told apart (`significance.compare`), and
   where the test speaks for the second although the mean does not, that.
5. Where LPIPS finds another one closer by more than LPIPS_GAP, both are named: closeness and looks trade off (Blau and
   Michaeli 2018) and are never averaged.
6. Without a score against an original the most consistent ones are named, and that this does not make them the best.
7. One that is named, or ties, although it strays from the small picture (STRAY_DB, STRAY_GAP_DB) is named with that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from pipelines.measuring.metrics.consistency import CONSISTENT
from pipelines.measuring.metrics.pixelwise import PSNR_Y
from pipelines.measuring.rows import Row, score_of
from pipelines.measuring.significance import compare
from pipelines.measuring.statistics import PictureKey, find_shared_pictures, group_by_model
from pipelines.phrasing import contender_name, format_duration, format_number

TIE_DB = 0.05  # 1 % of the error's energy: nobody sees it, and papers differ by as much in how they shrink
LPIPS_GAP = 0.02  # two networks of one kind lie that close; from a blurred to a sharp result it is several times that
STRAY_DB = 32.0  # a typical error of 6 levels in the small picture: on photographs blur alone stays above it
STRAY_GAP_DB = 6.0  # twice the error of the most consistent one: else the picture is hard for all of them
LONGEST_LIST = 4  # names in a sentence

REFERENCE = "bicubic"


@dataclass(frozen=True, slots=True)
class Standing:
    """One contender over the pictures that count: means, PSNR Y infinite for a perfect result, and its median time."""

    model: str
    psnr_y: float  # dB
    lpips: float | None
    consistency: float | None  # dB
    seconds: float | None

    @property
    def name(self) -> str:
        """The name as a reader meets it."""
        return contender_name(self.model)


def state_verdict(rows: Sequence[Row]) -> str:
    """Says which contender is best, by how much and how surely. The rows are of one scale; some may have failed."""
    groups = group_by_model(rows)
    scored = {model: own for model, own in groups.items() if any(score_of(row, "psnr_y") is not None for row in own)}
    if not scored:
        return _consistent(rows) or _nothing(rows)
    pictures = find_shared_pictures(rows)
    if not pictures:
        return "No picture has a finite score by every method, so none is called the best."
    standings = sorted((_standing(model, own, pictures) for model, own in scored.items()), key=_rank)
    missing = [contender_name(model) for model in groups if model not in scored]
    best = _best(standings, _where(rows, pictures), bool(missing))
    sentences = [best, _told_apart(rows, standings, pictures), _stray(standings)]
    if missing:
        sentences.append(f"Without a result: {_listed(missing)}.")
    if any("," in each.model for each in _near(standings)):
        sentences.append("A chain's score is the whole pipeline's.")
    return " ".join(filter(None, sentences))


def _nothing(rows: Sequence[Row]) -> str:
    reasons = list(dict.fromkeys(row.error for row in rows if row.error))
    if not reasons:
        return "Nothing was scored."
    if len(reasons) == 1:
        return f"No method gave a result: {reasons[0]}"
    return f"No method gave a result, for {len(reasons)} reasons. The first: {reasons[0]}"


def _consistency(row: Row) -> float | None:
    """Returns the consistency in dB, infinite where the result shrinks to exactly the small picture."""
    exact = any(note == CONSISTENT for note in row.notes)
    return math.inf if exact else row.scores["consistency_psnr"]


def _consistent(rows: Sequence[Row]) -> str:
    """Returns who agrees best with the small picture, of rows without an original; nothing where none has a score."""
    scores = {
        model: fmean(known)
        for model, own in group_by_model(rows).items()
        if (known := [value for row in own if (value := _consistency(row)) is not None])
    }
    if not scores:
        return ""
    best = sorted(scores, key=lambda model: -scores[model])
    near = [contender_name(model) for model in best if scores[model] >= scores[best[0]] - TIE_DB]
    return (
        f"There is no score against an original, so nothing says which is best at x{rows[0].scale}: look at them. "
        f"Most consistent with the small picture, {format_number(scores[best[0]], 1)} dB: {_listed(near)}."
    )


def _standing(model: str, rows: Sequence[Row], pictures: frozenset[PictureKey]) -> Standing:
    counted = [row for row in rows if row.picture in pictures]

    def mean(key: str) -> float | None:
        values = [score_of(row, key) for row in counted]
        known = [value for value in values if value is not None]
        return fmean(known) if len(known) == len(values) else None

    times = [row.seconds for row in counted if row.seconds is not None]
    psnr_y = mean("psnr_y")
    assert psnr_y is not None, "only pictures that were scored are counted"
    return Standing(model, psnr_y, mean("lpips"), mean("consistency_psnr"), median(times) if times else None)


def _rank(standing: Standing) -> tuple[float, float]:
    """Ranks the best first; of equal ones the fastest."""
    return -standing.psnr_y, math.inf if standing.seconds is None else standing.seconds


def _where(rows: Sequence[Row], pictures: frozenset[PictureKey]) -> str:
    total = len({row.picture for row in rows})
    scale = f"at x{rows[0].scale}"
    if total == 1:
        return f"for this picture {scale}"
    if len(pictures) == total:
        return f"over {total} pictures {scale}"
    return f"over the {len(pictures)} of {total} pictures {scale} with a finite score by every method"


def _best(standings: Sequence[Standing], where: str, others_failed: bool) -> str:
    if len(standings) == 1:
        only = standings[0]
        facts = ", ".join([only.name, f"PSNR Y {format_number(only.psnr_y, 2)} dB", *_time(only)])
        return f"Only one method {'gave a result' if others_failed else 'was measured'} {where}: {facts}."
    sharper = _sharper(standings)
    if sharper is None:
        return f"Best {where}: {_leaders(standings)}."
    near = min(each.lpips for each in _near(standings) if each.lpips is not None)
    against = f"LPIPS {format_number(sharper.lpips, 2)} against {format_number(near, 2)}"
    looks = ", ".join([sharper.name, against, *_time(sharper)])
    return f"Closest pixel by pixel {where}: {_leaders(standings)}; looks closest: {looks}."


def _near(standings: Sequence[Standing]) -> list[Standing]:
    """The best, and those that tie with it."""
    return [each for each in standings if each.psnr_y >= standings[0].psnr_y - TIE_DB]


def _sharper(standings: Sequence[Standing]) -> Standing | None:
    """Returns whom LPIPS finds closer than any of the best by PSNR, if anyone."""
    near = [each.lpips for each in _near(standings) if each.lpips is not None]
    for each in sorted(standings, key=lambda each: math.inf if each.lpips is None else each.lpips):
        if near and each.lpips is not None and each.lpips < min(near) - LPIPS_GAP:
            return each
    return None


def _leaders(standings: Sequence[Standing]) -> str:
    """The best with its gain and time, or those that tie with theirs and the fastest of them."""
    near = _near(standings)
    if len(near) == 1:
        name = f"{REFERENCE} itself" if near[0].model == REFERENCE else near[0].name
        return ", ".join([name, *_gain(standings), *_time(near[0])])
    tied = _listed([each.name for each in near])
    facts = ", ".join([f"a tie of {tied} (PSNR Y within {TIE_DB} dB)", *_gain(standings)])
    timed = [each for each in near if each.seconds is not None]
    if not timed:
        return facts
    fastest = min(timed, key=lambda each: each.seconds or 0)
    return f"{facts}; the fastest of them is {', '.join([fastest.name, *_time(fastest)])}"


def _gain(standings: Sequence[Standing]) -> list[str]:
    """Returns how far the best is ahead, as a phrase; none where everybody ties and bicubic is not there."""
    best, near = standings[0], _near(standings)
    if math.isinf(best.psnr_y):
        return ["without any error in luma"]
    tied = [each.model for each in near]
    if REFERENCE in tied and len(near) > 1:
        return ["none visibly better than bicubic"]
    reference = next((each for each in standings if each.model == REFERENCE and each not in near), None)
    if reference is not None:
        return [f"{_decibels(best.psnr_y - reference.psnr_y)} over {REFERENCE}"]
    if len(near) == len(standings):
        return []
    after = standings[len(near)]
    return [f"{_decibels(best.psnr_y - after.psnr_y)} over {after.name}, the next"]


def _decibels(gain: float) -> str:
    return f"+{format_number(gain, 1 if gain >= 0.1 else 2)} dB"


def _time(standing: Standing) -> list[str]:
    return [] if standing.seconds is None else [format_duration(standing.seconds)]


def _told_apart(rows: Sequence[Row], standings: Sequence[Standing], pictures: frozenset[PictureKey]) -> str:
    if len(standings) == 1 or len(pictures) == 1:
        return ""
    best, second = standings[:2]
    pairs = {frozenset((pair.first, pair.second)): pair for pair in compare(rows, [PSNR_Y])}
    pair = pairs[frozenset((best.model, second.model))]
    chance = "p < 0.001" if pair.p < 0.001 else f"p = {format_number(pair.p, 3)}"
    lean, worse = pair.rank_biserial, pair.lower
    if pair.first != best.model:
        lean, worse = -lean, pair.higher
    if pair.distinguishable and lean < 0:
        return (
            f"{best.name} is better than {second.name}, the second, by the mean alone: it is worse on {worse} of "
            f"{pair.n} pictures ({chance})."
        )
    can = "can be told apart" if pair.distinguishable else "are not distinguishable"
    return f"{best.name} and {second.name}, the second, {can} over {pair.n} pictures ({chance})."


def _stray(standings: Sequence[Standing]) -> str:
    """Says who, of those that are named as best or tie with it, does not keep to the small picture."""
    most = max((each.consistency for each in standings if each.consistency is not None), default=0)
    sharper = _sharper(standings)
    named = [*_near(standings), *([] if sharper is None else [sharper])]
    return " ".join(
        f"{each.name} makes up or shifts content: shrunk again it agrees with the small picture to "
        f"{format_number(each.consistency, 1)} dB only."
        for each in named
        if each.consistency is not None and each.consistency < min(STRAY_DB, most - STRAY_GAP_DB)
    )


def _listed(names: Sequence[str]) -> str:
    """Lists names: "a", "a and b", "a, b and c", "a, b, c, d and 3 others"."""
    shown = [*names[:LONGEST_LIST], f"{len(names) - LONGEST_LIST} others"] if len(names) > LONGEST_LIST + 1 else names
    *most, last = shown
    return f"{', '.join(most)} and {last}" if most else last
