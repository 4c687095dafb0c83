"""Faxes in TIFF: ITU-T T.4 in one and two dimensions, and T.6. Decoded by libtiff, which is not believed.

libtiff says "decoded" where a fax ends early, and takes rows of the wrong length with a warning that Pillow turns off.
"""

import re
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from pipelines.images.tiff.codecs import CUT, DAMAGED, Shape, decode_by_libtiff, wrap_in_tiff
from pipelines.images.tiff.directories import Unreadable

_RLE, _T4, _T6, _RLE_IN_WORDS = 2, 3, 4, 32771
_ENCODERS = {_RLE: "tiff_ccitt", _T4: "group3", _T6: "group4", _RLE_IN_WORDS: "tiff_raw_16"}
_TWO_DIMENSIONS = 1  # bit of T4Options
_END_OF_ROW = re.compile(rb"0{11,}1")


def expand_faxes(compression: int, pieces: Sequence[bytes], shape: Shape, options: int) -> npt.NDArray[np.uint8]:
    """Strips or tiles of one shape, (pieces, rows, row_bytes) bytes of eight pixels each.

    All strips are decoded into one buffer. So each follows one that is known, white at first and black the second time:
    what then differs was never written. Rows that are coded by themselves are also coded again, since there is one
    way only. Raises Unreadable where either does not agree.
    """
    rows = 2 * shape.rows * len(pieces)
    seen = []
    for colour in (0, 1):
        known = _plain(compression, shape, options, colour)
        both = [each for piece in pieces for each in (known, piece)]
        file = wrap_in_tiff(compression, both, shape.width, rows, shape.rows, 1, options)
        packed = np.frombuffer(decode_by_libtiff(file, "1", shape.width, rows).tobytes("raw", "1"), np.uint8)
        seen.append(packed.reshape(len(pieces), 2, shape.rows, shape.row_bytes)[:, 1])
    if not np.array_equal(seen[0], seen[1]):
        raise Unreadable(CUT)
    if compression != _T6:
        _check_again(compression, pieces, shape, options, seen[0])
    return seen[0]


def _check_again(
    compression: int, pieces: Sequence[bytes], shape: Shape, options: int, decoded: npt.NDArray[np.uint8]
) -> None:
    """Raise Unreadable where the decoded rows, coded again, are not what was stored."""
    again = _encoded(compression, decoded.tobytes(), shape.width, shape.rows * len(pieces), shape)
    for piece, code in zip(pieces, again, strict=True):
        if compression != _T4:
            if not piece.startswith(code):
                raise Unreadable(DAMAGED)
            continue
        stored, right = _rows(piece)[: shape.rows], _rows(code)[: shape.rows]
        if options & _TWO_DIMENSIONS:
            # A bit tells of each row whether it is coded by itself; only then is it the same again.
            right = [had if had[:1] == b"0" else b"1" + row for row, had in zip(right, stored, strict=False)]
        if len(stored) < shape.rows or stored != right:
            raise Unreadable(DAMAGED)


def _rows(code: bytes) -> list[bytes]:
    """The code of each row of T.4, as digits of bits, without the zeros that may fill it up before its end."""
    bits = (np.unpackbits(np.frombuffer(code, np.uint8)) + ord("0")).tobytes()
    first, *rows = _END_OF_ROW.split(bits)
    return [row.rstrip(b"0") for row in ([first, *rows] if first.strip(b"0") else rows)]


def _plain(compression: int, shape: Shape, options: int, colour: int) -> bytes:
    """A strip of one colour."""
    if compression == _T6:
        return _encoded(compression, _filled(shape, colour), shape.width, shape.rows, shape)[0]
    row = shape._replace(rows=1)
    (code,) = _encoded(_RLE if compression == _T4 else compression, _filled(row, colour), shape.width, 1, row)
    if compression == _T4:
        # An end of row, filled up so that it ends with its byte, and in two dimensions the bit for a row by itself.
        code = (b"\0\3" if options & _TWO_DIMENSIONS else b"\0\1") + code
    return code * shape.rows


def _filled(shape: Shape, colour: int) -> bytes:
    return (b"\xff" if colour else b"\0") * shape.size


def _encoded(compression: int, packed: bytes, width: int, height: int, shape: Shape) -> list[bytes]:
    """Packed rows of bits as strips of the shape's rows, coded by libtiff; in T.4 in one dimension."""
    stream = BytesIO()
    image = Image.frombytes("1", (width, height), packed)
    image.save(stream, "TIFF", compression=_ENCODERS[compression], strip_size=shape.size)
    stream.seek(0)
    with TiffImagePlugin.TiffImageFile(stream) as file:
        tags = file.tag_v2  # type: ignore[attr-defined]
        places = list(zip(tags[273], tags[279], strict=True))
    data = stream.getvalue()
    return [data[at : at + size] for at, size in places]
