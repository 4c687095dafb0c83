"""A network's sizes by the shapes of its parameters, and what is wrong with them as a message.

For the architectures: what they find wrong they raise as Misfit, and the reader of the file puts its name before it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from torch import Tensor

State: TypeAlias = Mapping[str, Tensor]
"""A network's parameters and buffers by their names."""

NETWORK_SCALES = (1, 2, 3, 4, 8, 16)
DEEPEST = 256  # blocks or convolutions
COLOUR_CHANNELS = 3  # channels of a picture
_INDEX_DIGITS = 4  # of a layer's number: a longer one is no layer's


class Misfit(Exception):
    """What is wrong with parameters, as a message goes on after the name of their file: "is not a whole network …"."""


def read_kernel(state: State, key: str, channels: int | None = None) -> tuple[int, int]:
    """Returns how many channels the 3x3 convolution `key` gives and reads.

    Raises Misfit where it is none of `channels`.
    """
    if key not in state:
        raise Misfit(f"is not a whole network: it lacks {key}.")
    shape = state[key].shape
    if len(shape) != 4 or shape[2:] != (3, 3) or (channels and shape[1] != channels):
        raise Misfit(
            f"does not fit together: {key} is {describe_shape(state[key])} and should be that of a 3x3 convolution"
            f"{f' of {channels} channels' if channels else ''}."
        )
    return shape[0], shape[1]


def shuffled_scale(outputs: int) -> int:
    """Returns how many times a pixel-shuffle of so many channels enlarges to a picture in colour.

    Raises Misfit where it gives no such picture.
    """
    scale = math.isqrt(outputs // COLOUR_CHANNELS)
    if scale * scale * COLOUR_CHANNELS != outputs:
        raise Misfit(
            f"belongs to another network: its last convolution gives {outputs} channels, which make no colour image."
        )
    return scale


def check_sizes(scale: float, depth: int = 1) -> None:
    """Raises Misfit for a scale that no network here has, and for one that is too deep or has no layers."""
    if scale not in NETWORK_SCALES:
        raise Misfit(f"cannot be used: it upscales {scale:.4g} times.")
    if not 1 <= depth <= DEEPEST:
        raise Misfit(f"cannot be used: it is {depth} blocks deep.")


def not_in_colour(channels: int) -> Misfit:
    """The error for a network that reads so many channels."""
    return Misfit(f"cannot be used: it reads {channels} channels, not the three of a colour image.")


def find_largest(pattern: str, keys: Iterable[str]) -> int:
    """The largest number that the pattern's group finds in a name; 0 without one."""
    found = (re.fullmatch(pattern, key) for key in keys)
    return max((int(match[1]) for match in found if match and len(match[1]) <= _INDEX_DIGITS), default=0)


def describe_shape(tensor: Tensor) -> str:
    """A tensor's shape to read: "64×3×3×3"."""
    return "×".join(map(str, tensor.shape)) or "one number"
