"""Which format a file is of, by how it begins; and the names of formats that cannot be read."""

import re

from pipelines.images.boxes import list_boxes
from pipelines.images.png import PNG_SIGNATURE

READABLE = ("PNG", "JPEG", "WebP", "TIFF", "BMP", "GIF", "AVIF", "HEIC")

_STARTS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("PNG", re.compile(re.escape(PNG_SIGNATURE))),
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("TIFF", re.compile(rb"II[*+]\0(?!\x10\0\0\0CR)|MM\0[*+]")),
    ("BMP", re.compile(rb"BM")),
    ("GIF", re.compile(rb"GIF8[79]a")),
)
# What people have besides, and is named so that they know what to convert.
_OTHERS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a JPEG XL image", re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")),
    ("a JPEG 2000 image", re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
    ("a Photoshop document (PSD)", re.compile(rb"8BPS")),
    ("an icon (ICO)", re.compile(rb"\0\0[\x01\x02]\0[^\0]\0")),
    ("a PDF document", re.compile(rb"%PDF-")),
    ("a PostScript drawing", re.compile(rb"%!PS|\xc5\xd0\xd3\xc6")),
    ("an OpenEXR image", re.compile(rb"v/1\x01")),
    ("a Radiance HDR image", re.compile(rb"#\?RADIANCE|#\?RGBE")),
    ("a JPEG XR image", re.compile(rb"II\xbc\x01")),
    ("a DirectDraw surface (DDS)", re.compile(rb"DDS ")),
    ("a QOI image", re.compile(rb"qoif")),
    ("a Netpbm image", re.compile(rb"P[1-7fF]\s")),
    ("a GIMP image (XCF)", re.compile(rb"gimp xcf")),
    ("a camera's raw file", re.compile(rb"II\*\0\x10\0\0\0CR|FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|FOVb|\0MRM")),
    ("the hidden companion that macOS leaves beside a file", re.compile(rb"\0\x05\x16\x07\0\x02\0\0")),
    ("a video (Matroska or WebM)", re.compile(rb"\x1a\x45\xdf\xa3")),
    ("a video (AVI)", re.compile(rb"RIFF.{4}AVI ", re.DOTALL)),
    ("an archive (ZIP)", re.compile(rb"PK\x03\x04")),
    ("a web page, not an image", re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE)),
    ("an SVG drawing", re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:.{0,4000}<)?svg[\s>]", re.DOTALL)),
)
# The last three are the container's alone: what is in it shows when it is opened.
_HEIC = {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1", "miaf"}
_AVIF = {"avif", "avis"}


def recognise(data: bytes) -> str | None:
    """Returns the format of a file that can be read, one of READABLE; None for anything else."""
    brands = set(_brands(data))
    if _AVIF & brands:
        return "AVIF"
    if _HEIC & brands:
        return "HEIC"
    return next((name for name, start in _STARTS if start.match(data)), None)


def name_other(data: bytes) -> str | None:
    """Returns what a file is that cannot be read, with its article; None where that is not known."""
    brands = _brands(data)
    if brands:
        if "crx " in brands:
            return "a camera's raw file"
        return "a video (MP4 or QuickTime)"
    return next((name for name, start in _OTHERS if start.match(data)), None)


def _brands(data: bytes) -> list[str]:
    """Returns the major and the compatible brands of a file of boxes; none for any other (ISO/IEC 14496-12, 4.3)."""
    box = next(list_boxes(data, 0, min(len(data), 4096)), None)
    if box is None or box.name != "ftyp":
        return []
    block = data[box.start : box.end]
    return [block[at : at + 4].decode("latin-1") for at in range(0, len(block) - 3, 4) if at != 4]
