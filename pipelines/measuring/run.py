"""The benchmark: each picture through a protocol, by each contender, into one `Row` a pair.

Whatever goes wrong with one pair is that row's `error`; the others go on. Writes no file and prints nothing: who
follows the run takes each row from it as it is finished, so that nothing is lost if it is ended early.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings
from pipelines.enlarge import Enlarged, enlarge
from pipelines.images import door as images
from pipelines.images.addresses import load
from pipelines.images.listing import describe_passed_over
from pipelines.images.picture import Picture, Pixels8
from pipelines.measuring.attempts import attempt, count_steps, cut_prefix
from pipelines.measuring.columns import Rows
from pipelines.measuring.conclusions import Conclusions, conclude
from pipelines.measuring.contenders import Contender, resolve_contenders, title_of
from pipelines.measuring.fetching import Fetched, fetch_weights
from pipelines.measuring.kernels import KERNEL_NAMES, OFFERED_KERNELS, check_kernel, describe_kernel, name_kernel
from pipelines.measuring.memory import measure_peak_memory, watch_peak
from pipelines.measuring.metrics.metric import Judges, Metric, Sample
from pipelines.measuring.metrics.scores import (
    METRICS,
    check_metrics,
    fetch_files,
    fetch_judges,
    find_metric,
    find_missing_files,
    load_judges,
    no_judges,
    score,
)
from pipelines.measuring.plan import REPEATS, Plan, Subject, check_repeats, list_subjects
from pipelines.measuring.preference import Preference, Vote, agreement, choose_pair, rank_preferences
from pipelines.measuring.protocol import Protocol, Trial, as_scored, check_size
from pipelines.measuring.protocols import (
    CHAINED_8X,
    NO_ORIGINAL,
    PROTOCOLS,
    ROUND_TRIP,
    describe_conditions,
    find_protocol,
)
from pipelines.measuring.ranking import Ranking
from pipelines.measuring.rows import PictureKey, Row, score_of
from pipelines.measuring.significance import Lead, Pair
from pipelines.measuring.statistics import MetricSummary, Summary, select_comparable, summarise
from pipelines.measuring.verdict import Claim, Verdict, decide, state_verdict
from pipelines.phrasing import describe_settings
from pipelines.runs import Run, Step
from pipelines.upscalers.base import Upscaler
from pipelines.upscalers.loading import load_fetched

__all__ = [
    "CHAINED_8X",
    "KERNEL_NAMES",
    "LONG_RUN",
    "METRICS",
    "NO_ORIGINAL",
    "OFFERED_KERNELS",
    "PROTOCOLS",
    "REPEATS",
    "ROUND_TRIP",
    "Claim",
    "Conclusions",
    "Contender",
    "Fetched",
    "Judges",
    "Lead",
    "Metric",
    "MetricSummary",
    "Pair",
    "Plan",
    "Preference",
    "Protocol",
    "Ranking",
    "Row",
    "Scored",
    "Subject",
    "Summary",
    "Trial",
    "Verdict",
    "Vote",
    "agreement",
    "as_scored",
    "check_kernel",
    "check_metrics",
    "check_repeats",
    "check_size",
    "choose_pair",
    "conclude",
    "decide",
    "describe_conditions",
    "describe_kernel",
    "describe_passed_over",
    "fetch_files",
    "fetch_judges",
    "fetch_weights",
    "find_metric",
    "find_missing_files",
    "find_protocol",
    "list_subjects",
    "load_judges",
    "name_kernel",
    "no_judges",
    "rank_preferences",
    "read_trial",
    "resolve_contenders",
    "run",
    "score_of",
    "select_comparable",
    "state_verdict",
    "summarise",
    "title_of",
]

LONG_RUN = 10.0  # seconds: a run that takes longer is timed once, without a warm-up


@dataclass(frozen=True, slots=True, eq=False)
class Scored(Step):
    """A row that is finished: the step of a benchmark's run by which the row leaves it.

    `output` is what was scored, as `protocol.as_scored` gives it, and `enlarged` how it came about; both None in a row
    with an error, as is `trial` where the picture itself was the reason.
    """

    subject: Subject
    contender: Contender
    row: Row
    trial: Trial | None = None
    enlarged: Enlarged | None = None
    output: Pixels8 | None = None


def run(
    plan: Plan,
    pictures: Sequence[Subject],
    judges: Judges,
    done: Sequence[Row] = (),
    weights: Mapping[Contender, Fetched] | None = None,
) -> Run[Sequence[Row]]:
    """Measures every contender on every picture, and returns the rows in that order: contenders within pictures.

    `judges` is what the metrics have loaded. Rows of `done` that still hold are taken over; each other row
    leaves as a `Scored` when it is finished. `weights` is what `fetch_weights` gave; it is called here otherwise. Steps
    count rows.
    """
    if weights is None:
        weights = yield from fetch_weights(plan.contenders)
    kept = find_kept(plan, pictures, judges, done, weights)
    total, rows = len(pictures) * len(plan.contenders), Rows()
    for subject in pictures:
        trial: Trial | str = ""
        if not all((subject.picture, each.key) in kept for each in plan.contenders):
            reading = attempt(read_trial(subject, plan))
            trial = yield from count_steps(reading, len(rows), total, subject.name)
        for contender in plan.contenders:
            place = kept.get((subject.picture, contender.key))
            if place is not None:
                row = done[place]
            else:
                what = f"{subject.name}: {contender.title}"
                scoring = _scored(plan, subject, contender, weights[contender], trial, judges)
                scoring = cut_prefix(scoring, f"{contender.title}: ")  # a model alone says its own name as well
                scored = yield from count_steps(scoring, len(rows), total, what)
                row = scored.row
                yield replace(scored, done=len(rows) + 1, total=total, note=what)
                del scored  # or its pictures would be held while the next ones are made
            rows.append(row)
    return rows


def find_kept(
    plan: Plan,
    pictures: Sequence[Subject],
    judges: Judges,
    done: Sequence[Row],
    weights: Mapping[Contender, Fetched],
) -> dict[tuple[PictureKey, str], int]:
    """The rows of an earlier run that need not be measured again: their places, by picture and contender."""
    known = {subject.picture for subject in pictures}
    contenders = {each.key: each for each in plan.contenders}
    return {
        (row.picture, row.model): place
        for place, row in enumerate(done)
        if row.error is None
        and row.picture in known
        and row.model in contenders
        and _holds(row, weights[contenders[row.model]], judges)
    }


def _holds(row: Row, weights: Fetched, judges: Judges) -> bool:
    """Returns whether a row that has scores need not be measured again.

    Not with other weights, nor when what a metric needs was not at hand then and is now. Weights that are unavailable
    now change nothing about scores that are there.
    """
    for key in judges.loaded:
        if row.scores[key] is None and any(note.startswith(f"{key}: ") for note in row.notes):
            return False
    return weights.failure is not None or weights.sha256 == (row.weights_sha256 or "")


def read_trial(subject: Subject, plan: Plan) -> Run[Trial]:
    """The picture read, and made ready as the plan says. Raises BadPicture."""
    yield Step(0, 1, "reading")
    protocol = find_protocol(plan.protocol)
    picture = images.read(load(subject.place), protocol.grows_by(plan.scale))
    trial = yield from protocol.make_trial(picture, plan.scale, plan.kernel)
    return replace(trial, notes=(*subject.notes, *picture.notes, *trial.notes))


def _scored(
    plan: Plan, subject: Subject, contender: Contender, weights: Fetched, trial: Trial | str, judges: Judges
) -> Run[Scored]:
    """The row of one contender on one picture; `trial` is why there can be no scores where it is a sentence."""
    trial = weights.failure or trial
    stages = contender.named_stages if contender.is_chain else None
    blank = Row(subject.name, subject.sha256, contender.key, contender.scale, stages)
    empty = Scored(1, 1, "", subject, contender, blank)
    if isinstance(trial, str):
        return replace(empty, row=replace(blank, error=trial))
    scored = yield from attempt(_measured(empty, trial, weights, plan.repeats, judges))
    if isinstance(scored, str):
        return replace(empty, row=replace(blank, error=scored), trial=trial)
    return scored


def _measured(blank: Scored, trial: Trial, weights: Fetched, repeats: int, judges: Judges) -> Run[Scored]:
    """Returns `blank` with scores, times and memory, and with what they are of."""
    upscalers, settings = (yield from load_fetched(weights.files)), blank.contender.settings
    with measure_peak_memory() as peak:
        enlarged = yield from watch_peak(enlarge(trial.low, upscalers, settings), peak)
    again = 0 if enlarged.details.seconds > LONG_RUN else repeats
    times = yield from _times(trial.low, upscalers, settings, again)
    seconds, stage_seconds = sorted(times or [_seconds(enlarged)])[len(times) // 2]
    output = as_scored(enlarged.picture)
    scores = yield from score(Sample(trial.reference, output, as_scored(trial.low), trial.scale, judges))
    once = () if times else ("timed once, without a warm-up",)
    row = replace(
        blank.row,
        scores=scores.values,
        seconds=seconds,
        stage_seconds=stage_seconds if blank.row.stages else None,
        runs=max(1, len(times)),
        peak_mb=peak.megabytes,
        params=_summed(catalog.count_parameters(each.model, each.scale) for each in upscalers),
        weights_bytes=sum(each.weights_bytes for each in upscalers),
        weights_sha256=enlarged.details.weights_sha256,
        notes=tuple(dict.fromkeys((*trial.notes, *_by(enlarged), *enlarged.details.notes, *once, *scores.notes))),
    )
    return replace(blank, row=row, trial=trial, enlarged=enlarged, output=output)


def _by(enlarged: Enlarged) -> list[str]:
    """The settings of a model that has some, the seed above all; that there were no words the model tells itself."""
    return [f"settings: {describe_settings(enlarged.details.settings)}"] if enlarged.details.settings else []


def _times(
    low: Picture, upscalers: Sequence[Upscaler], settings: Settings, repeats: int
) -> Run[list[tuple[float, tuple[float, ...]]]]:
    """Seconds in all and of each stage, for each of so many runs."""
    times = []
    for _ in range(repeats):
        times.append(_seconds((yield from enlarge(low, upscalers, settings))))
    return times


def _seconds(enlarged: Enlarged) -> tuple[float, tuple[float, ...]]:
    return enlarged.details.seconds, tuple(stage.seconds for stage in enlarged.stages)


def _summed(counts: Iterable[int | None]) -> int | None:
    known = [*counts]
    return None if None in known else sum(count for count in known if count is not None)
