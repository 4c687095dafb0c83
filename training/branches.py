"""What stands beside a convolution while it is trained.

A 3x3 convolution learns better as the sum of itself and a wide 3x3 convolution followed by a 1x1. All of these are
linear, so one kernel computes the same (SESR, Bhardwaj et al., MLSys 2022). The sum is formed on the kernels at every
step, never on the pictures: training costs as much as with the plain network.
"""

import torch
from torch import nn

EXPANSION = 4  # the wide convolution has this many times the outputs


class BranchedConv(nn.Module):
    """Stands in for `plain(inputs, outputs, size)` of pipelines/networks/archs/swift.py."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        wide = EXPANSION * max(inputs, outputs)
        straight = nn.Conv2d(inputs, outputs, size)
        self.straight = nn.Parameter(straight.weight.detach() * 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.expand = nn.Parameter(torch.randn(wide, inputs * size * size) / (inputs * size * size) ** 0.5)
        self.project = nn.Parameter(torch.randn(outputs, wide) * 0.5 / (3 * wide) ** 0.5)
        if inputs == outputs:  # start near the identity, so that depth does not hinder
            nn.init.dirac_(straight.weight)
            self.straight.data += straight.weight.detach()

    def kernel(self) -> torch.Tensor:
        """The one kernel (outputs, inputs, size, size) that does the work of all branches."""
        return self.straight + (self.project @ self.expand).view_as(self.straight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(features, self.kernel(), self.bias, padding=self.straight.shape[-1] // 2)


@torch.no_grad()
def collapse(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of the plain network that computes the same as this branched one."""
    state = {}
    inside: list[str] = []
    for name, module in network.named_modules():
        if isinstance(module, BranchedConv):
            state[f"{name}.weight"] = module.kernel().contiguous()
            state[f"{name}.bias"] = module.bias.detach().clone()
            inside.append(f"{name}.")
    rest = {key: value for key, value in network.state_dict().items() if not key.startswith(tuple(inside))}
    return state | rest
