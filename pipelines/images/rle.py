"""Run-length compressed BMP pixels, read strictly.

Written here because Pillow misreads 4-bit runs of odd length, shows noise where a run overflows its row, and takes
minutes for millions of runs. The format is Microsoft's "Bitmap Compression" (BI_RLE4 and BI_RLE8).
"""

import numpy as np
import numpy.typing as npt

_END_OF_ROW, _END_OF_PICTURE, _DELTA = 0, 1, 2
MOST_ESCAPES = 400_000
"""How often runs of one value may be interrupted: each time takes a step of its own, and a file of 50 MB has room for
eight million that do nothing."""
_PADDING = 4  # bytes that rows are padded to in memory: some writers, ImageMagick one of them, run on to there


def decode_runs(data: bytes, at: int, width: int, height: int, nibbles: bool) -> npt.NDArray[np.uint8]:
    """Palette indices (H, W) in the file's row order, from the bytes at `at`; `nibbles` for four bits a pixel.

    Pixels that the file skips are 0. Raises ValueError for runs that begin beyond their row, listed pixels beyond the
    row's padding, or too many interruptions, and IndexError for a file that ends before its picture does.
    """
    per_byte = 2 if nibbles else 1
    padded = -(-width // (_PADDING * per_byte)) * _PADDING * per_byte
    indices = np.zeros((height, padded), np.uint8)
    pairs = tuple(np.frombuffer(data, np.uint8, (len(data) - odd) // 2 * 2, odd).reshape(-1, 2) for odd in (0, 1))
    escapes = tuple(np.flatnonzero(each[:, 0] == 0) for each in pairs)
    x = y = interruptions = 0
    while y < height:
        if data[at] and not data[at + 2]:
            end = min(x + data[at], padded)
            # A run of its own between escapes, many of which would be slow by arrays.
            indices[y, x:end] = data[at + 1] >> 4 if nibbles else data[at + 1]
            if nibbles:
                indices[y, x + 1 : end : 2] = data[at + 1] & 15
            x, at = max(x, end), at + 2
        elif data[at]:
            odd, first = at % 2, at // 2
            following = escapes[odd][np.searchsorted(escapes[odd], first) :][:1]
            last = int(following[0]) if following.size else len(pairs[odd])
            counts, values = pairs[odd][first:last].T
            # What of a run of one value goes beyond its row is cut off, as browsers do; further ones are damage.
            ends = x + np.cumsum(counts[: padded + 1], dtype=np.int64)
            fitting = int(np.searchsorted(ends, width)) + 1
            if fitting < last - first:
                raise ValueError("a run goes beyond its row")
            run = _repeated(counts, values, nibbles)[: max(0, padded - x)]
            x = max(x, _put(indices[y], x, run, padded))
            at += 2 * (last - first)
        code = data[at + 1]
        at += 2
        interruptions += 1
        if interruptions > MOST_ESCAPES:
            raise ValueError("it has too many runs")
        if code == _END_OF_ROW:
            x, y = 0, y + 1
        elif code == _END_OF_PICTURE:
            break
        elif code == _DELTA:
            x, y = x + data[at], y + data[at + 1]
            at += 2
        else:
            size = (code + 1) // 2 if nibbles else code
            if at + size > len(data):
                raise IndexError("the file ends within a run")
            run = np.frombuffer(data, np.uint8, size, at)
            if nibbles:
                run = np.stack([run >> 4, run & 15], axis=1).ravel()[:code]
            x = _put(indices[y], x, run, padded)
            at += size + size % 2  # runs begin on even bytes
    return indices[:, :width]


def _repeated(counts: npt.NDArray[np.uint8], values: npt.NDArray[np.uint8], nibbles: bool) -> npt.NDArray[np.uint8]:
    """Returns runs written out: of 4-bit values two take turns, beginning anew in each run."""
    if not nibbles:
        return np.repeat(values, counts)
    ends = np.cumsum(counts, dtype=np.int64)
    inside = np.arange(int(ends[-1])) - np.repeat(ends - counts, counts)
    return np.where(inside % 2, np.repeat(values & 15, counts), np.repeat(values >> 4, counts)).astype(np.uint8)


def _put(row: npt.NDArray[np.uint8], x: int, run: npt.NDArray[np.uint8], most: int) -> int:
    """Writes a run into its row. Returns where it ends."""
    if len(run) and x + len(run) > most:
        raise ValueError("a run goes beyond its row")
    row[x : x + len(run)] = run
    return x + len(run)
