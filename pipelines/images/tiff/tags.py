"""What becomes of each tag of a TIFF file. One that is not known here is left out, and a note gives its number."""

from collections.abc import Iterable

from pipelines.images.inventory import note_left_out
from pipelines.images.tiff.directories import ORIENTATION, PROFILE, SUB_DIRECTORIES, Directory

DESCRIPTIVE = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432)  # description, maker, resolution, date, author
EXIF, GPS, INTEROPERABILITY, XMP, IPTC = 0x8769, 0x8825, 0xA005, 700, 33723

_CARRIED = frozenset({*DESCRIPTIVE, EXIF, GPS, PROFILE, XMP, IPTC})
# How the pixels are stored, which ends with them, the place of a page among others, and what is read of several.
_CODING = frozenset({*range(254, 260), 262, 263, 264, 265, 266, ORIENTATION, *range(277, 282), 273, 284, 288, 289, 292,
                     293, 297, 317, 320, *range(322, 329), SUB_DIRECTORIES, 332, 334, 338, 339, 340, 341, 347,
                     *range(512, 522), *range(529, 533), 559, 32995, 32996})  # fmt: skip
_LEFT_OUT = {
    269: "the document's name", 285: "the page's name", 286: "the page's position", 287: "the page's position",
    290: "a grey response curve", 291: "a grey response curve", 301: "a transfer function", 316: "the host computer",
    318: "calibrated colours", 319: "calibrated colours", 321: "halftone hints", 333: "the inks' names",
    336: "the dots' range", 337: "the target printer", 18246: "a rating", 18249: "a rating",
    33550: "the place on a map", 33922: "the place on a map", 34264: "the place on a map",
    34377: "Photoshop's resources", 34735: "the place on a map", 34736: "the place on a map",
    34737: "the place on a map", 37724: "Photoshop's layers", 40091: "Windows' title", 40092: "Windows' comment",
    40093: "Windows' author", 40094: "Windows' keywords", 40095: "Windows' subject", 42112: "GDAL's metadata",
    42113: "GDAL's value for no data", 50341: "print matching", 50838: "ImageJ's metadata", 50839: "ImageJ's metadata",
}  # fmt: skip


def describe_left_out(directory: Directory) -> tuple[str, ...]:
    """Returns the note that names what is neither part of the pixels nor carried on; none where nothing is."""
    return note_left_out(list(dict.fromkeys(_name_left_out(directory.tags()))))


def _name_left_out(tags: Iterable[int]) -> Iterable[str]:
    return (_LEFT_OUT.get(tag, f"tag {tag}") for tag in tags if tag not in _CARRIED and tag not in _CODING)
