"""What half precision and tiles cost the pictures that Real-ESRGAN's networks make."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from performance.measuring import write_section
from performance.real_esrgan.networks import as_array, make_rrdb, make_upscaler, read_compact, run_on
from performance.scene import make_scene
from pipelines.images.picture import Pixels, to_uint8
from pipelines.measuring.metrics.metric import crop_border
from pipelines.measuring.metrics.pixelwise import luma, psnr
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.forward import Forward
from pipelines.networks.network import Network
from pipelines.networks.tiling import run_tiled
from pipelines.runs import finish
from pipelines.upscalers.network import NetworkUpscaler

SET5 = ("baby", "bird", "butterfly", "head", "woman")


def measure_precision(sets: Path) -> None:
    """PSNR of the compact networks on Set5 in float32, in bfloat16 with float32 ends, and in bfloat16 throughout."""
    rows = []
    for key in ("real-esrgan-general", "real-esrgan-anime"):
        network = read_compact(key)
        upscaler = make_upscaler(key, network)
        ways: list[Callable[[Pixels], Pixels]] = [
            partial(_pixels, Device("cpu"), upscaler),
            partial(_pixels, Device("cpu", "bfloat16"), upscaler),
            partial(_all_bf16, cast(nn.Module, copy.deepcopy(network)).bfloat16()),
        ]
        scores = [[_score(sets, name, way) for name in SET5] for way in ways]
        exact, *lower = (float(np.mean(each)) for each in scores)
        rows.append([key, f"{exact:.3f}", *(f"{score - exact:+.3f}" for score in lower)])
    about = (
        "Set5 x4, MATLAB's low resolution, PSNR of the luma in dB. The product runs the second where it runs bfloat16."
    )
    header = ["model", "float32", "bfloat16 between float32 ends", "bfloat16 throughout"]
    write_section("Real-ESRGAN x4: what precision costs", about, header, rows)


def _pixels(device: Device, upscaler: NetworkUpscaler, pixels: Pixels) -> Pixels:
    return run_on(device, upscaler, pixels).pixels


def _all_bf16(network: nn.Module, pixels: Pixels) -> Pixels:
    with torch.inference_mode():
        made = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].bfloat16())
    return as_array(made[0].float().clamp(0, 1))


def _score(sets: Path, name: str, enlarge_by: Callable[[Pixels], Pixels]) -> float:
    low, high = (
        np.asarray(Image.open(sets / path).convert("RGB")) for path in (f"LR_bicubic/X4/{name}x4.png", f"HR/{name}.png")
    )
    made = to_uint8(enlarge_by(low.astype(np.float32) / np.float32(255)))
    reference = high[: made.shape[0], : made.shape[1]]
    found = psnr(luma(crop_border(reference, 4)), luma(crop_border(made, 4)))
    assert found is not None, "an enlarged picture is never the original"
    return found


def measure_seams() -> None:
    """Measures how far tiles are from the whole picture, cut and feathered, by their overlap."""
    networks = {
        "real-esrgan, random": make_rrdb(4),
        "real-esrgan-general, trained": read_compact("real-esrgan-general"),
    }
    rows = [row for name, network in networks.items() for row in _seams(name, network, make_scene(192))]
    about = (
        "192 x 192 in 2 x 2 tiles against the whole picture, in units of the result's standard deviation. The product "
        "runs RRDB's block by block, without seams; random parameters see less far than trained ones do, so the "
        "compact network is shown beside it, which the product cuts at its radius of 34, where nothing is left. "
        "Feathering makes steps fainter; where the overlap nears what a network sees, a cut has the smaller RMS. "
        "The last column is what the facts of a result say: the largest difference of two tiles at a seam."
    )
    header = ["network", "overlap, px", "cut: largest", "cut: RMS", "feathered: largest", "feathered: RMS", "reported"]
    write_section("Real-ESRGAN x4: seams", about, header, rows)


def _seams(name: str, network: Network, pixels: Pixels) -> list[list[str]]:
    run = Forward(network, devices.choose_device())
    whole = run(pixels[None])[0]
    spread, rows = float(whole.std()), []
    for overlap in (4, 8, 16, 24, 34):
        cells = []
        for feather in (False, True):
            tiled = finish(run_tiled(pixels, 4, run, 80 + 2 * overlap, overlap, feather=feather))
            off = np.abs(tiled.pixels - whole)
            cells += [f"{off.max() / spread:.1e}", f"{np.sqrt(np.square(off).mean()) / spread:.1e}"]
        rows.append([name, f"{overlap}", *cells, f"{(tiled.seam or 0) / spread:.1e}"])
    return rows
