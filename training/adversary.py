"""The adversary of SRGAN: a discriminator that learns to tell originals from outputs, and what the generator owes it.

Ledig et al., CVPR 2017, section 2.1 and figure 4: eight convolutions, LeakyReLU, and two dense layers. These read 6 by
6 features, which patches of 96 pixels give; features of any other patch are averaged to as many.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512)  # of the convolutions; each second one halves both sides
SLOPE, SIDE, DENSE = 0.2, 6, 1024


class Discriminator(nn.Module):
    """Maps pictures (N, 3, H, W) in [0, 1] of 16 pixels a side and more to (N, 1): the logit that each is an original.

    `share` of the paper's channels are used, 1 for all of them.
    """

    def __init__(self, share: float = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for number, width in enumerate(WIDTHS):
            outputs = max(1, round(width * share))
            layers.append(nn.Conv2d(inputs, outputs, 3, stride=1 + number % 2, padding=1))
            layers += [nn.BatchNorm2d(outputs)] * (number > 0) + [nn.LeakyReLU(SLOPE)]
            inputs = outputs
        self.body = nn.Sequential(*layers)
        dense = max(1, round(DENSE * share))
        self.head = nn.Sequential(nn.Linear(inputs * SIDE**2, dense), nn.LeakyReLU(SLOPE), nn.Linear(dense, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(self.body(2 * pictures - 1), SIDE)
        logits: Tensor = self.head(features.flatten(1))
        return logits


class Adversary:
    """A discriminator that learns beside a generator, with all that a checkpoint keeps of it."""

    def __init__(self, rate: float, seed: int, share: float = 1) -> None:
        torch.manual_seed(seed + 1)  # not the generator's
        self.network = Discriminator(share)
        self.rate = rate
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=rate, betas=(0.9, 0.999))

    def to(self, device: torch.device) -> None:
        """Moves it there, before anything is learned."""
        self.network.to(device)

    def blame(self, outputs: Tensor) -> Tensor:
        """What the generator owes: the less, the more its outputs (N, 3, H, W) pass for originals (equation 6)."""
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        logits = self.network(outputs)
        for parameter in self.network.parameters():
            parameter.requires_grad_(True)
        return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    def learn(self, outputs: Tensor, originals: Tensor) -> Tensor:
        """One step of the discriminator on both; returns its loss, which is 2 log 2 where it cannot tell them apart."""
        real, made = self.network(originals), self.network(outputs.detach())
        loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        loss = loss + F.binary_cross_entropy_with_logits(made, torch.zeros_like(made))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def resume(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
