"""Memory that an image takes with ResShift, DiffBIR and SUPIR beside their networks, of 256 and of 512 px, by 4.

python -m performance.memory [resshift] [diffbir] [supir]

The networks have their true size and random parameters, and the precision that the product chooses here. Each model
runs in a fresh process: one step with its own settings, after a warm-up with a strip of 4 x 80 px. Of the tiles of one
shape the first alone is computed, and what it gives stands for the others; of SUPIR's two decodings the last alone. All
else is done as in any run, so memory is what it takes in one, and the image means nothing. On two cores it takes ten
minutes, and for SUPIR 15 GB of memory in bfloat16.
"""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel, VQModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from performance.authors import draw_as_read, draw_network
from performance.measuring import run_in_fresh_process, write_section
from performance.scene import make_scene
from performance.supir import AUTOENCODER, POOLED, WORDS, draw_supir
from pipelines import estimates
from pipelines.catalog.rows import find, find_specification
from pipelines.catalog.settings import Settings
from pipelines.catalog.specification import Options
from pipelines.images.picture import Pixels
from pipelines.measuring.memory import measure_peak_memory
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.forward import DTYPES
from pipelines.networks.tiling import Tiled, run_tiled
from pipelines.runs import Run, Step, finish
from pipelines.upscalers.diffusion import diffbir, supir, tiled_autoencoder
from pipelines.upscalers.diffusion.controlled import ControlledUnet
from pipelines.upscalers.diffusion.diffbir import DiffBir
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.parts import Parts
from pipelines.upscalers.diffusion.reading import count_positions
from pipelines.upscalers.diffusion.resshift import ResShift
from pipelines.upscalers.diffusion.supir import Supir
from pipelines.upscalers.diffusion.swin_ir import SwinIr, SwinIrSizes
from pipelines.upscalers.diffusion.swin_unet import SwinUnet, SwinUnetSizes
from pipelines.upscalers.diffusion.tiled_autoencoder import pixels_per_latent

SCALE, SIDES, STRIP = 4, (256, 512), (4, 80)
STABLE_DIFFUSION: Mapping[str, Any] = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
HEADER = ["model", "precision", "networks, MB", "image, px", "it takes beside them, MB", "told of all, MB"]
ABOUT = (
    "By 4, networks of the true size with random parameters, each model in a fresh process, one step with its own "
    "settings. Of tiles of one shape the first alone is computed and stands for the others, of SUPIR's two decodings "
    "the last; all else is done as in any run. What an image takes is the peak above what was held before, its result "
    "included; SUPIR's text encoders are left out of its networks, which with them have 3.3 GB more. What is told "
    "before a run is for networks, as large as their files, tile and image together."
)


def main(keys: list[str]) -> None:
    """Measures each of the models and writes them to RESULTS.md."""
    if keys[:1] == ["one"]:
        print(json.dumps(measure(keys[1])))
        return
    printed = [run_in_fresh_process("performance.memory", "one", key) for key in keys or PARTS]
    rows = [row for each in printed for row in json.loads(each.splitlines()[-1])]
    write_section("ResShift, DiffBIR, SUPIR: memory", ABOUT, HEADER, rows)


def measure(key: str) -> list[list[str]]:
    """A row for each side."""
    device, row, rows = replace(devices.choose_device(), engine="torch", note=None), find(key), list[list[str]]()
    parts = PARTS[key](device)
    networks = parts.nbytes / 1e6
    upscaler = DiffusionUpscaler(row, SCALE, (), 0, placed={device: parts})
    with torch.inference_mode():
        finish(upscaler.run(np.zeros((*STRIP, 3), np.float32), Settings(steps=1)))
        for side in SIDES:
            with _first_tiles(parts), measure_peak_memory() as peak:
                made = finish(upscaler.run(make_scene(side), Settings(steps=1)))
            assert made.pixels.shape[0] == SCALE * side
            told = estimates.estimate(key, SCALE, side, side).megabytes
            rows.append([row.name, device.dtype, *(f"{each:.0f}" for each in (networks, side, peak.megabytes, told))])
            print(*rows[-1], file=sys.stderr, flush=True)
    return rows


