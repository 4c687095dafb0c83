"""DiffBIR against its authors' own networks: seconds of a step, of what is around the steps, and peak memory.

python -m performance.diffbir CHECKOUT

CHECKOUT is a clone of XPixelGroup/DiffBIR, which is imported to compare with, and needs timm, einops, ftfy and regex.
The networks have their true size and random parameters, the same in both, but for the text encoder, which has two
layers: it runs once. Files of 6.8 GB are written to the folder for temporary files. Seconds are those that the cores
worked, together: other programs may have a part of the processor.
"""

import importlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch

from performance.authors import Taken, core_seconds, draw_parameters, write_table
from performance.measuring import peak_megabytes
from performance.scene import make_scene
from pipelines.catalog import diffbir
from pipelines.catalog.rows import find
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels8, to_uint8
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import build
from pipelines.weights import fetch as weights

SIDE, STEPS, REPEATS = 64, 2, 3
UNET: Mapping[str, Any] = {
    "use_checkpoint": False,
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "num_head_channels": 64,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "transformer_depth": 1,
    "context_dim": 1024,
    "legacy": False,
}
AUTOENCODER: Mapping[str, Any] = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}
TEXT = {
    "vision_cfg": {"image_size": 28, "layers": 1, "width": 64, "head_width": 64, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 2},
}
RESTORER: Mapping[str, Any] = {
    "embed_dim": 180,
    "depths": [6] * 8,
    "num_heads": [6] * 8,
    "window_size": 8,
    "mlp_ratio": 2,
    "sf": 8,
    "upsampler": "nearest+conv",
    "unshuffle": True,
    "unshuffle_scale": 8,
}
ABOUT = (
    "v2.1, by 4, 64 x 64 px, of which 256 x 256 are denoised here and not 512; networks of the true size with random "
    "parameters, without words. Theirs are the authors' networks in float32 on the processor. A step is a pass of the "
    "denoising network and the one that controls it; around are the restorer, encoder and decoder, in ours the preview "
    "and colours as well. Core seconds; a picture is 10 steps and what is around them. Peak memory is above the loaded "
    "networks, for theirs of what is around. The last column is PSNR against ours in float32, at 8 bits, after 2 steps."
)


def main(checkout: Path) -> None:
    """Measures both and writes them to RESULTS.md."""
    sys.path.insert(0, str(checkout))
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        theirs = _measure_theirs(Path(folder))
        half = _measure(Path(folder), "bfloat16")
        exact = _measure(Path(folder), "float32")
    write_table("DiffBIR: 64 px", ABOUT, 10, theirs, exact, half)


def _measure_theirs(folder: Path) -> Taken:
    """What the authors' networks take, which are saved by the names of the released files."""
    models = importlib.import_module("diffbir.model")
    control = {**{key: value for key, value in UNET.items() if key != "out_channels"}, "hint_channels": 4}
    autoencoder = {"embed_dim": 4, "ddconfig": AUTOENCODER}
    text = {"embed_dim": 64, **TEXT, "layer": "penultimate"}
    whole = models.ControlLDM(UNET, autoencoder, text, control, 0.18215).eval()
    restorer = models.SwinIR(**RESTORER).eval()
    for each in (whole, restorer):
        draw_parameters(each)
    named = {"model.diffusion_model.": whole.unet, "first_stage_model.": whole.vae, "cond_stage_model.": whole.clip}
    checkpoint = {before + key: value for before, each in named.items() for key, value in each.state_dict().items()}
    for state, file in (
        (checkpoint, diffbir.CHECKPOINT),
        (whole.controlnet.state_dict(), diffbir.CONTROL),
        (restorer.state_dict(), diffbir.SWIN_IR),
    ):
        torch.save(state, folder / file.path)
    picture, latents = torch.rand(1, 3, 4 * SIDE, 4 * SIDE), torch.randn(1, 4, SIDE // 2, SIDE // 2)
    seen = {"c_txt": torch.randn(1, 77, 1024), "c_img": latents}

    def around() -> None:
        restorer(picture)
        whole.vae_decode(whole.vae_encode(picture, sample=False))

    step = core_seconds(lambda: whole(latents, torch.tensor([500]), seen), REPEATS)
    return Taken(step, core_seconds(around), peak_megabytes(around))


def _measure(folder: Path, dtype: Literal["float32", "bfloat16"]) -> tuple[Taken, Pixels8]:
    """What the product takes in that precision, and its picture."""
    row, pixels = find("diffbir"), make_scene(SIDE)
    needed, made = row.scales[4], list[Pixels8]()
    assert needed is not None
    device = mock.patch.object(devices, "choose_device", lambda light=False: Device("cpu", dtype))
    with device, mock.patch.object(diffbir, "SHORTEST", 4 * SIDE):
        upscaler = build(row, 4, weights.from_user(needed, folder))

        def run() -> None:
            made.append(to_uint8(finish(upscaler.run(pixels, Settings(steps=STEPS))).pixels))

        (parts,) = upscaler.placed.values()
        kind = getattr(torch, dtype)
        seen, words = torch.randn(1, 8, SIDE // 2, SIDE // 2).to(kind), torch.randn(1, 77, 1024).to(kind)
        given = {"encoder_hidden_states": words, "strength": torch.ones(1, dtype=kind)}
        step = core_seconds(lambda: parts.unet(seen, 500, **given, return_dict=False), REPEATS)
        peak = peak_megabytes(run)
        return Taken(step, core_seconds(run) - STEPS * step, peak), made[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
