"""Which of a benchmark's pictures a report shows, and their outputs: kept while measuring, or made once more.

Keeping every output of many pictures would take more memory than measuring them, so only few pictures' are kept; an
upscaler gives the same output again when it is asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines import benchmark, protocols
from pipelines.benchmark import Plan, Scored, Subject
from pipelines.crops import Shown, shown
from pipelines.enlarge import enlarge
from pipelines.picture import Picture, to_uint8
from pipelines.protocols import Bytes, Contender, Trial
from pipelines.report import Report
from pipelines.results import Row
from pipelines.runs import Run, noted
from pipelines.upscalers import load

MOST = 3  # pictures in a report: a file to send to somebody


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a benchmark of at most MOST pictures; of more, none are kept."""

    plan: Plan
    pictures: Sequence[Subject]
    kept: dict[tuple[Subject, Contender], Bytes] = field(default_factory=dict)

    def keep(self, scored: Scored) -> None:
        """Take over what was scored."""
        if len(self.pictures) <= MOST and scored.output is not None:
            self.kept[scored.subject, scored.contender] = scored.output

    def shown(self, report: Report) -> Run[list[Shown]]:
        """The pictures on which the contenders differ most, with every output that could be had."""
        found = []
        for picture in telling(self.pictures, report.rows):
            rows = {row.model: row for row in report.rows if row.picture == picture.picture}
            trial = yield from benchmark.trial_of(picture, self.plan)
            outputs = {}
            for contender in self.plan.contenders:
                if rows[contender.key].error is None:
                    outputs[contender.key] = coloured((yield from self._output(picture, contender, trial)))
            low = protocols.as_bytes(trial.low)
            original = None if trial.reference is None else coloured(trial.reference)
            found.append(shown(picture.name, original, coloured(low), outputs))
        return found

    def _output(self, picture: Subject, contender: Contender, trial: Trial) -> Run[Bytes]:
        if (picture, contender) in self.kept:
            return self.kept[picture, contender]
        stages = [load(key, scale) for key, scale in contender.stages]
        enlarged = yield from noted(enlarge(trial.low, stages), f"{picture.name}: {contender.key} once more, ")
        return protocols.as_bytes(enlarged.picture)


def coloured(values: Bytes) -> Bytes:
    """(H, W, 3), of a greyscale picture (H, W) three equal channels."""
    return values if values.ndim == 3 else np.broadcast_to(values[..., None], (*values.shape, 3))


def as_shown(picture: Picture) -> Bytes:
    """A picture's colours over white, (H, W, 3), whatever its depth and kind."""
    values = to_uint8(protocols.opaque(picture))
    return np.broadcast_to(values, (*values.shape[:2], 3))


def telling(pictures: Sequence[Subject], rows: Sequence[Row]) -> list[Subject]:
    """The pictures to show: at most MOST, those whose scores are farthest apart, as they were measured."""

    def spread(picture: Subject) -> float:
        of = [row for row in rows if row.picture == picture.picture]
        if not any(row.error is None for row in of):
            return -1.0
        known = [row.consistency_psnr if row.mse is None else row.psnr_y for row in of]
        scores = [score for score in known if score is not None]
        return max(scores) - min(scores) if scores else 0.0

    scored = [picture for picture in pictures if spread(picture) >= 0]
    widest = sorted(scored, key=spread, reverse=True)[:MOST]
    return [picture for picture in scored if picture in widest]
