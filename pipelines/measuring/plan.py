"""What is to be measured, on which picture files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadPicture
from pipelines.files import sha256_of
from pipelines.measuring.contenders import Contender

REPEATS = 3  # timed runs after the warm-up, where no other number is asked for
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured: `protocol` is the key of one, `contenders` as `resolve_contenders` gives them.

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
        """Returns what its rows are known by: name and sha256."""
        return self.name, self.sha256


def list_subjects(paths: Iterable[Path]) -> tuple[list[Subject], list[Path]]:
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
            subject = Subject(file, file.name, _hash_or_empty(file))
            found.setdefault((subject.name, subject.sha256 or str(file)), subject)
    return list(found.values()), others


def _hash_or_empty(path: Path) -> str:
    if not path.is_file():  # a pipe would never end
        return ""
    try:
        return sha256_of(path)
    except OSError:
        return ""  # reading it as a picture will say why
