"""What is needed of a denoising network: the little that diffusers' have in common, and ours with them."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor, nn


class DenoiserSizes(Protocol):
    """A network's sizes: the channels that it takes and gives, and those of its levels, each half as large a side."""

    @property
    def in_channels(self) -> int:
        """Of the latents and what lies beside them."""

    @property
    def out_channels(self) -> int:
        """Of what it predicts."""

    @property
    def block_out_channels(self) -> Sequence[int]:
        """From the first level to the deepest."""


class Denoiser(Protocol):
    """A network that predicts, from latents with noise (N, C, H, W) and a time, what a scheduler makes its step of."""

    @property
    def config(self) -> DenoiserSizes:
        """Its sizes."""

    def __call__(self, sample: Tensor, timestep: Any, *, return_dict: bool, **conditioning: Tensor) -> tuple[Tensor]:
        """Predicts (N, C', H, W); `conditioning` is what else this network takes."""

    def modules(self) -> Iterator[nn.Module]:
        """All its layers."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that it learned."""
