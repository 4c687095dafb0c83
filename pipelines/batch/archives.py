"""Images out of a zip that somebody sent, and results into one.

A zip may be made to harm: it is read by what it says of itself first, within bounds, and no path in it is one here.
"""

import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from pipelines import files
from pipelines.batch.jobs import Source
from pipelines.environment import MEGA
from pipelines.errors import BadPicture, CannotWrite
from pipelines.images.listing import IMAGE_SUFFIXES, SYSTEM_FOLDERS, PassedOver, Reason
from pipelines.phrasing import printable

STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # with a file, and without any
ARCHIVE_SUFFIXES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".cbz"})
MOST_READ = 1_000_000  # bytes at once; also of a zip's list of files, some 10 000 of them
LONGEST_NAME = 200  # bytes
ENCRYPTED = 0x1  # of an entry's flags


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a zip may hold: images, bytes of each, and bytes of all of them together, unpacked.

    `other_images` and `other_bytes` are what was sent with it, and count as well. `room` are the bytes that there are
    for it, and `no_room` says why not more.
    """

    images: int
    file_bytes: int
    bytes: int
    other_images: int = 0
    other_bytes: int = 0
    room: int = sys.maxsize
    no_room: str = "no room is left."


class _Cautious(BufferedReader):
    """A file of which nobody reads much at once: `zipfile` reads a list of files whole, however long."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MOST_READ:
            raise BadZipFile("its list of files is too long")
        return super().read(size)


def is_archive(path: Path) -> bool:
    """Returns whether the file begins as a zip does, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(4) in STARTS
    except OSError:
        return False


def unpack_images(archive: Path, name: str, folder: Path, bounds: Bounds) -> tuple[list[Source], list[PassedOver]]:
    """Unpacks the images of a zip into the folder, in the order of their names; also says what else is in it.

    Each file is alone in a folder with a number; what it is called in the zip is its `relative`. `name` is what the zip
    is called. Raises BadPicture, and no file stays, where it is damaged, protected by a password, more than the bounds
    allow, or has files for a place outside its folder; CannotWrite where there is no room.
    """
    said = printable(name)
    made: list[Path] = []
    try:
        with _Cautious(FileIO(archive)) as file, ZipFile(file) as opened:
            chosen, others = _choose(opened.infolist(), said, bounds)
            sources = []
            for number, (relative, entry) in enumerate(chosen, 1):
                made.append(folder / str(number) / _name_file(relative))
                made[-1].parent.mkdir()
                _unpack(opened, entry, made[-1], said)
                sources.append(Source(made[-1], relative))
            return sources, others
    except BaseException as error:
        for path in made:
            shutil.rmtree(path.parent, ignore_errors=True)
        if isinstance(error, BadZipFile | struct.error | EOFError | UnicodeError | ValueError):
            raise BadPicture(f"{said} is not a zip that can be read: it is damaged, or has too many files.") from error
        if isinstance(error, OSError):
            raise BadPicture(f"{said} cannot be read.") from error
        raise


def _choose(
    entries: Sequence[ZipInfo], said: str, bounds: Bounds
) -> tuple[list[tuple[PurePath, ZipInfo]], list[PassedOver]]:
    """The images by their names, and what is no image. Raises BadPicture."""
    chosen: list[tuple[PurePath, ZipInfo]] = []
    others: list[PassedOver] = []
    for entry in entries:
        if entry.is_dir():
            continue
        relative = _read_name(entry.filename, said)
        if reason := _reason_against(relative, entry):
            others.append(PassedOver(Path(relative), reason))
        else:
            chosen.append((relative, entry))
    if any(entry.flag_bits & ENCRYPTED for _, entry in chosen):
        raise BadPicture(f"{said} is protected by a password. Send it without one.")
    if any(entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for _, entry in chosen):
        raise BadPicture(f"{said} is compressed in an unusual way. Save it as an ordinary zip.")
    if not chosen:
        inner = any(each.reason == "archives within an archive" for each in others)
        raise BadPicture(f"{said} has no images in it{', only other archives' * inner}.")
    if (count := bounds.other_images + len(chosen)) > bounds.images:
        who = f"{said} and what was sent with it have" if bounds.other_images else f"{said} has"
        raise BadPicture(f"{who} {count} images. The limit is {bounds.images}.")
    for relative, entry in chosen:
        if entry.file_size > bounds.file_bytes:
            limit = f"The limit is {bounds.file_bytes / MEGA:g} MB."
            raise BadPicture(f"{printable(str(relative))} in {said} is {entry.file_size / MEGA:.0f} MB. {limit}")
    own = sum(entry.file_size for _, entry in chosen)
    if (whole := bounds.other_bytes + own) > bounds.bytes:
        where = f"{said} and the zips sent with it" if bounds.other_bytes else said
        limit = f"The limit is {bounds.bytes / MEGA:g} MB."
        raise BadPicture(f"The images in {where} are {whole / MEGA:.0f} MB unpacked. {limit}")
    if own > bounds.room:
        raise CannotWrite(f"{said} cannot be unpacked: {bounds.no_room}")
    return sorted(chosen, key=lambda each: each[0].as_posix()), others


def _read_name(name: str, said: str) -> PurePath:
    """Returns the name as a path below the zip's folder. Raises BadPicture for one that leads elsewhere."""
    path = PurePosixPath(name.replace("\\", "/"))  # as some programs of Windows write it
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or not path.name:
        raise BadPicture(f"{said} is refused: it has a file for a place outside its folder, {printable(name)}.")
    return PurePath(path)


