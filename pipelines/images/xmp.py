"""XMP packets, changed where they tell of a picture's orientation and size (Adobe's "XMP Specification Part 2")."""

import re

_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>\s*))[2-8](?=\s*[\"'<])")
_SIZES = re.compile(
    rb"((?:tiff:Image|exif:Pixel)(Width|Length|XDimension|YDimension)\s*(?:=\s*[\"']|>\s*))\d+(?=\s*[\"'<])"
)


def turn_upright(packet: bytes) -> bytes:
    """Returns the packet of a picture to which its orientation was applied."""
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def resize(packet: bytes, width: int, height: int) -> bytes:
    """Returns the packet of a picture that is now this wide and high."""

    def write(match: re.Match[bytes]) -> bytes:
        return match[1] + str(width if match[2] in (b"Width", b"XDimension") else height).encode()

    return _SIZES.sub(write, packet)
