"""Run-length compressed BMP pixels, read strictly.

Written here because Pillow misreads 4-bit runs of odd length, and shows noise where a run overflows its row. The format
is Microsoft's "Bitmap Compression" (BI_RLE4 and BI_RLE8).
"""

import numpy as np
import numpy.typing as npt

_END_OF_ROW, _END_OF_PICTURE, _DELTA = 0, 1, 2


def decode_runs(data: bytes, at: int, width: int, height: int, nibbles: bool) -> npt.NDArray[np.uint8]:
    """Palette indices (H, W) in the file's row order, from the bytes at `at`; `nibbles` for four bits a pixel.

    Pixels that the file skips are 0. Raises ValueError for a run beyond its row and IndexError for a file that ends
    before its picture does.
    """
    indices = np.zeros((height, width), np.uint8)
    x = y = 0
    while y < height:
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            run = bytes((value >> 4, value & 15)) * (count // 2 + 1) if nibbles else bytes((value,)) * count
        elif value == _END_OF_ROW:
            x, y = 0, y + 1
            continue
        elif value == _END_OF_PICTURE:
            break
        elif value == _DELTA:
            x, y = x + data[at], y + data[at + 1]
            at += 2
            continue
        else:
            count = value
            size = (count + 1) // 2 if nibbles else count
            run = data[at : at + size]
            if len(run) < size:
                raise IndexError("the file ends within a run")
            if nibbles:
                run = bytes(half for both in run for half in (both >> 4, both & 15))
            at += size + size % 2  # runs begin on even bytes
        if x + count > width:
            raise ValueError("a run goes beyond its row")
        indices[y, x : x + count] = np.frombuffer(run, np.uint8, count)
        x += count
    return indices
