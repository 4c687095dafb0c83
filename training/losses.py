"""The loss and the score. Pictures here are float RGB (N, 3, H, W) in [0, 1]."""

import torch

VIDEO_RANGE_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601, 16..235, without its offset
LUMA_SHARE = 0.6  # with 0.8, colours were behind what bicubic makes of them


def luma(picture: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) -> (N, H, W), the offset of 16 left out: it cancels in every difference."""
    red, green, blue = picture.unbind(1)
    return red * VIDEO_RANGE_LUMA[0] + green * VIDEO_RANGE_LUMA[1] + blue * VIDEO_RANGE_LUMA[2]


def luma_weighted_l1(output: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Mean absolute error, mostly of luma, where eyes and published scores look; the rest keeps colours right."""
    error = output - original
    return LUMA_SHARE * luma(error).abs().mean() + (1 - LUMA_SHARE) * error.abs().mean()


def psnr_y(output: torch.Tensor, original: torch.Tensor, crop: int) -> float:
    """PSNR of luma in dB of one picture (1, 3, H, W), rounded to 8 bits, `crop` pixels left out at each border."""
    error = luma(output.clamp(0, 1).mul(255).round() - original.mul(255).round())[:, crop:-crop, crop:-crop]
    return float(20 * torch.log10(255 / error.double().square().mean().sqrt()))
