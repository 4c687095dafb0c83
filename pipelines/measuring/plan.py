"""What is to be measured, on which picture files."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import BadPicture, BadSetting
from pipelines.files import sha256_of
from pipelines.images.listing import PassedOver, reason_against
from pipelines.measuring.contenders import Contender
from pipelines.phrasing import printable_name

REPEATS = 3  # timed runs after the warm-up, where no other number is asked for
MOST_REPEATS = 1000
MOST_NAMED = 3  # copies of one image, in a note


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
    """A picture file to measure on; its name and the sha256 of its content (empty where it cannot be read).

    `copies` are the names of other files with the same content, which are not measured again.
    """

    path: Path
    name: str
    sha256: str
    copies: tuple[str, ...] = ()

    @property
    def picture(self) -> tuple[str, str]:
        """Returns what its rows are known by: name and sha256."""
        return self.name, self.sha256

    @property
    def notes(self) -> tuple[str, ...]:
        """Returns what its rows should say of it."""
        names = ", ".join(printable_name(Path(name)) for name in self.copies[:MOST_NAMED])
        more = f" and {len(self.copies) - MOST_NAMED} more" if len(self.copies) > MOST_NAMED else ""
        return (f"counted once: {names}{more} has the same content",) if self.copies else ()


def check_repeats(repeats: int) -> None:
    """Raises BadSetting for a number of timed runs that is out of its range."""
    if not 0 <= repeats <= MOST_REPEATS:
        raise BadSetting(f"The number of timed runs is from 0 to {MOST_REPEATS}, not {repeats}.")


def list_subjects(paths: Iterable[Path]) -> tuple[list[Subject], list[PassedOver]]:
    """The pictures that files and folders name, and what else was named or lies in those folders.

    A folder stands for the files in it, not in folders within, in the order of their names; hidden ones are none of
    them, as are the "._" files that Macs leave beside others. The same content counts once, under its first name: two
    copies of an image would pass for two images that agree. Raises BadPicture for a path that does not exist, or a
    folder that cannot be listed.
    """
    found: dict[str, Subject] = {}
    others: list[PassedOver] = []
    seen: set[str] = set()
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else None
        except OSError as error:
            raise BadPicture(f"The folder {path} cannot be read ({error.strerror}).") from error
        if inside is None and not path.exists():
            raise BadPicture(f"{path} does not exist.")
        for file in [path] if inside is None else inside:
            reason = None if inside is None else reason_against(file)
            if reason is not None:
                others.append(PassedOver(file, reason))
                continue
            real = os.path.realpath(file)
            if real in seen:  # named twice, or by a link: it is no copy of itself
                continue
            seen.add(real)
            subject = Subject(file, file.name, _hash_or_empty(file))
            key = subject.sha256 or str(file)
            first = found.setdefault(key, subject)
            if first is not subject:
                found[key] = replace(first, copies=(*first.copies, file.name))
                others.append(PassedOver(file, "the same image as another", first.path))
    return list(found.values()), others


def _hash_or_empty(path: Path) -> str:
    if not path.is_file():  # a pipe would never end
        return ""
    try:
        return sha256_of(path)
    except OSError:
        return ""  # reading it as a picture will say why
