"""What a file says beside its pixels, found by walking it before a decoder sees it. Knows no format.

Each format's module walks its own chunks, segments, boxes or tags and makes one Inventory. A place that its table does
not know is left out, and what is left out becomes a note by itself: a new chunk cannot be lost in silence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from pipelines.images.picture import NO_EXTRAS, Extras

# "coding": belongs to how the pixels are stored, and ends with them. "converted": its meaning is in the Picture in
# another form, which a note tells where that matters.
Fate: TypeAlias = Literal["coding", "carried", "converted", "left out"]

MOST_COUNTED = 1000
"""Counting frames stops here: a hostile file can hold millions."""

_MOST_NAMED = 8


class Unreadable(Exception):
    """Why nothing can be said of a file, as a sentence goes on after its name: "is damaged"."""


class Part(NamedTuple):
    """One thing that a file says: where it stands ("gAMA", "APP13", "tag 269"), what becomes of it, what it is."""

    place: str
    fate: Fate
    what: str = ""  # in a note's words: "an XMP packet"; empty for coding


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a file says, and the bytes for a decoder: without what has been read here already.

    `size` is width and height by the header, before orientation and crop. `icc` and `exif` are as the file has them,
    unchecked, and empty where they cannot be put together; None where there is none. `frames` is how many pictures
    there are, counted up to MOST_COUNTED, and `frame` what the format calls one of several ("frames").
    `refusal` is why the pixels cannot be read, as a sentence goes on after the file's name ("is damaged"); what the
    header says stands all the same, so that a size beyond the limits is told first.
    """

    data: bytes
    size: tuple[int, int] | None = None
    parts: tuple[Part, ...] = ()
    icc: bytes | None = None
    exif: bytes | None = None
    extras: Extras = NO_EXTRAS
    frames: int = 1
    frame: str = "frames"
    notes: tuple[str, ...] = ()
    refusal: str = ""
    crop: tuple[int, int, int, int] | None = None  # left, top, right, bottom, before orientation


def list_part(place: str, known: Mapping[str, tuple[Fate, str]], unknown: str) -> Part:
    """Returns the part at a place by a format's table; what that does not know is left out as `unknown` and place."""
    fate, what = known.get(place, ("left out", f"{unknown} {place}"))
    return Part(place, fate, what)


def list_behind(data: bytes, end: int) -> tuple[Part, ...]:
    """Returns the part for what stands behind a file's end, such as the film of a motion photo; padding is nothing."""
    return (Part("behind the end", "left out", "data behind its end"),) if data[end:].strip(b"\0\r\n ") else ()


def describe_left_out(parts: Iterable[Part]) -> tuple[str, ...]:
    """Returns the note that names what is left out, each kind once and with its number; none where nothing is."""
    counts: dict[str, int] = {}
    for part in parts:
        if part.fate == "left out":
            counts[part.what] = counts.get(part.what, 0) + 1
    return note_left_out([what if number == 1 else f"{what} ({number})" for what, number in counts.items()])


def note_left_out(named: Sequence[str]) -> tuple[str, ...]:
    """Returns the note that lists these names of what is left out; none where there are none."""
    if not named:
        return ()
    more = len(named) - _MOST_NAMED
    listed = named if more <= 0 else [*named[:_MOST_NAMED], f"{more} more"]
    return ("left out: " + ", ".join(listed),)


def describe_first_of(count: int, what: str) -> tuple[str, ...]:
    """Returns the note for a file of `count` frames, of which only the first is read; none for a single one."""
    if count < 2:
        return ()
    number = f"{MOST_COUNTED} or more" if count >= MOST_COUNTED else str(count)
    return (f"first of {number} {what}",)
