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
from torch import Tensor, nn

from performance.authors import compare_core_seconds
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
UP = {"up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")}
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
            rows.append(["a step", precision, *_compare(*_steps(Device(kind, precision), side), kind)])
            gc.collect()
        rows.append(["encoder and decoder", "float32", *_compare(*_around(Device(kind), side), kind)])
    about = (
        f"{side} x {side} px, on {kind}; networks of the true size with random parameters. A step is a pass of the "
        "denoising network and the one that leads it, without guidance; peak memory is above the networks."
    )
    write_section(f"SUPIR: {side} px", about, HEADER, rows)


def _steps(device: Device, side: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A step by diffusers' networks, and by ours, which has the same parameters."""
    dtype = DTYPES[device.dtype]
    unet = _drawn(lambda: UNet2DConditionModel(**NETWORK, **UP), device, dtype)
    control = _drawn(_make_control, device, dtype)
    ours = AdaptedUnet(unet, control, _drawn(lambda: make_layers(unet), device, dtype))
    latents, picture, words, pooled = (
        torch.randn(shape, device=device.name, dtype=dtype)
        for shape in ((1, 4, side // LATENT, side // LATENT),) * 2 + ((1, *WORDS), (1, POOLED))
    )
    sizes = torch.tensor([[1024, 1024, 0, 0, 1024, 1024]], device=device.name)
    added = {"text_embeds": pooled, "time_ids": sizes}

    def theirs() -> Tensor:
        places, middle = control(
            latents, 500, words, controlnet_cond=picture, added_cond_kwargs=added, return_dict=False
        )
        made: Tensor = unet(
            latents,
            500,
            words,
            added_cond_kwargs=added,
            down_block_additional_residuals=tuple(places),
            mid_block_additional_residual=middle,
            return_dict=False,
        )[0]
        return made

    seen, strength = torch.cat([latents, picture], dim=1), torch.ones(1, device=device.name, dtype=dtype)
    return theirs, lambda: ours(seen, 500, words, pooled, strength)


def _around(device: Device, side: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Reading and decoding a picture by diffusers' autoencoder, and by ours, in tiles where they are needed."""
    vae = _drawn(lambda: AutoencoderKL(**AUTOENCODER), device, torch.float32)
    pixels = np.random.default_rng(1).random((side, side, 3), np.float32)
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device.name) * 2 - 1

    def ours() -> None:
        read = finish(encode_picture(vae, pixels, device, 128)).mean
        finish(decode_latents(vae, read, device, 128, clamp=False))

    return lambda: vae.decode(vae.encode(whole).latent_dist.mode()), ours


def _compare(theirs: Callable[[], object], ours: Callable[[], object], kind: str) -> list[str]:
    jobs = theirs, ours
    seconds = [*map(_device_seconds, jobs)] if kind == "cuda" else compare_core_seconds(jobs, REPEATS)
    peaks = [(_device_megabytes if kind == "cuda" else peak_megabytes)(each) for each in (theirs, ours)]
    return [*(f"{each:.2f}" for each in seconds), f"{seconds[1] / seconds[0]:.2f}", *(f"{each:.0f}" for each in peaks)]


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


def _make_control() -> ControlNetModel:
    made: Any = ControlNetModel(**NETWORK)
    made.controlnet_cond_embedding = nn.Conv2d(4, NETWORK["block_out_channels"][0], 3, padding=1)
    made.controlnet_down_blocks = nn.ModuleList(nn.Identity() for _ in made.controlnet_down_blocks)
    made.controlnet_mid_block = nn.Identity()
    whole: ControlNetModel = made
    return whole


def _drawn(make: Callable[[], nn.Module], device: Device, dtype: torch.dtype) -> Any:
    """The network with small random parameters, which are drawn where they are to lie."""
    with torch.device("meta"):
        bare = make()
    network = bare.to(dtype).to_empty(device=device.name).requires_grad_(False).eval()
    for parameter in network.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.uniform_(-spread, spread)
    return network


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else SIDE)
