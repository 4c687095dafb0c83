"""ICC profiles for colours that a file describes in another way, where the output has no place for that way.

Matrix profiles of version 4 (ICC.1:2022): primaries are adapted to D50 by Bradford's matrix, and curves are parametric.
Code points are those of ITU-T H.273.
"""

import struct

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Picture

_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of white, red, green, blue
_PRIMARIES = {
    1: _SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (0.3127, 0.3290, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_REC709 = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)  # g, a, b, c, d of ICC's third kind of curve
_CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), _REC709),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_USUAL_GAMMA = 0.0005  # how far 1 / 2.2 may be off and still be what writers put in for sRGB


def find_profile(picture: Picture) -> bytes | None:
    """Returns the profile of a picture's colours: its own, or one made of what its extras say; None for plain sRGB."""
    return picture.icc if picture.icc is not None else make_profile(picture, picture.grey)


def make_profile(picture: Picture, grey: bool) -> bytes | None:
    """Returns the profile of what a picture's extras say of colours; None for plain sRGB, or what none can tell.

    `grey` makes one for a file of a single channel. Brightness of HDR (PQ and HLG) is beyond such a profile.
    """
    described = describe_colour(picture)
    if described is None:
        return None
    primaries, curve = described
    white = _xyz(*primaries[:2])
    tags = {
        b"desc": _text("made from what the file says"),
        b"cprt": _text("no copyright, use freely"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50),
    }
    shape = b"para\0\0\0\0" + struct.pack(">HH", 0 if len(curve) == 1 else 3, 0) + _fixed(*curve)
    if grey:
        tags[b"kTRC"] = shape
    else:
        cone = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
        adapted = np.linalg.inv(_BRADFORD) @ cone @ _BRADFORD
        columns = np.stack([_xyz(*primaries[at : at + 2]) for at in (2, 4, 6)], axis=1)
        matrix = adapted @ (columns * np.linalg.solve(columns, white))
        for channel, name in enumerate((b"r", b"g", b"b")):
            tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(*matrix[:, channel])
            tags[name + b"TRC"] = shape
    return _assembled(tags, b"GRAY" if grey else b"RGB ")


def describe_colour(picture: Picture) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Returns white, red, green and blue as x and y, and the curve's numbers, of colours that are not plain sRGB's.

    None for those, and for what no matrix and curve can tell. cICP counts before sRGB, and that before gAMA and cHRM.
    """
    colour = dict(picture.extras.colour)
    if "cICP" in colour:
        first, transfer, *_ = colour["cICP"]
        if first not in _PRIMARIES or transfer not in _CURVES or (first, transfer) == (1, 13):
            return None
        return _PRIMARIES[first], _CURVES[transfer]
    if "gAMA" not in colour or "sRGB" in colour:
        return None
    gamma = int.from_bytes(colour["gAMA"]) / 100_000
    named = tuple(value / 100_000 for value in struct.unpack(">8I", colour["cHRM"])) if "cHRM" in colour else _SRGB
    usual = abs(gamma - 1 / 2.2) < _USUAL_GAMMA and np.allclose(named, _SRGB, atol=0.001)
    if usual or not 0.01 < gamma < 100 or not all(named[1::2]):
        return None
    columns = np.stack([_xyz(*named[at : at + 2]) for at in (2, 4, 6)], axis=1)
    # What writers put in for sRGB's curve, and browsers read as that.
    curve = _CURVES[13] if abs(gamma - 1 / 2.2) < _USUAL_GAMMA else (1 / gamma,)
    return None if abs(np.linalg.det(columns)) < 1e-6 else (named, curve)


def _xyz(x: float, y: float) -> npt.NDArray[np.float64]:
    """Returns the colour of these coordinates with a luminance of 1."""
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(*values: float) -> bytes:
    """Returns numbers as ICC's signed 15.16 fixed point."""
    return b"".join(struct.pack(">i", int(np.clip(round(value * 65536), -(2**31), 2**31 - 1))) for value in values)


def _text(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(words), 28) + words


def _assembled(tags: dict[bytes, bytes], space: bytes) -> bytes:
    """Returns a display profile of the tags (7.2 and 7.3)."""
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, contents in tags.items():
        padded = contents + bytes(-len(contents) % 4)
        table += name + struct.pack(">II", at + len(body), len(contents))
        body += padded
    header = struct.pack(">I4xI4s4s4s", at + len(body), 0x04400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*_D50) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body
