"""The boxes that AVIF, HEIC and MP4 files consist of (ISO/IEC 14496-12), and what of them a decoder needs help with."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

MOST_BOXES = 10_000  # that are looked at, one behind another; a hostile file can hold millions
_SAMPLE_ENTRY = 78  # bytes of a visual sample entry before its boxes; its width and height are 24 bytes in
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")


class Box(NamedTuple):
    """One box: its type, and where its contents begin and end in the file."""

    name: str
    start: int
    end: int


class Track(NamedTuple):
    """The track of an image sequence that is shown: width and height, and the boxes that describe it, by name."""

    size: tuple[int, int]
    boxes: Mapping[str, Box]


def list_boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yields the boxes between two places of a file, as long as they are whole; the last one may be cut."""
    at = start
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        size, header = int.from_bytes(data[at : at + 4]), 8
        if size == 1 and at + 16 <= end:
            size, header = int.from_bytes(data[at + 8 : at + 16]), 16
        elif size == 0:
            size = end - at
        if size < header:
            return
        yield Box(data[at + 4 : at + 8].decode("latin-1"), at + header, min(at + size, end))
        at += size


def read_track(data: bytes) -> Track | None:
    """Returns the first track that is no other's opacity; None in a file that is no image sequence first of all."""
    top = _by_name(data, 0, len(data))
    brand, movie = top.get("ftyp"), top.get("moov")
    if brand is None or movie is None or data[brand.start : brand.start + 4] != b"avis":
        return None
    for track in list_boxes(data, movie.start, movie.end):
        inside = _by_name(data, track.start, track.end)
        entry = _find(data, track, "mdia", "minf", "stbl", "stsd")
        if track.name != "trak" or "tref" in inside or entry is None:
            continue
        entry = next(list_boxes(data, entry.start + 8, entry.end), None)
        if entry is not None and entry.name == "av01" and entry.end - entry.start >= _SAMPLE_ENTRY:
            width, height = struct.unpack_from(">HH", data, entry.start + 24)
            return Track((width, height), _by_name(data, entry.start + _SAMPLE_ENTRY, entry.end))
    return None


def give_alpha_its_size(data: bytes) -> bytes:
    """Returns the file with the size of its image told of its opacity too, where only that is missing.

    Some encoders leave it out (libavif's pull request 745), browsers take the image's, and the decoder here refuses the
    file. Places in a file are told from its beginning, so nothing is moved: what describes the items is written anew
    behind the end, and the old one is to be passed over.
    """
    meta = _by_name(data, 0, len(data)).get("meta")
    if meta is None or int.from_bytes(data[meta.start - 8 : meta.start - 4]) != meta.end - meta.start + 8:
        return data
    parts = _by_name(data, meta.start + 4, meta.end)
    properties = parts.get("iprp")
    container = {} if properties is None else _by_name(data, properties.start, properties.end)
    if properties is None or "pitm" not in parts or "ipco" not in container or "ipma" not in container:
        return data
    association = _add_sizes(data, parts["pitm"], container["ipco"], container["ipma"])
    if association is None:
        return data
    fresh = data[meta.start : meta.start + 4]
    for box in list_boxes(data, meta.start + 4, meta.end):
        fresh += (
            _replaced(data, properties, container["ipma"], association) if box == properties else _copied(data, box)
        )
    return _closed(data[: meta.start - 4] + b"skip" + data[meta.start :]) + _box("meta", fresh)


def read_associations(block: bytes) -> dict[int, list[int]]:
    """Returns the numbers of each item's properties in an ipma box, as they stand there: see `strip_essential`."""
    told: dict[int, list[int]] = {}
    if len(block) < 8:
        return told
    id_length, length, at = 4 if block[0] >= 1 else 2, 2 if block[3] & 1 else 1, 8
    for _ in range(min(int.from_bytes(block[4:8]), MOST_BOXES)):
        item, count = int.from_bytes(block[at : at + id_length]), at + id_length
        if count >= len(block):
            break
        at = count + 1
        told[item] = [int.from_bytes(block[at + n * length : at + (n + 1) * length]) for n in range(block[count])]
        at += block[count] * length
    return told


def strip_essential(block: bytes, numbers: Iterable[int]) -> list[int]:
    """Returns the numbers of properties, from 1, without the bit that says that a reader must know one."""
    mask = 0x7FFF if block[3] & 1 else 0x7F
    return [number & mask for number in numbers]


def _add_sizes(data: bytes, primary: Box, properties: Box, associations: Box) -> bytes | None:
    """Returns the contents of an ipma box in which each opacity has a size; None where none lacks one."""
    known = list(enumerate(list_boxes(data, properties.start, properties.end), 1))
    sizes = {number for number, box in known if box.name == "ispe"}
    alphas = {number for number, box in known if box.name == "auxC" and data[box.start + 4 : box.end] in _ALPHA}
    block = data[associations.start : associations.end]
    told = read_associations(block)
    plain = {item: strip_essential(block, numbers) for item, numbers in told.items()}
    shown = int.from_bytes(data[primary.start + 4 : primary.end])
    own = next((number for number in plain.get(shown, ()) if number in sizes), None)
    lacking = {item for item, numbers in plain.items() if alphas & {*numbers} and not sizes & {*numbers}}
    if own is None or not lacking:
        return None
    return _write_associations(block, {item: [own] * (item in lacking) + told[item] for item in told})


def _replaced(data: bytes, around: Box, old: Box, new: bytes) -> bytes:
    """Returns a box with the contents of one of those in it replaced."""
    inside = list_boxes(data, around.start, around.end)
    return _box(around.name, b"".join(_box(old.name, new) if each == old else _copied(data, each) for each in inside))


def _copied(data: bytes, box: Box) -> bytes:
    return _box(box.name, data[box.start : box.end])


def _closed(data: bytes) -> bytes:
    """Returns the file with the size of its last box written out, where that said only that it goes to the end."""
    last = Box("", 0, 0)
    for box in list_boxes(data, 0, len(data)):
        last = box
    at = last.start - 8
    if at >= 0 and data[at : at + 4] == b"\0\0\0\0":
        return data[:at] + (len(data) - at).to_bytes(4) + data[at + 4 :]
    return data


def _box(name: str, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + name.encode("latin-1") + content


def _by_name(data: bytes, start: int, end: int) -> dict[str, Box]:
    """Returns the first box of each name."""
    found: dict[str, Box] = {}
    for box in list_boxes(data, start, end):
        found.setdefault(box.name, box)
    return found


def _find(data: bytes, inside: Box, *names: str) -> Box | None:
    """Returns the box at the end of a path of names; None where there is none."""
    box: Box | None = inside
    for name in names:
        box = _by_name(data, box.start, box.end).get(name) if box is not None else None
    return box


def _write_associations(block: bytes, told: Mapping[int, list[int]]) -> bytes:
    """Returns the contents of an ipma box of the same kind as `block`."""
    id_length, length = 4 if block[0] >= 1 else 2, 2 if block[3] & 1 else 1
    entries = (
        item.to_bytes(id_length) + bytes([len(numbers)]) + b"".join(number.to_bytes(length) for number in numbers)
        for item, numbers in told.items()
    )
    return block[:4] + len(told).to_bytes(4) + b"".join(entries)
