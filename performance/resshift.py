"""ResShift against its authors' own network: seconds of a step, of what is around the steps, and peak memory.

python -m performance.resshift CHECKOUT

CHECKOUT is a clone of zsyOAOA/ResShift, which is imported to compare with, and needs timm. The networks have their true
size and random parameters, the same in both. Seconds are those that the cores worked, together: other programs may have
a part of the processor.
"""

import importlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from torch import nn

from performance.authors import Taken, core_seconds, draw_parameters, write_table
from performance.measuring import peak_megabytes
from performance.scene import make_scene
from pipelines.catalog.rows import find
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels8, to_uint8
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import build
from pipelines.weights import fetch as weights

SIDE, REPEATS = 64, 3
SIZES: Mapping[str, Any] = {
    "image_size": 64,
    "in_channels": 3,
    "model_channels": 160,
    "out_channels": 3,
    "attention_resolutions": [64, 32, 16, 8],
    "channel_mult": [1, 2, 2, 4],
    "num_res_blocks": [2, 2, 2, 2],
    "num_head_channels": 32,
    "use_scale_shift_norm": True,
    "swin_embed_dim": 192,
    "window_size": 8,
    "mlp_ratio": 4,
    "lq_size": 64,
}
AUTOENCODER: Mapping[str, Any] = {
    "double_z": False,
    "z_channels": 3,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
}
ABOUT = (
    "By 4, 64 x 64 px, networks of the true size with random parameters. Theirs is the authors' network and "
    "autoencoder in float32 on the processor. Core seconds; a picture is 4 steps and what is around them, in ours the "
    "preview as well. Peak memory is above the loaded networks, for theirs of the autoencoder alone. The last column "
    "is PSNR against ours in float32, at 8 bits."
)


def main(checkout: Path) -> None:
    """Measures both and writes them to RESULTS.md."""
    sys.path.insert(0, str(checkout))
    network = importlib.import_module("models.unet").UNetModelSwin(**SIZES).eval()
    autoencoder = importlib.import_module("ldm.models.autoencoder").VQModelTorch(AUTOENCODER, 8192, 3).eval()
    small = torch.from_numpy(make_scene(SIDE)).permute(2, 0, 1)[None] * 2 - 1
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for each, name in ((network, "resshift_realsrx4_s4_v3.pth"), (autoencoder, "autoencoder_vq_f4.pth")):
            draw_parameters(each)
            torch.save(each.state_dict(), Path(folder) / name)
        plain = nn.functional.interpolate(small, scale_factor=4.0, mode="bicubic")
        around: Callable[[], object] = lambda: autoencoder.decode(autoencoder.encode(plain))  # noqa: E731
        theirs = Taken(
            core_seconds(lambda: network(small, torch.tensor([3]), lq=small), REPEATS),
            core_seconds(around),
            peak_megabytes(around),
        )
        exact = _measure(Path(folder), "float32")
        half = _measure(Path(folder), "bfloat16")
    write_table("ResShift: 64 px", ABOUT, 4, theirs, exact, half)


def _measure(folder: Path, dtype: Literal["float32", "bfloat16"]) -> tuple[Taken, Pixels8]:
    """What the product takes in that precision, and its picture."""
    row, pixels = find("resshift"), make_scene(SIDE)
    needed, made = row.scales[4], list[Pixels8]()
    assert needed is not None
    with mock.patch.object(devices, "choose_device", lambda light=False: Device("cpu", dtype)):
        upscaler = build(row, 4, weights.from_user(needed, folder))

        def run() -> None:
            made.append(to_uint8(finish(upscaler.run(pixels, Settings())).pixels))

        (parts,) = upscaler.placed.values()
        seen = torch.rand(1, 6, SIDE, SIDE).to(getattr(torch, dtype))
        step, peak = core_seconds(lambda: parts.unet(seen, 3, return_dict=False), REPEATS), peak_megabytes(run)
        return Taken(step, core_seconds(run) - 4 * step, peak), made[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
