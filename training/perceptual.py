"""The perceptual loss: how far apart two pictures are to VGG19, a network that learned to name what is in them.

Simonyan and Zisserman, arXiv:1409.1556; as SRGAN uses it (Ledig et al., CVPR 2017, section 2.2.1): the mean square
difference of the features after the last activation before the fifth pooling, which are scaled by 1 / 12.75.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pipelines.errors import BadWeights, WeightsUnavailable
from pipelines.networks.file import read_tensors
from training.losses import Loss

VGG19 = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # the name ends in the start of its sha256
GROUPS = (2, 2, 4, 4, 4)  # convolutions before each pooling
WIDTHS = (64, 128, 256, 512, 512)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which it was trained on
FEATURE_SCALE = 1 / 12.75


class Vgg19(nn.Module):
    """Pictures (N, 3, H, W) in [0, 1], of 16 pixels a side and more, to features; named as in torch's model zoo."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for number, (count, width) in enumerate(zip(GROUPS, widths, strict=True)):
            layers += [nn.MaxPool2d(2)] * (number > 0)
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = width
        self.features = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        mean, deviation = (pictures.new_tensor(each).view(3, 1, 1) for each in (MEAN, DEVIATION))
        features: Tensor = self.features((pictures - mean) / deviation)
        return features * FEATURE_SCALE


def read_vgg(path: Path | None = None) -> Vgg19:
    """VGG19 from a file, or from torch's model zoo: downloaded once (575 MB), checked by its hash.

    Raises BadWeights, WeightsUnavailable.
    """
    tensors = _download() if path is None else read_tensors(path)
    network = Vgg19()
    needed = network.state_dict()
    state = {key: value for key, value in tensors.items() if key in needed}
    if {key: value.shape for key, value in state.items()} != {key: value.shape for key, value in needed.items()}:
        raise BadWeights(f"{path.name if path else VGG19} does not hold VGG19.")
    network.load_state_dict(state)
    return network


def _download() -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(VGG19, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise WeightsUnavailable(f"VGG19 could not be downloaded ({error}): name a file by --vgg.") from error
    return state


def perceptual_loss(network: Vgg19) -> Loss:
    """The loss by that network, which stays as it is."""
    network.eval().requires_grad_(False)

    def loss(output: Tensor, original: Tensor) -> Tensor:
        network.to(output.device)
        difference: Tensor = network(output) - network(original)
        return difference.square().mean()

    return loss
