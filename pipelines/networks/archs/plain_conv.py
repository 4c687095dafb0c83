"""A 3x3 convolution by the name that SPAN's family gives it: its training branches are merged into one kernel."""

from torch import Tensor, nn


class PlainConv(nn.Module):
    """(N, inputs, h, w) to (N, outputs, h, w); the kernel is called `eval_conv` in published files."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.eval_conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.eval_conv(features)
        return made
