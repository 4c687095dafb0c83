"""What half precision costs the picture, on a CPU."""

from pathlib import Path
from typing import Literal, TypeAlias
from unittest import mock

import numpy as np
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

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
HALF_PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float16")


def measure_precision(folder: Path) -> None:
    """Measures how far the picture is from float32's where the denoising network computes in half precision."""
    exact = _predict("float32", folder)
    rows = []
    for dtype in HALF_PRECISIONS:
        first, last, picture = _predict(dtype, folder)
        found = psnr(to_uint8(exact[2]), to_uint8(picture))
        off = [f"{_difference(first, exact[0]):.1e}", f"{_difference(last, exact[1]):.1e}"]
        rows.append([dtype, *off, "the same" if found is None else f"{found:.1f}"])
    about = (
        "32 x 32 by 4 on a CPU, 4 steps, random parameters, no colour fix; the autoencoder in float32. The network's "
        "predictions: the root of the mean square of the difference to float32's, by that of float32's; the last one "
        "is made after the differences of all before it. The picture: PSNR against float32's, both at 8 bits. A GPU "
        "computes in float16, a CPU with AMX in bfloat16."
    )
    header = ["precision", "first prediction", "last prediction", "picture, dB"]
    write_section("Stable Diffusion x4: what precision costs", about, header, rows)


def _predict(dtype: Precision, folder: Path) -> list[Pixels]:
    """The first and the last prediction of a run, and its picture."""
    seen: list[Pixels] = []
    with mock.patch.object(devices, "choose_device", lambda: Device("cpu", dtype)):
        upscaler = load_ours(folder)
        (parts,) = upscaler.placed.values()
        assert isinstance(parts.unet, nn.Module)
        parts.unet.register_forward_hook(lambda network, given, made: seen.append(made[0].float().numpy()))
        made = finish(upscaler.run(make_scene(32), Settings(steps=4, colour_fix="none"))).pixels
    return [seen[0], seen[-1], made]


def _difference(made: Pixels, exact: Pixels) -> float:
    """The root of the mean square of the difference, by that of the exact ones."""
    return float(np.sqrt(np.square(made - exact, dtype=np.float64).mean() / np.square(exact, dtype=np.float64).mean()))