def _name_file(relative: PurePath) -> str:
    """Returns the name of the file on the disk, which messages say."""
    fits = len(relative.name.encode(errors="replace")) <= LONGEST_NAME
    return relative.name if fits else f"image{relative.suffix[:16]}"


def _reason_against(relative: PurePath, entry: ZipInfo) -> Reason | None:
    """Returns why an entry is not an image to take; None if it may be one."""
    if SYSTEM_FOLDERS & {*relative.parts}:
        return "kept by a system"
    if any(part.startswith(".") for part in relative.parts):
        return "hidden"
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):  # a link leads to what is not in the zip
        return "not files"
    suffix = relative.suffix.lower()
    if suffix in ARCHIVE_SUFFIXES:
        return "archives within an archive"
    return None if suffix in IMAGE_SUFFIXES else "not named as images are"


def _unpack(opened: ZipFile, entry: ZipInfo, path: Path, said: str) -> None:
    """Writes one file: never more bytes than the zip said. Raises BadPicture for a damaged one, and CannotWrite."""
    try:
        with opened.open(entry) as content, path.open("wb") as file:
            while data := content.read(MOST_READ):
                try:
                    file.write(data)
                except OSError as error:
                    raise CannotWrite(f"{said} cannot be unpacked: no room is left.") from error
    except (BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise BadPicture(f"{said} is damaged: {printable(entry.filename)} cannot be unpacked.") from error


class Archive:
    """A zip of results that grows: each file moves into it as soon as it is there, so none is on the disk twice.

    It is whole after each of them, whatever ends the work then.
    """

    def __init__(self, path: Path) -> None:
        """Makes the file. Raises CannotWrite."""
        files.check_writable(path)
        self.path = path
        try:
            ZipFile(path, "w").close()
        except OSError as error:
            raise CannotWrite("The zip cannot be written: no room is left.") from error

    def take(self, path: Path, name: str) -> None:
        """Moves a file into it under that name. Raises CannotWrite; the zip keeps what it had."""
        with self.path.open("rb") as file, ZipFile(file) as opened:
            file.seek(start := opened.start_dir)
            listed = file.read()  # what is in it, which the file is written over
        try:
            with self.path.open("r+b") as grown, ZipFile(grown, "a", ZIP_STORED, strict_timestamps=False) as opened:
                opened.write(path, name)  # as it is: it is compressed already
        except BaseException as error:
            with self.path.open("r+b") as shrunk:  # there is room for the list again where it was
                shrunk.truncate(start)
                shrunk.seek(start)
                shrunk.write(listed)
            if isinstance(error, OSError):
                raise CannotWrite(f"{printable(name)} cannot be added to the zip: no room is left.") from error
            if isinstance(error, ValueError | struct.error):
                raise CannotWrite(f"{printable(name)} is not a name that a file in a zip can have.") from error
            raise
        path.unlink(missing_ok=True)


def read_result(archive: Path, name: str) -> bytes | None:
    """Returns the content of a file in a zip of results; None where there is none."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(name)
    except (OSError, KeyError, BadZipFile):
        return None
