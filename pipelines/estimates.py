"""How long a run will take and how much memory, told before it starts; better after each run of the same model here."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

MEGA = 1_000_000
BYTES_PER_PIXEL = 12  # three float32 channels

# Seconds for a megapixel of input, measured at 400 x 400 on two cores of an AMD EPYC: where `learn` begins.
_seconds = {
    **{("nearest", scale): 0.003 * scale**2 for scale in (2, 3, 4, 8)},
    **{("bilinear", scale): 0.012 * scale**2 for scale in (2, 3, 4, 8)},
    **{("bicubic", scale): 0.017 * scale**2 for scale in (2, 3, 4, 8)},
    **{("lanczos", scale): 0.024 * scale**2 for scale in (2, 3, 4, 8)},
    **{("espcn", 2): 0.48, ("espcn", 3): 0.54, ("espcn", 4): 0.62},
    **{("fsrcnn", 2): 0.64, ("fsrcnn", 3): 0.69, ("fsrcnn", 4): 0.77},
    **{("fsrcnn-small", 2): 0.26, ("fsrcnn-small", 3): 0.32, ("fsrcnn-small", 4): 0.42},
    **{("lapsrn", 2): 5.9, ("lapsrn", 4): 29.0, ("lapsrn", 8): 300.0},
}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, about. `seconds` is None for a model that was never measured."""

    seconds: float | None
    megabytes: float  # of 10^6 bytes, for the picture and its enlargement; a network's tile comes on top


def estimate(key: str, scale: int, width: int, height: int) -> Estimate:
    """For a picture of that many pixels, without loading or downloading."""
    pixels = width * height
    with _lock:
        rate = _seconds.get((key, scale))
    held = pixels * (1 + scale**2) * BYTES_PER_PIXEL / MEGA
    return Estimate(None if rate is None else rate * pixels / MEGA, held)


def seconds_of(stages: Sequence[tuple[str, int]], width: int, height: int) -> float | None:
    """How long models (key, scale) take one after another; None if one of them was never measured."""
    total = 0.0
    for key, scale in stages:
        expected = estimate(key, scale, width, height).seconds
        if expected is None:
            return None
        total += expected
        width, height = width * scale, height * scale
    return total


def learn(key: str, scale: int, width: int, height: int, seconds: float) -> None:
    """Take into account that an opaque picture of that size took so long; tiny ones tell too little to count."""
    pixels = width * height
    if pixels < 10_000:
        return
    with _lock:
        new = seconds * MEGA / pixels
        _seconds[key, scale] = (_seconds.get((key, scale), new) + new) / 2
