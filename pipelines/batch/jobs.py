"""Which images a batch is made of, and the file that each becomes: the tree of folders is kept, no two names meet."""

import os
import string
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipelines.errors import BadPicture, BadSetting
from pipelines.images import door as images
from pipelines.images.addresses import Address, Place, identify, is_folder, list_folder, path_of
from pipelines.images.listing import SYSTEM_FOLDERS, PassedOver, reason_against, reason_against_address
from pipelines.phrasing import printable

SAME = "same"  # the format of the image, where that can be written
PLAIN = "png"  # the format where nobody chooses, or the image's cannot be written
FORMATS = ("png", "webp", "jpg", SAME)
SUFFIX_FIELDS = ("model", "scale")


@dataclass(frozen=True, slots=True)
class Source:
    """An image to upscale, and its path below the folder that was named."""

    place: Place
    relative: PurePath

    @property
    def path(self) -> Path:
        """Returns the path of what lies on this machine, as all does that a page has."""
        return path_of(self.place)


@dataclass(frozen=True, slots=True)
class Job:
    """An image and the file that its result will be; `name` is that file's path below the folder of results."""

    image: Place
    output: Place
    name: str
    meets_input: bool = False  # whether that file is itself an image of the batch

    @property
    def path(self) -> Path:
        """Returns the path of a result that lies on this machine, as all do that a page makes."""
        return path_of(self.output)


def list_sources(
    paths: Iterable[Place], recursive: bool, results: Place, made: Collection[Place] = ()
) -> tuple[list[Source], list[PassedOver]]:
    """The images that files and folders name, in the order of their names, and what is passed over.

    A folder stands for the images in it, with `recursive` also for those of the folders within; links to folders are
    not followed, because they may lead in a circle. The folder of `results`, and files of it that were `made` before,
    are no images to upscale again. Each file counts once, however often it is named. Raises BadPicture for a path
    that does not exist, or a folder that cannot be listed.
    """
    sources: list[Source] = []
    others: list[PassedOver] = []
    seen: set[str] = set()
    earlier, at = {identify(path) for path in made}, identify(results)
    for path in paths:
        if isinstance(path, Address):
            alone = iter([Source(path, PurePath(path.name))])
            found = _walk_address(path, PurePath(), recursive, at, others) if is_folder(path) else alone
        elif path.is_dir():
            found = _walk(path, PurePath(), recursive, at, others)
        elif path.exists():
            found = iter([Source(path, PurePath(path.name))])
        else:
            raise BadPicture(f"{printable(str(path))} does not exist.")
        for source in found:
            real = identify(source.place)
            if real in earlier:
                others.append(PassedOver(source.place, "results of this command"))
            elif real not in seen:
                seen.add(real)
                sources.append(source)
    return sources, others


def _walk(
    folder: Path, relative: PurePath, recursive: bool, results: str, others: list[PassedOver]
) -> Iterator[Source]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        if relative.parts:
            others.append(PassedOver(folder, "not readable"))
            return
        raise BadPicture(f"The folder {printable(str(folder))} cannot be read ({error.strerror}).") from error
    for path in inside:
        if path.is_dir() and not path.name.startswith("."):
            if path.name in SYSTEM_FOLDERS:
                others.append(PassedOver(path, "kept by a system"))
            elif os.path.realpath(path) == results:
                others.append(PassedOver(path, "results of this command"))
            elif not recursive:
                others.append(PassedOver(path, "folders (--recursive looks into them)"))
            elif path.is_symlink():
                others.append(PassedOver(path, "links to folders"))
            else:
                yield from _walk(path, relative / path.name, recursive, results, others)
        elif reason := reason_against(path):
            others.append(PassedOver(path, reason))
        else:
            yield Source(path, relative / path.name)


def _walk_address(
    folder: Address, relative: PurePath, recursive: bool, results: str, others: list[PassedOver]
) -> Iterator[Source]:
    for inside in list_folder(folder):
        at, name = inside.address, inside.address.name
        if inside.is_folder and not name.startswith("."):
            if name in SYSTEM_FOLDERS:
                others.append(PassedOver(at, "kept by a system"))
            elif identify(at) == results:
                others.append(PassedOver(at, "results of this command"))
            elif not recursive:
                others.append(PassedOver(at, "folders (--recursive looks into them)"))
            else:
                yield from _walk_address(at, relative / name, recursive, results, others)
        elif reason := reason_against_address(inside):
            others.append(PassedOver(at, reason))
        else:
            yield Source(at, relative / name)


def write_suffix(template: str, model: str, scale: str) -> str:
    """Returns what stands between the image's name and the dot: of "_{model}_x{scale}" "_swift_x4".

    Raises BadSetting for anything else in braces, and for what no name of a file can have.
    """
    try:
        fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
        if any(name not in SUFFIX_FIELDS or spec or conversion for name, spec, conversion in fields):
            raise ValueError
        suffix = template.format(model=model, scale=scale)
    except ValueError:
        raise BadSetting("In --suffix, braces hold {model} or {scale}, and nothing else.") from None
    if any(sign in suffix for sign in "/\\\0"):
        raise BadSetting("--suffix is part of a file's name: it holds no slash.")
    return suffix


def plan_jobs(sources: Sequence[Source], results: Place, suffix: str, format: str) -> list[Job]:
    """The file that each image becomes, below the folder of `results`.

    Where two images would become one file, as a.jpg and a.png do, each keeps the suffix of its name (a_jpg.png,
    a_png.png), and those that still meet are numbered. Names that differ only in case, or in how an accent is written,
    are one on many a disk, and count as one.
    """
    plain = [source.relative.with_name(_name(source, suffix, format)) for source in sources]
    often = Counter(map(_as_one, plain))
    inputs = {identify(source.place) for source in sources}
    taken: set[str] = {_as_one(path) for path in plain if often[_as_one(path)] == 1}
    jobs = []
    for source, path in zip(sources, plain, strict=True):
        if often[_as_one(path)] > 1:
            ending = source.relative.suffix[1:]
            path = _free(path.with_name(_name(source, f"_{ending}{suffix}" if ending else suffix, format)), taken)
            taken.add(_as_one(path))
        output = results / path
        jobs.append(Job(source.place, output, path.as_posix(), identify(output) in inputs))
    return jobs


def _name(source: Source, suffix: str, format: str) -> str:
    ending = format
    if format == SAME:
        own = source.relative.suffix[1:].lower()
        ending = own if own in images.FORMATS else PLAIN
    return f"{source.relative.stem}{suffix}.{ending}"


def _free(path: PurePath, taken: Collection[str]) -> PurePath:
    """The path, or the first that is free of those with a number behind the name."""
    found, number = path, 1
    while _as_one(found) in taken:
        number += 1
        found = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return found


def _as_one(path: PurePath) -> str:
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
