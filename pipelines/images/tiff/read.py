"""A picture out of a TIFF file. Its own tags decide what it is, and only then is anything decoded.

Pillow opens many kinds of TIFF as something that they are not: channels one after another as interleaved, a thumbnail
as the picture, strips that are missing as whatever lay in memory. So it is not asked.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from pipelines.errors import BadPicture
from pipelines.images.inventory import describe_first_of
from pipelines.images.picture import Extras, wrap_iptc
from pipelines.images.samples import Samples
from pipelines.images.tiff.colours import to_samples
from pipelines.images.tiff.directories import (
    ORIENTATION,
    PROFILE,
    Contents,
    Directory,
    Unreadable,
    find_picture,
    follow,
)
from pipelines.images.tiff.layout import CONVERTED, read_layout
from pipelines.images.tiff.pieces import read_pixels
from pipelines.images.tiff.tags import DESCRIPTIVE, EXIF, GPS, INTEROPERABILITY, IPTC, XMP, describe_left_out


class TiffPicture(NamedTuple):
    """Samples as stored, not yet turned upright, and what the file says of them."""

    samples: Samples
    orientation: int
    icc: bytes | None
    exif: bytes | None
    extras: Extras
    notes: tuple[str, ...]


def read_tiff(data: bytes, name: str, check_size: Callable[[int, int], None]) -> TiffPicture:
    """The first whole picture of a TIFF file. `check_size` gets its width and height before anything is decoded.

    Raises BadPicture, which begins with `name` and tells what the file is, for any that is not read right.
    """
    try:
        contents = find_picture(data)
        layout = read_layout(contents.chosen, check_size)
        samples, notes = to_samples(contents.chosen, layout, read_pixels(contents.chosen, layout))
        # That of other colours belongs to what was stored, and has been used for what is here.
        profile = None if layout.photometric in CONVERTED else contents.chosen.field(PROFILE)
    except Unreadable as error:
        raise BadPicture(f"{name} {error}.") from error
    extras, damage = _extras(contents.chosen)
    return TiffPicture(
        samples,
        _orientation(contents),
        None if profile is None else profile[2],
        _exif_block(contents.chosen),
        extras,
        _first_of(contents) + notes + damage + describe_left_out(contents.chosen),
    )


def read_tiff_size(data: bytes, name: str, check_size: Callable[[int, int], None]) -> tuple[int, int]:
    """Width and height of what `read_tiff` would give, once upright, from the tags alone."""
    try:
        contents = find_picture(data)
        layout = read_layout(contents.chosen, check_size)
    except Unreadable as error:
        raise BadPicture(f"{name} {error}.") from error
    size = layout.width, layout.height
    return size[::-1] if _orientation(contents) >= 5 else size


def _extras(directory: Directory) -> tuple[Extras, tuple[str, ...]]:
    """Returns the XMP packet and the IPTC record, and a note of one that is not bytes or lies beyond the file."""
    found, notes = {}, []
    for tag, what in ((XMP, "an XMP packet"), (IPTC, "IPTC captions")):
        try:
            field = directory.field(tag)
        except Unreadable:
            notes.append(f"left out: {what}, which is damaged")
            continue
        if field is not None and field[0] in (1, 7):
            found[tag] = field[2]
        elif field is not None:
            notes.append(f"left out: {what}, which is not stored as bytes")
    record = found.get(IPTC)
    return Extras(xmp=found.get(XMP), iptc=None if record is None else wrap_iptc(record)), tuple(notes)


def _first_of(contents: Contents) -> tuple[str, ...]:
    notes = describe_first_of(contents.pages, "pages")
    return notes if contents.is_first else (*notes, "its thumbnail was passed over")


def _orientation(contents: Contents) -> int:
    found = contents.chosen.number(ORIENTATION, 1)
    return found if 1 <= found <= 8 else 1


def _exif_block(directory: Directory) -> bytes | None:
    """An EXIF block of the tags that describe the picture and of its EXIF and GPS directories, as they are stored.

    None without any; an empty one, which counts as broken, where one lies beyond the file or they are longer than it.
    """
    try:
        fields = _fields(directory, DESCRIPTIVE)
        below = {}
        for tag in (EXIF, GPS):
            inner = follow(directory, tag)
            if inner is not None and (found := _fields(inner, inner.tags())):
                below[tag] = found
        if sum(len(values) for part in (fields, *below.values()) for _, _, values in part.values()) > len(
            directory.data
        ):
            return b""
    except Unreadable:
        return b""
    if not fields and not below:
        return None
    order = directory.order
    # The pointers' values follow from how long the first directory is, so it is laid out twice.
    pointers = dict.fromkeys(below, 0)
    block = b""
    for _ in range(2):
        leading = {tag: (4, 1, struct.pack(order + "I", at)) for tag, at in pointers.items()}
        block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
        block += _directory(fields | leading, 8, order)
        for tag, found in below.items():
            pointers[tag] = len(block)
            block += _directory(found, len(block), order)
    return block


Field = tuple[int, int, bytes]


def _fields(directory: Directory, tags: tuple[int, ...] | list[int]) -> dict[int, Field]:
    """Those of the tags that the directory has and whose types EXIF has too; not pointers, which would lead nowhere."""
    found, total = {}, 0
    for tag in dict.fromkeys(tags):
        field = directory.field(tag)
        if field is None or field[0] > 12 or tag == INTEROPERABILITY:
            continue
        total += len(field[2])
        if total > len(directory.data):
            raise Unreadable("is damaged: its tags are longer than the file")
        found[tag] = field
    return found


def _directory(fields: dict[int, Field], at: int, order: str) -> bytes:
    """A directory that lies at `at` of its block, and behind it the values that do not fit into its entries."""
    entries, values = [], b""
    start = at + 2 + 12 * len(fields) + 4
    for tag, (type_, number, value) in sorted(fields.items()):
        if len(value) > 4:
            value, values = struct.pack(order + "I", start + len(values)), values + value + bytes(len(value) % 2)
        entries.append(struct.pack(order + "HHI", tag, type_, number) + value.ljust(4, b"\0"))
    return struct.pack(order + "H", len(fields)) + b"".join(entries) + bytes(4) + values
