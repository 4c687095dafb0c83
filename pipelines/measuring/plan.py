"""What is to be measured, on which picture files."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import BadPicture, BadSetting
from pipelines.files import sha256_of
from pipelines.images.addresses import Address, Place, identify, is_folder, list_folder, load, path_of
from pipelines.images.listing import PassedOver, Reason, reason_against, reason_against_address
from pipelines.measuring.contenders import Contender
from pipelines.phrasing import printable_name

REPEATS = 3  # timed runs after the warm-up, where no other number is asked for
MOST_REPEATS = 1000
MOST_NAMED = 3  # copies of one image, in a note
HASHED_AT_ONCE = 8  # images at addresses: each answer takes its time to come


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

    place: Place
    name: str
    sha256: str
    copies: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Returns the path of what lies on this machine, as all does that a page has."""
        return path_of(self.place)

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


def list_subjects(paths: Iterable[Place]) -> tuple[list[Subject], list[PassedOver]]:
    """The pictures that files and folders name, and what else was named or lies in those folders.

    A folder stands for the files in it, not in folders within, in the order of their names; hidden ones are none of
    them, as are the "._" files that Macs leave beside others. The same content counts once, under its first name: two
    copies of an image would pass for two images that agree. Raises BadPicture for a path that does not exist, or a
    folder that cannot be listed.
    """
    others: list[PassedOver] = []
    files: dict[str, Place] = {}  # named twice, or by a link, a file is no copy of itself
    for path in paths:
        for file, reason in _list_inside(path):
            if reason is not None:
                others.append(PassedOver(file, reason))
            else:
                files.setdefault(identify(file), file)
    found: dict[str, Subject] = {}
    for file, sha256 in zip(files.values(), _hash_each([*files.values()]), strict=True):
        subject = Subject(file, file.name, sha256)
        key = sha256 or str(file)
        first = found.setdefault(key, subject)
        if first is not subject:
            found[key] = replace(first, copies=(*first.copies, file.name))
            others.append(PassedOver(file, "the same image as another", first.place))
    return list(found.values()), others


def _list_inside(path: Place) -> Iterator[tuple[Place, Reason | None]]:
    """The file itself, or what is in the folder, and why that is no image to measure on."""
    if isinstance(path, Address):
        if not is_folder(path):
            yield path, None
        else:
            yield from ((inside.address, reason_against_address(inside)) for inside in list_folder(path))
        return
    try:
        inside = sorted(path.iterdir()) if path.is_dir() else None
    except OSError as error:
        raise BadPicture(f"The folder {path} cannot be read ({error.strerror}).") from error
    if inside is None and not path.exists():
        raise BadPicture(f"{path} does not exist.")
    yield from [(path, None)] if inside is None else ((file, reason_against(file)) for file in inside)


def _hash_each(places: list[Place]) -> list[str]:
    """Returns the sha256 of each; at addresses, where reading takes longer than hashing, of several at once."""
    if not any(isinstance(place, Address) for place in places):
        return [*map(_hash_or_empty, places)]
    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        return [*pool.map(_hash_or_empty, places)]


def _hash_or_empty(place: Place) -> str:
    if isinstance(place, Path) and not place.is_file():  # a pipe would never end
        return ""
    try:
        source = load(place)
        return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else sha256_of(source)
    except (OSError, BadPicture):
        return ""  # reading it as a picture will say why
