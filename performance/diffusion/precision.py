"""What half precision costs the picture, on a CPU."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, TypeAlias
from unittest import mock

import numpy as np
import torch
from torch import nn

from performance.diffusion.running import load_ours
from performance.measuring import write_section
from performance.scene import make_scene
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels, to_uint8
from pipelines.measuring.metrics.pixelwise import psnr
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion import decoder

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
# The denoising network's precision, and whether the decoder works in bfloat16, which the product's never does.
WAYS: tuple[tuple[Precision, bool], ...] = (("bfloat16", False), ("float16", False), ("float32", True))


def measure_precision(folder: Path) -> None:
    """Measures how far the picture is from float32's where the denoising network computes in half precision."""
    exact = _predict("float32", folder)
    rows = []
    for dtype, half_decoder in WAYS:
        first, last, picture = _predict(dtype, folder, half_decoder)
        found = psnr(to_uint8(exact[2]), to_uint8(picture))
        off = [f"{_difference(first, exact[0]):.1e}", f"{_difference(last, exact[1]):.1e}"]
        most = 255 * float(np.abs(np.clip(picture, 0, 1) - np.clip(exact[2], 0, 1)).max())
        way = "the autoencoder's convolutions in bfloat16" if half_decoder else dtype
        rows.append([way, *off, "the same" if found is None else f"{found:.1f}", f"{most:.1f}"])
    about = (
        "32 x 32 by 4 on a CPU, 4 steps, random parameters, no colour fix; the autoencoder in float32, but for the "
        "last row, which shows why. The network's predictions: the root of the mean square of the difference to "
        "float32's, by that of float32's; the last one is made after the differences of all before it. The picture: "
        "PSNR against float32's, both at 8 bits, and the largest difference in levels of 255. A GPU computes in "
        "float16, a CPU with AMX or AVX512-BF16 in bfloat16."
    )
    header = ["precision", "first prediction", "last prediction", "picture, dB", "largest"]
    write_section("Stable Diffusion x4: what precision costs", about, header, rows)


def _predict(dtype: Precision, folder: Path, half_decoder: bool = False) -> list[Pixels]:
    """The first and the last prediction of a run, and its picture; `half_decoder`: by a decoder in bfloat16."""
    seen: list[Pixels] = []
    decode = decoder._decode_tile

    def decode_tile(*given: Any) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16) if half_decoder else nullcontext():
            return decode(*given).float()

    choose = mock.patch.object(devices, "choose_device", lambda: Device("cpu", dtype))
    with choose, mock.patch.object(decoder, "_decode_tile", decode_tile):
        upscaler = load_ours(folder)
        (parts,) = upscaler.placed.values()
        assert isinstance(parts.unet, nn.Module)
        parts.unet.register_forward_hook(lambda network, given, made: seen.append(made[0].float().numpy()))
        made = finish(upscaler.run(make_scene(32), Settings(steps=4, colour_fix="none"))).pixels
    return [seen[0], seen[-1], made]


def _difference(made: Pixels, exact: Pixels) -> float:
    """The root of the mean square of the difference, by that of the exact ones."""
    return float(np.sqrt(np.square(made - exact, dtype=np.float64).mean() / np.square(exact, dtype=np.float64).mean()))