def _first_tiles(parts: Parts) -> ExitStack:
    """While it is entered, of the tiles of one shape the first alone is computed."""
    patches = ExitStack()
    unet: Any = parts.unet
    patches.enter_context(mock.patch.object(unet, "forward", _once(unet.forward)))
    for module in (tiled_autoencoder, diffbir):
        patches.enter_context(mock.patch.object(module, "run_tiled", _run_first))
    patches.enter_context(mock.patch.object(supir, "decode_latents", _leave_out))
    return patches


def _once(work: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose first result for what has a shape stands for all others."""
    made = dict[tuple[int, ...], Any]()

    def run(first: Any, *more: Any, **named: Any) -> Any:
        if first.shape not in made:
            made[first.shape] = work(first, *more, **named)
        return made[first.shape]

    return run


def _run_first(pixels: Pixels, scale: int, enlarge: Callable[..., Any], *more: Any, **named: Any) -> Run[Tiled]:
    return run_tiled(pixels, scale, _once(enlarge), *more, **named)


def _leave_out(vae: AutoencoderKL, latents: Tensor, *more: Any, **named: Any) -> Run[Tiled]:
    """Grey in place of what would be decoded."""
    yield Step(1, 1, "tiles")
    height, width = (length * pixels_per_latent(vae) for length in latents.shape[2:])
    return Tiled(np.full((height, width, 3), 0.5, np.float32), 1)


def _draw_resshift(device: Device) -> Parts:
    specification, dtype = find_specification(find("resshift")), DTYPES[device.dtype]
    sizes = SwinUnetSizes(in_channels=6, out_channels=3, block_out_channels=(160, 320, 320, 640), attended=192, heads=6)
    vae = {
        **{"block_out_channels": (128, 256, 512), "layers_per_block": 2, "latent_channels": 3},
        **{"down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3},
        **{"num_vq_embeddings": 8192, "vq_embed_dim": 3},
    }
    return ResShift(
        specification,
        draw_as_read(lambda: SwinUnet(sizes), device.name, dtype),
        draw_as_read(lambda: VQModel(**vae), device.name, torch.float32),
        specification.schedule,
    )


def _draw_diffbir(device: Device) -> Parts:
    specification, dtype = find_specification(find("diffbir")), DTYPES[device.dtype]
    ups = ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3]

    def make_control() -> ControlNetModel:
        made = ControlNetModel(**STABLE_DIFFUSION)
        made.controlnet_cond_embedding = nn.Conv2d(4, 320, 3, padding=1, bias=False)
        return made

    unet = draw_as_read(lambda: UNet2DConditionModel(**STABLE_DIFFUSION, up_block_types=ups), device.name, dtype)
    words = CLIPTextConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=22, num_attention_heads=16)
    sizes = SwinIrSizes(width=180, depths=(6,) * 8, heads=6, window=8, hidden=360, features=64, doublings=3)
    return DiffBir(
        specification,
        ControlledUnet(unet, draw_as_read(make_control, device.name, dtype)),
        draw_as_read(lambda: AutoencoderKL(**AUTOENCODER), device.name, torch.float32),
        specification.schedule,
        draw_as_read(lambda: SwinIr(sizes), device.name, torch.float32),
        count_positions(draw_network(lambda: CLIPTextModel(words), "cpu", torch.float32)),
        Path(),
    )


def _draw_supir(device: Device) -> Parts:
    """What the text encoders make is drawn, and they are left out: they run before all else."""
    specification = find_specification(find("supir"))
    cleaner, vae = (draw_as_read(lambda: AutoencoderKL(**AUTOENCODER), device.name, torch.float32) for _ in range(2))
    cleaner.decoder = cleaner.post_quant_conv = nn.Identity()
    return _WithoutWords(
        specification,
        draw_supir(device),
        vae,
        specification.schedule,
        cleaner,
        *(nn.Identity(),) * 3,
    )


class _WithoutWords(Supir):
    def _embed(self, options: Options) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        passes = 1 + options.guided
        return torch.randn(passes, *WORDS), torch.randn(passes, POOLED), ()


PARTS: Mapping[str, Callable[[Device], Parts]] = {
    "resshift": _draw_resshift,
    "diffbir": _draw_diffbir,
    "supir": _draw_supir,
}

if __name__ == "__main__":
    main(sys.argv[1:])
