"""What is needed of a denoising network: the little that diffusers' have in common, and ours with them."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn


class Denoiser(Protocol):
    """A network that predicts, from latents with noise (N, C, H, W) and a time, what a scheduler makes its step of."""

    @property
    def config(self) -> Any:
        """Its sizes by diffusers' names: `in_channels` of the latents and what lies beside them, `out_channels`, and
        `block_out_channels` of each level, from the first to the deepest, each half as large a side.
        """

    def __call__(self, sample: Tensor, timestep: Any, *, return_dict: bool, **conditioning: Tensor) -> tuple[Tensor]:
        """Predicts (N, C', H, W); `conditioning` is what else this network takes."""

    def modules(self) -> Iterator[nn.Module]:
        """All its layers."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that it learned."""
