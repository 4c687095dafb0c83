"""What is to be measured, on which picture files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadPicture
from pipelines.measuring.contenders import Contender

REPEATS = 3  # timed runs after the warm-up, where no other number is asked for
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured: `protocol` is the key of one, `contenders` as `contenders.contenders` gives them.

    `repeats` is how many runs are timed after the warm-up; 0 times the first run instead, and marks it.
    """

    protocol: str
    scale: int
    kernel: str
    contenders: tuple[Contender, ...]
    repeats: int = REPEATS


@dataclass(frozen=True, slots=True)
class Subject:
    """A picture file to measure on; its name and the sha256 of its content (empty where it cannot be read)."""

    path: Path
    name: str
    sha256: str

    @property
    def picture(self) -> tuple[str, str]:
        """What its rows are known by: name and sha256."""
        return self.name, self.sha256


def subjects(paths: Iterable[Path]) -> tuple[list[Subject], list[Path]]:
    """The pictures that files and folders name, and what else those folders hold.

    A folder stands for the files in it, not in folders within, in the order of their names. The same picture under the
    same name is taken once. Raises BadPicture for a path that does not exist, or a folder that cannot be listed.
    """
    found: dict[tuple[str, str], Subject] = {}
    others: list[Path] = []
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else None
        except OSError as error:
            raise BadPicture(f"The folder {path} cannot be read ({error.strerror}).") from error
        if inside is None and not path.exists():
            raise BadPicture(f"{path} does not exist.")
        for file in [path] if inside is None else inside:
            if inside is not None and not (file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()):
                others.append(file)
                continue
            subject = Subject(file, file.name, _sha256(file))
            found.setdefault((subject.name, subject.sha256 or str(file)), subject)
    return list(found.values()), others


def _sha256(path: Path) -> str:
    if not path.is_file():  # a pipe would never end
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading it as a picture will say why
