"""Which of a benchmark's pictures a report shows, each as a section with every method's result in it.

Results are those that were kept while measuring, or made once more: an upscaler gives the same output again when it is
asked again.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.enlarge import enlarge_by
from pipelines.errors import BadPicture, BadWeights, CannotWrite, UpscaleError
from pipelines.measuring.columns import as_columns
from pipelines.measuring.contenders import Contender
from pipelines.measuring.plan import Plan, Subject, list_subjects
from pipelines.measuring.protocol import Trial, as_scored
from pipelines.measuring.ranking import find_speaker
from pipelines.measuring.rows import Row
from pipelines.measuring.run import read_trial
from pipelines.report.crops import MissingSection, PictureSection, picture_section
from pipelines.report.model import Report
from pipelines.report.outputs import Outputs, colour_profile, to_rgb
from pipelines.runs import Run, prefix_notes

MOST_SHOWN = 3  # pictures in a report: a file to send to somebody


def make_sections(report: Report, plan: Plan, outputs: Outputs) -> Run[list[PictureSection | MissingSection]]:
    """The pictures on which the contenders differ most, with every result, or why one of them cannot be shown.

    What was kept of a picture is deleted once it is shown.
    """
    found: list[PictureSection | MissingSection] = []
    for subject in choose_subjects(outputs.pictures, report.rows):
        try:
            found.append((yield from _section(report, plan, outputs, subject)))
        except (UpscaleError, MemoryError) as error:
            found.append(MissingSection(subject.name, str(error) or "There is not enough memory for that."))
        finally:
            outputs.drop(subject)
    return found


def read_kept_sections(report: Report, outputs: Outputs) -> Iterator[PictureSection]:
    """The same of what was kept alone; a picture of which nothing was is left out."""
    for subject in choose_subjects(outputs.pictures, report.rows):
        small, results = outputs.small(subject), outputs.results(subject, report.rows)
        if small is not None and results:
            by_model = {row.model: load for row, load in results.items()}
            yield picture_section(subject.name, outputs.original(subject), small, by_model, outputs.profile(subject))


def choose_subjects(pictures: Sequence[Subject], rows: Sequence[Row]) -> list[Subject]:
    """The pictures to show: at most MOST_SHOWN, those whose scores are farthest apart, as they were measured."""
    columns = as_columns(rows)
    # As in the verdict: closeness where there is an original, or else what there is.
    found = (find_speaker(columns, each) for each in ("closeness", "naturalness", "consistency"))
    metric = next(filter(None, found), None)
    measured = columns.select(~columns.failed)
    scores = measured.grid(measured.numbers(metric.key if metric else "seconds"))
    most, least = np.where(np.isnan(scores), -np.inf, scores).max(0), np.where(np.isnan(scores), np.inf, scores).min(0)
    spread = dict(zip(measured.pictures, np.maximum(most - least, 0) * bool(metric), strict=True))
    scored = [picture for picture in pictures if picture.picture in spread]
    widest = sorted(scored, key=lambda picture: spread[picture.picture], reverse=True)[:MOST_SHOWN]
    return [picture for picture in scored if picture in widest]


def _section(report: Report, plan: Plan, outputs: Outputs, subject: Subject) -> Run[PictureSection]:
    _check_unchanged(subject)
    trial = yield from read_trial(subject, plan)
    kept = {row.model for row in outputs.results(subject, report.rows)}
    rows = {row.model: row for row in report.rows if row.picture == subject.picture and row.error is None}
    for contender in plan.contenders:
        if contender.key in rows and contender.key not in kept:
            yield from _make_again(contender, trial, rows[contender.key], outputs, subject)
    by_model = {row.model: load for row, load in outputs.results(subject, report.rows).items()}
    original = None if trial.reference is None else to_rgb(trial.reference)
    in_order = {each.key: by_model[each.key] for each in plan.contenders if each.key in by_model}
    return picture_section(subject.name, original, to_rgb(as_scored(trial.low)), in_order, colour_profile(trial.low))


def _check_unchanged(subject: Subject) -> None:
    """Raises BadPicture where the file is gone, or is not the one that was measured."""
    now, _ = list_subjects([subject.place])
    if [each.sha256 for each in now] != [subject.sha256]:
        raise BadPicture("The file was changed after it was measured.")


def _make_again(contender: Contender, trial: Trial, row: Row, outputs: Outputs, subject: Subject) -> Run[None]:
    """Keeps the output that the row is of.

    Raises BadWeights where the files of the model are others by now, CannotWrite where there is no room for it.
    """
    once_more = enlarge_by(trial.low, contender.stages, contender.settings)
    enlarged = yield from prefix_notes(once_more, f"{row.image}: {contender.key} once more, ")
    if enlarged.details.weights_sha256 != row.weights_sha256:
        raise BadWeights(f"The weights of {contender.key} were changed after they were measured.")
    try:
        outputs.write(subject, contender.key, enlarged.picture)
    except CannotWrite as error:
        raise CannotWrite(
            "The results cannot be kept in the temporary folder: no room is left there, or no file can be made."
        ) from error
