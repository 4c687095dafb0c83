"""LPIPS with AlexNet, version 0.1: how far apart two pictures are to a network that learned to see.

Zhang, Isola, Efros, Shechtman and Wang 2018, arXiv:1801.03924, as in github.com/richzhang/PerceptualSimilarity. The
backbone is Krizhevsky's "One weird trick" AlexNet (arXiv:1404.5997) up to its fifth convolution.
"""

from torch import Tensor, nn

LAYER_CHANNELS = (64, 192, 384, 256, 256)  # of the five layers that are compared
LAYER_STRIDES = (4, 8, 16, 16, 16)  # of the same, in pixels of the picture
INPUT_SHIFT = (-0.030, -0.088, -0.188)  # from pixels in [-1, 1] to what the backbone was trained on
INPUT_SCALE = (0.458, 0.448, 0.450)
NORM_EPSILON = 1e-10  # the original's, for a place where no feature is active


class LpipsAlex(nn.Module):
    """`features` are named as in torch's model zoo; `heads` weigh the channels of each layer and are never negative."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for channels in LAYER_CHANNELS)

    def forward(self, pair: Tensor) -> list[Tensor]:
        """The distance at each place of each layer, for two pictures (2, 3, H, W) in [0, 1].

        Five planes (h, w), each a LAYER_STRIDES smaller than the picture. LPIPS is the sum of their means.
        """
        shift, scale = (pair.new_tensor(each).view(3, 1, 1) for each in (INPUT_SHIFT, INPUT_SCALE))
        features = (2 * pair - 1 - shift) / scale
        planes: list[Tensor] = []
        for layer in self.features:
            features = layer(features)
            if isinstance(layer, nn.ReLU):
                first, second = features / (features.norm(dim=1, keepdim=True) + NORM_EPSILON)
                planes.append(self.heads[len(planes)]((first - second).square_())[0])
        return planes
