"""What a benchmark made of its pictures, kept as PNG files in a folder: all of it would take too much memory."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipelines.errors import CannotWrite
from pipelines.images import door as images
from pipelines.images.picture import Picture, Pixels8, to_uint8
from pipelines.images.profiles import find_profile
from pipelines.measuring.plan import Subject
from pipelines.measuring.protocol import flatten
from pipelines.measuring.rows import Row
from pipelines.measuring.run import Scored
from pipelines.phrasing import contender_file_name

LONGEST_PART = 80  # bytes of a part of a file's name, which may have 255 in all
ORIGINAL, SMALL = "original", "small image"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The originals, small pictures, results and stages of a benchmark's pictures, all at one scale.

    Of more than `most` pictures nothing is kept. What is read is (H, W, 3) uint8, of a greyscale picture too.
    """

    folder: Path
    pictures: Sequence[Subject]
    scale: int
    most: int | None = None

    def keep(self, scored: Scored) -> None:
        """Writes what was scored. Without room for it a result cannot be looked at, and its row is still right."""
        trial, enlarged = scored.trial, scored.enlarged
        if trial is None or enlarged is None or (self.most is not None and len(self.pictures) > self.most):
            return
        key, low = scored.contender.key, trial.low
        pictures = {SMALL: low, key: enlarged.picture}
        if trial.reference is not None:
            pixels = np.divide(to_rgb(trial.reference), np.float32(255), dtype=np.float32)
            pictures[ORIGINAL] = Picture(pixels, grey=low.grey, icc=low.icc)
        for number, stage in enumerate(enlarged.stages[:-1], 1):
            pictures[_stage(key, number)] = Picture(stage.pixels, grey=low.grey, icc=low.icc)
        for what, picture in pictures.items():
            if not self._file(scored.subject, what).exists():
                with suppress(CannotWrite):
                    self.write(scored.subject, what, picture)

    def write(self, subject: Subject, what: str, picture: Picture) -> None:
        """Writes the result of a model or chain, or what else there is of the subject. Raises CannotWrite."""
        images.write(picture, self._file(subject, what), metadata=False)

    def original(self, subject: Subject) -> Pixels8 | None:
        """The cropped original; None where there is none, or it was not kept."""
        return self._read(subject, ORIGINAL)

    def small(self, subject: Subject) -> Pixels8 | None:
        """Returns what was enlarged; None where it was not kept."""
        return self._read(subject, SMALL)

    def profile(self, subject: Subject) -> bytes | None:
        """The ICC profile that the subject's files have, for pictures of three channels made from them."""
        path = self._file(subject, SMALL)
        return colour_profile(images.read_back(path)) if path.is_file() else None

    def stage(self, subject: Subject, chain: str, number: int) -> Pixels8 | None:
        """Returns what one of a chain's stages but the last made, counted from 1; None where it was not kept."""
        return self._read(subject, _stage(chain, number))

    def results(self, subject: Subject, rows: Sequence[Row]) -> dict[Row, Callable[[], Pixels8]]:
        """Returns the rows of the picture whose results were kept, each with what reads its result."""
        own = [row for row in rows if row.picture == subject.picture and row.error is None]
        files = {row: self._file(subject, row.model) for row in own}
        return {row: partial(_read, path) for row, path in files.items() if path.is_file()}

    def files(self) -> list[Path]:
        """Every file that was kept."""
        return sorted(self.folder.glob("*.png"))

    def drop(self, subject: Subject) -> None:
        """Deletes what was kept of a picture."""
        for path in self.files():
            if path.name.startswith(self._stem(subject)):
                path.unlink()

    def _read(self, subject: Subject, what: str) -> Pixels8 | None:
        path = self._file(subject, what)
        return _read(path) if path.is_file() else None

    def _file(self, subject: Subject, what: str) -> Path:
        """A name to meet in an archive: "2_face_swift_x4.png"."""
        scale = "" if what in (ORIGINAL, SMALL) else f"_x{self.scale}"
        part = contender_file_name(what)
        if len(part) > LONGEST_PART:
            part = f"{part[:LONGEST_PART]}_{hashlib.sha256(part.encode()).hexdigest()[:8]}"
        return self.folder / f"{self._stem(subject)}{part}{scale}.png"

    def _stem(self, subject: Subject) -> str:
        number = f"{self.pictures.index(subject) + 1}_" if len(self.pictures) > 1 else ""
        return f"{number}{Path(subject.name).stem.encode()[:LONGEST_PART].decode(errors='ignore')}_"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards. Where none can be made it is one that is not there: nothing is kept then."""
    try:
        made = TemporaryDirectory(prefix="upscale-bench-")
    except OSError:
        yield Path(os.devnull, "none")
        return
    with made as name:
        yield Path(name)


def to_rgb(values: Pixels8) -> Pixels8:
    """Returns (H, W, 3), of a greyscale image (H, W) three equal channels."""
    return values if values.ndim == 3 else np.broadcast_to(values[..., None], (*values.shape, 3))


def as_shown(picture: Picture) -> Pixels8:
    """A picture's colours over white, (H, W, 3), whatever its depth and kind."""
    values = to_uint8(flatten(picture))
    return np.broadcast_to(values, (*values.shape[:2], 3))


def colour_profile(picture: Picture) -> bytes | None:
    """The picture's ICC profile where one of three channels may have it: a greyscale picture's fits none."""
    return None if picture.grey else find_profile(picture)


def _stage(chain: str, number: int) -> str:
    return f"{chain} stage {number}"


def _read(path: Path) -> Pixels8:
    return to_uint8(images.read_back(path).pixels)
