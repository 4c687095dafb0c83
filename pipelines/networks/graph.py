"""A frozen graph of TensorFlow's as nodes that are followed from its input on, to be told what network it is of.

An architecture asks for each of its layers in turn; what it does not ask for, and what differs from it, is a Misfit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.networks.shapes import Misfit


class Node(NamedTuple):
    """What a node computes from other nodes, `inputs`, and from `numbers`, in the order in which it reads them.

    `block` is what it enlarges by, where it turns channels into places.
    """

    operation: str
    inputs: tuple[str, ...]
    numbers: tuple[npt.NDArray[np.float32], ...]
    block: int = 1


class Convolution(NamedTuple):
    """A convolution that keeps the size: its node, and its numbers as torch has them, (out, in, h, w) and (out,)."""

    node: str
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph of one input. Each method finds the node that does so with others, and raises Misfit without one."""

    nodes: Mapping[str, Node]
    start: str
    readers: Mapping[tuple[str, tuple[str, ...]], Sequence[str]]  # who reads what, by operation and inputs in order
    seen: set[str] = field(default_factory=set)

    def find(self, operation: str, *inputs: str) -> str:
        """Finds the one node of that operation that reads these and numbers, in whatever order where they are added."""
        found = self._readers(operation, inputs)
        if len(found) != 1:
            raise Misfit(f"belongs to another network: not one {operation} reads {' and '.join(inputs)}.")
        self.seen.add(found[0])
        return found[0]

    def convolve(self, source: str, side: int | None = None) -> Convolution:
        """Finds the convolution of that side, and what is added to each of its channels, nothing perhaps.

        An even kernel reads one place more behind than before (padding "SAME"); it comes back with a row and a column
        of zeros more, so that it can be padded alike on all sides.
        """
        found = [name for name in self._readers("Conv2D", (source,)) if side in (None, self._kernel(name).shape[0])]
        if len(found) != 1:
            raise Misfit(f"belongs to another network: not one convolution reads {source}.")
        (name,) = found
        self.seen.add(name)
        kernel = self._kernel(name).transpose(3, 2, 0, 1)
        even = [(1 - length % 2, 0) for length in kernel.shape[2:]]
        weight = torch.from_numpy(np.pad(kernel, [(0, 0), (0, 0), *even]))
        bias = torch.zeros(len(weight))
        if self.is_read("Add", name):
            name, bias = self.add_numbers(name, len(weight))
        return Convolution(name, weight, bias)

    def is_convolved(self, source: str, side: int) -> bool:
        """Returns whether a convolution of that side reads this node."""
        return any(self._kernel(name).shape[0] == side for name in self._readers("Conv2D", (source,)))

    def is_read(self, operation: str, source: str) -> bool:
        """Returns whether a node of that operation reads this one, and only this one."""
        return bool(self._readers(operation, (source,)))

    def add_numbers(self, source: str, channels: int) -> tuple[str, Tensor]:
        """Finds where a number is added to each channel, or one to all."""
        added = self.find("Add", source)
        return added, self._per_channel(added, channels)

    def scale(self, source: str, by: float) -> str:
        """Finds the multiplication by a number."""
        scaled = self.find("Mul", source)
        if not np.array_equal(self._only(scaled).ravel(), np.array([by], np.float32)):
            raise Misfit(f"belongs to another network: {scaled} is no multiplication by {by}.")
        return scaled

    def leak(self, source: str, slope: float) -> str:
        """Finds a leaky ReLU, written as the difference of two others."""
        below = self.scale(self.find("Relu", self.scale(source, -1)), slope)
        found = self.find("Sub", positive := self.find("Relu", source), below)
        self._check_order(found, positive)
        return found

    def prelu(self, source: str, channels: int) -> tuple[str, Tensor]:
        """Finds a ReLU with a slope for each channel, which is half the slope times what differs from |x|."""
        below = self.find("Sub", source, self.find("Abs", source))
        self._check_order(below, source)
        sloped = self.find("Mul", below)
        found = self.find("Add", self.find("Relu", source), self.scale(sloped, 0.5))
        return found, self._per_channel(sloped, channels)

    def shuffle(self, source: str) -> tuple[str, int]:
        """Finds the node that turns channels into places, and by how much it enlarges."""
        found = self.find("DepthToSpace", source)
        return found, self.nodes[found].block

    def end(self, *outputs: str) -> None:
        """Raises Misfit where something is computed that was not found, or these are not all that is computed."""
        unknown = self.nodes.keys() - self.seen - {self.start}
        read = {name for node in self.nodes.values() for name in node.inputs}
        if unknown or set(outputs) != self.nodes.keys() - read:
            raise Misfit(
                f"belongs to another network: {', '.join(sorted(unknown)[:3]) or 'its end'} is not known here."
            )

    def _readers(self, operation: str, inputs: tuple[str, ...]) -> Sequence[str]:
        return self.readers.get((operation, tuple(sorted(inputs))), ())

    def _check_order(self, difference: str, first: str) -> None:
        if self.nodes[difference].inputs[0] != first:
            raise Misfit(f"belongs to another network: {difference} subtracts the other way round.")

    def _kernel(self, name: str) -> npt.NDArray[np.float32]:
        kernel = self._only(name)
        if kernel.ndim != 4 or not kernel.size:
            raise Misfit(f"does not fit together: {name} is no convolution of a plane.")
        return kernel

    def _only(self, name: str) -> npt.NDArray[np.float32]:
        numbers = self.nodes[name].numbers
        if len(numbers) != 1:
            raise Misfit(f"belongs to another network: {name} reads {len(numbers)} tables of numbers instead of one.")
        return numbers[0]

    def _per_channel(self, name: str, channels: int) -> Tensor:
        numbers = self._only(name).ravel()
        if len(numbers) not in (1, channels):
            raise Misfit(f"does not fit together: {name} has {len(numbers)} numbers for {channels} channels.")
        return torch.from_numpy(np.broadcast_to(numbers, (channels,)).copy())
