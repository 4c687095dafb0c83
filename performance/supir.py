"""SUPIR against diffusers' own parts: seconds of a step and of what is around the steps, and peak memory.

python -m performance.supir [PIXELS]

The networks have their true size and random parameters, the same in both. Diffusers' own are a network of Stable
Diffusion XL with a control network beside it, which does as much but for the layers that join both, and an autoencoder
that reads and decodes the whole image at once. Without a GPU seconds are those that the cores worked, together: other
programs may have a part of the processor. It takes 18 GB of memory in float32, half of that otherwise: where there is
less, float32 is left out.
"""

import gc
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import nn

from performance.authors import core_seconds, draw_as_read, draw_network
from performance.measuring import peak_megabytes, write_section
from pipelines.machine import available_memory
from pipelines.networks.devices import Device
from pipelines.networks.forward import DTYPES
from pipelines.runs import finish
from pipelines.upscalers.diffusion.adapted_unet import AdaptedUnet, make_layers
from pipelines.upscalers.diffusion.decoder import decode_latents
from pipelines.upscalers.diffusion.encoder import encode_picture

SIDE = 256  # pixels of what is denoised, unless told otherwise
REPEATS = 3
NEEDED = 18 << 30  # bytes of memory in float32
LATENT, WORDS, POOLED = 8, (77, 2048), 1280
NETWORK: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": WORDS[1],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
AUTOENCODER: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
HEADER = ["what", "precision", "diffusers, s", "ours, s", "of diffusers", "diffusers, MB", "ours, MB"]
Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]


def main(side: int) -> None:
    """Measures both and writes them to RESULTS.md."""
    kind: Literal["cuda", "cpu"] = "cuda" if torch.cuda.is_available() else "cpu"
    half: Precision = "float16" if kind == "cuda" else "bfloat16"
    rows = list[list[str]]()
    with torch.inference_mode():
        fits = kind == "cuda" or available_memory() > NEEDED
        precisions: tuple[Precision, ...] = (half, "float32") if fits else (half,)
        for precision in precisions:
            rows.append(["a step", precision, *_compare_steps(Device(kind, precision), side)])
            gc.collect()
        rows.append(["encoder and decoder", "float32", *_compare_around(Device(kind), side)])
    about = (
        f"{side} x {side} px, on {kind}; networks of the true size with random parameters. A step is a pass of the "
        "denoising network and the one that leads it, without guidance; diffusers' are a network of Stable Diffusion "
        "XL and a control network, which lack what joins both in ours. Diffusers' run first and then ours, the "
        f"parameters laid out as each reads them: the least of {REPEATS} runs after a warm-up"
        f"{'' if kind == 'cuda' else ', in core seconds'}. Peak memory is above the networks."
    )
    write_section(f"SUPIR: {side} px", about, HEADER, rows)


def draw_supir(device: Device) -> AdaptedUnet:
    """The networks of a step as the product reads them."""
    dtype = DTYPES[device.dtype]
    unet = draw_as_read(_make_unet, device.name, dtype)
    others = (draw_as_read(make, device.name, dtype) for make in (_make_control, lambda: make_layers(unet)))
    return AdaptedUnet(unet, *others)


def _compare_steps(device: Device, side: int) -> list[str]:
    """A step by diffusers' networks, and by ours, which has the same parameters: there is no memory for two of each."""
    dtype = DTYPES[device.dtype]
    unet, control = (draw_network(make, device.name, dtype) for make in (_make_unet, _make_control))
    latents, picture, words, pooled = (
        torch.randn(shape, device=device.name, dtype=dtype)
        for shape in ((1, 4, side // LATENT, side // LATENT),) * 2 + ((1, *WORDS), (1, POOLED))
    )
    sizes = torch.tensor([[1024, 1024, 0, 0, 1024, 1024]], device=device.name)
    added = {"text_embeds": pooled, "time_ids": sizes}

    def step() -> None:
        places, middle = control(
            latents, 500, words, controlnet_cond=picture, added_cond_kwargs=added, return_dict=False
        )
        unet(
            latents,
            500,
            words,
            added_cond_kwargs=added,
            down_block_additional_residuals=tuple(places),
            mid_block_additional_residual=middle,
            return_dict=False,
        )

    theirs = _take(step, device)
    layers = draw_as_read(lambda: make_layers(unet), device.name, dtype)
    unet, control = (each.to(memory_format=torch.channels_last) for each in (unet, control))
    ours = AdaptedUnet(unet, control, layers)
    seen, strength = torch.cat([latents, picture], dim=1), torch.ones(1, device=device.name, dtype=dtype)
    return _cells(theirs, _take(lambda: ours(seen, 500, words, pooled, strength), device))


def _compare_around(device: Device, side: int) -> list[str]:
    """Reading and decoding a picture by diffusers' autoencoder, and by ours, in tiles where they are needed."""
    theirs, ours = (draw(_make_autoencoder, device.name, torch.float32) for draw in (draw_network, draw_as_read))
    pixels = np.random.default_rng(1).random((side, side, 3), np.float32)
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device.name) * 2 - 1

    def read_and_decode() -> None:
        read = finish(encode_picture(ours, pixels, device, 128)).mean
        finish(decode_latents(ours, read, device, 128, clamp=False))

    taken = _take(lambda: theirs.decode(theirs.encode(whole).latent_dist.mode()), device)
    return _cells(taken, _take(read_and_decode, device))


def _take(job: Callable[[], object], device: Device) -> tuple[float, float]:
    """Seconds of the job and its peak memory in MB."""
    if device.name == "cuda":
        return min(_device_seconds(job) for _ in range(REPEATS)), _device_megabytes(job)
    return core_seconds(job, REPEATS), peak_megabytes(job)


def _cells(theirs: tuple[float, float], ours: tuple[float, float]) -> list[str]:
    seconds, peaks = zip(theirs, ours, strict=True)
    return [*(f"{each:.2f}" for each in seconds), f"{ours[0] / theirs[0]:.2f}", *(f"{each:.0f}" for each in peaks)]


def _device_seconds(job: Callable[[], object]) -> float:
    """Seconds until the GPU is done, after a warm-up."""
    job()
    torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def _device_megabytes(job: Callable[[], object]) -> float:
    """Peak memory of the GPU while the job runs, above what was held before, in MB of 10^6 bytes."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    job()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def _make_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(**NETWORK, up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))


def _make_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(**AUTOENCODER)


def _make_control() -> ControlNetModel:
    made: Any = ControlNetModel(**NETWORK)
    made.controlnet_cond_embedding = nn.Conv2d(4, NETWORK["block_out_channels"][0], 3, padding=1)
    made.controlnet_down_blocks = nn.ModuleList(nn.Identity() for _ in made.controlnet_down_blocks)
    made.controlnet_mid_block = nn.Identity()
    whole: ControlNetModel = made
    return whole


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else SIDE)
