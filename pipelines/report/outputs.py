"""Which of a benchmark's pictures a report shows, and their outputs: kept while measuring, or made once more.

Outputs lie in temporary files: together they would take more memory than measuring them. Of many pictures they would
fill the disk as well, so only few pictures' are kept; an upscaler gives the same output again when it is asked again.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from pipelines.enlarge import enlarge_by
from pipelines.errors import BadPicture, BadWeights, CannotWrite, UpscaleError
from pipelines.images.picture import Picture, to_uint8
from pipelines.measuring import protocols
from pipelines.measuring import run as benchmark
from pipelines.measuring.protocols import Bytes, Contender, Trial
from pipelines.measuring.rows import Row
from pipelines.measuring.run import Plan, Scored, Subject
from pipelines.report.crops import Shown, Unshown, shown
from pipelines.report.report import Report
from pipelines.runs import Run, noted

MOST = 3  # pictures in a report: a file to send to somebody


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a benchmark of at most MOST pictures; of more, none are kept."""

    plan: Plan
    pictures: Sequence[Subject]
    kept: dict[tuple[Subject, Contender], IO[bytes]] = field(default_factory=dict)

    def keep(self, scored: Scored) -> None:
        """Take over what was scored, if there is room for it."""
        if len(self.pictures) <= MOST and scored.output is not None:
            with suppress(CannotWrite):
                self.kept[scored.subject, scored.contender] = _written(scored.output)

    def shown(self, report: Report) -> Run[list[Shown | Unshown]]:
        """The pictures on which the contenders differ most, with every output, or why one of them cannot be shown.

        What was kept is given up: this can be had once.
        """
        found: list[Shown | Unshown] = []
        for picture in telling(self.pictures, report.rows):
            rows = {row.model: row for row in report.rows if row.picture == picture.picture and row.error is None}
            try:
                found.append((yield from self._shown(picture, rows)))
            except (UpscaleError, MemoryError) as error:
                found.append(Unshown(picture.name, str(error) or "There is not enough memory for that."))
            finally:
                for key in [key for key in self.kept if key[0] == picture]:
                    self.kept.pop(key).close()
        return found

    def _shown(self, picture: Subject, rows: Mapping[str, Row]) -> Run[Shown]:
        _check_unchanged(picture)
        trial = yield from benchmark.trial_of(picture, self.plan)
        outputs = {}
        for contender in self.plan.contenders:
            if contender.key in rows:
                if (picture, contender) not in self.kept:
                    again = yield from _made_again(contender, trial, rows[contender.key])
                    self.kept[picture, contender] = _written(again)
                outputs[contender.key] = partial(_read, self.kept[picture, contender])
        original = None if trial.reference is None else coloured(trial.reference)
        return shown(picture.name, original, coloured(protocols.as_bytes(trial.low)), outputs)


def _check_unchanged(picture: Subject) -> None:
    """Raise BadPicture where the file is gone, or is not the one that was measured."""
    now, _ = benchmark.subjects([picture.path])
    if [each.sha256 for each in now] != [picture.sha256]:
        raise BadPicture("The file was changed after it was measured.")


def _made_again(contender: Contender, trial: Trial, row: Row) -> Run[Bytes]:
    """The output that the row is of. Raises BadWeights where the files of the model are others by now."""
    once_more = enlarge_by(trial.low, contender.stages, contender.settings)
    enlarged = yield from noted(once_more, f"{row.image}: {contender.key} once more, ")
    if enlarged.details.weights_sha256 != row.weights_sha256:
        raise BadWeights(f"The weights of {contender.key} were changed after they were measured.")
    return protocols.as_bytes(enlarged.picture)


def _written(output: Bytes) -> IO[bytes]:
    """A file that holds the output, and is gone when it is closed. Raises CannotWrite."""
    try:
        with ExitStack() as undoing:
            file = undoing.enter_context(TemporaryFile(buffering=0))  # unbuffered: numpy writes and reads it as a whole
            np.save(file, output)
            undoing.pop_all()
    except OSError as error:
        raise CannotWrite(
            "The results cannot be kept in the temporary folder: no room is left there, or no file can be made."
        ) from error
    return file


def _read(file: IO[bytes]) -> Bytes:
    file.seek(0)
    output: Bytes = np.load(file)
    return coloured(output)


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
