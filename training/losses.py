"""The losses by their names, and the score. Pictures here are float RGB (N, 3, H, W) in [0, 1]."""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.errors import BadSetting

VIDEO_RANGE_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601, 16..235, without its offset
LUMA_SHARE = 0.6  # with 0.8, colours were behind what bicubic makes of them
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM
WINDOW, C1, C2 = 11, 0.01**2, 0.03**2
LEAST_ERROR = 3e-5  # mean square, 45 dB: what is better still counts as that, or it would outweigh all else

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From an output and its original to one number, the smaller the better."""


def luma(picture: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, H, W), the offset of 16 left out: it cancels in every difference."""
    red, green, blue = picture.unbind(1)
    return red * VIDEO_RANGE_LUMA[0] + green * VIDEO_RANGE_LUMA[1] + blue * VIDEO_RANGE_LUMA[2]


def luma_weighted_l1(output: Tensor, original: Tensor) -> Tensor:
    """Mean absolute error, mostly of luma, where eyes and published scores look; the rest keeps colours right."""
    error = output - original
    return LUMA_SHARE * luma(error).abs().mean() + (1 - LUMA_SHARE) * error.abs().mean()


def l1(output: Tensor, original: Tensor) -> Tensor:
    """Mean absolute error of all channels."""
    return (output - original).abs().mean()


def l2(output: Tensor, original: Tensor) -> Tensor:
    """Mean square error of all channels."""
    return (output - original).square().mean()


def negative_psnr(output: Tensor, original: Tensor) -> Tensor:
    """PSNR of RGB, each picture's own, in dB and negated: little noise counts as much as strong noise does."""
    error = (output - original).square().mean((1, 2, 3))
    return 10 * torch.log10(error + LEAST_ERROR).mean()


def total_variation(output: Tensor, original: Tensor) -> Tensor:
    """Mean absolute step to the next pixel, down and across, of the output alone (Rudin et al., Physica D 1992)."""
    return output.diff(dim=2).abs().mean() + output.diff(dim=3).abs().mean()


def ms_ssim_loss(output: Tensor, original: Tensor) -> Tensor:
    """1 less MS-SSIM (Wang et al., Asilomar 2003), of each channel; of fewer scales where the patch is too small."""
    side = min(output.shape[2:])
    scales = max(1, min(len(SCALE_WEIGHTS), 1 + int(math.log2(side / WINDOW)) if side >= WINDOW else 1))
    weights = torch.tensor(SCALE_WEIGHTS[:scales], device=output.device)
    weights = weights / weights.sum()
    seen = output.new_tensor(1.0)
    for number in range(scales):
        similar, structure = _ssim_parts(output, original)
        part = similar if number == scales - 1 else structure
        seen = seen * part.clamp(min=1e-6) ** weights[number]
        output, original = F.avg_pool2d(output, 2), F.avg_pool2d(original, 2)
    return 1 - seen.mean()


def _ssim_parts(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its part of contrast and structure, (N,) each, by an 11x11 Gaussian of deviation 1.5."""
    size = min(WINDOW, *one.shape[2:])
    place = torch.arange(size, device=one.device) - (size - 1) / 2
    line = torch.exp(-(place**2) / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2
    kernel = window.expand(one.shape[1], 1, size, size)

    def blur(planes: Tensor) -> Tensor:
        return F.conv2d(planes, kernel, groups=planes.shape[1])

    mean, other_mean = blur(one), blur(other)
    variance, other_variance = blur(one * one) - mean**2, blur(other * other) - other_mean**2
    structure = (2 * (blur(one * other) - mean * other_mean) + C2) / (variance + other_variance + C2)
    similar = structure * (2 * mean * other_mean + C1) / (mean**2 + other_mean**2 + C1)
    return similar.mean((1, 2, 3)), structure.mean((1, 2, 3))


LOSSES: dict[str, Loss] = {
    "luma": luma_weighted_l1,
    "l1": l1,
    "l2": l2,
    "psnr": negative_psnr,
    "tv": total_variation,
    "ms-ssim": ms_ssim_loss,
}
VGG, ADVERSARIAL = "vgg", "adversarial"  # these two take networks: training/perceptual.py, training/adversary.py


def parse_losses(text: str) -> dict[str, float]:
    """Reads losses and their weights: "luma", or "vgg=1,adversarial=0.001". Raises BadSetting."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            weight = float(number) if number else 1.0
        except ValueError:
            weight = math.nan
        if name not in (*LOSSES, VGG, ADVERSARIAL) or not 0 < weight < math.inf or name in weights:
            known = ", ".join((*LOSSES, VGG, ADVERSARIAL))
            raise BadSetting(f"{part!r} is not a loss with its weight, as vgg=1; there are {known}.")
        weights[name] = weight
    return weights


def add_up(weights: Mapping[str, float], more: Mapping[str, Loss]) -> Loss:
    """The weighted sum of the losses named, but for the adversarial one; `more` has those that take a network."""
    parts = [(weight, (LOSSES | dict(more))[name]) for name, weight in weights.items() if name != ADVERSARIAL]

    def loss(output: Tensor, original: Tensor) -> Tensor:
        total = output.new_zeros(())
        for weight, part in parts:
            total = total + weight * part(output, original)
        return total

    return loss


def psnr_y(output: torch.Tensor, original: torch.Tensor, crop: int) -> float:
    """PSNR of luma in dB of one picture (1, 3, H, W), rounded to 8 bits, `crop` pixels left out at each border."""
    error = luma(output.clamp(0, 1).mul(255).round() - original.mul(255).round())[:, crop:-crop, crop:-crop]
    return float(20 * torch.log10(255 / error.double().square().mean().sqrt()))
