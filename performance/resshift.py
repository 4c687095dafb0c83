"""ResShift against its authors' own network: seconds of a step, of what is around the steps, and peak memory.

python -m performance.resshift CHECKOUT

CHECKOUT is a clone of zsyOAOA/ResShift, which is imported to compare with, and needs timm. The networks have their true
size and random parameters, the same in both. Seconds are those that the cores worked, together: other programs may have
a part of the processor.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest import mock

import torch
from torch import nn

from performance.measuring import peak_megabytes, write_section
from performance.scene import make_scene
from pipelines.catalog.rows import find
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels8, to_uint8
from pipelines.measuring.metrics.pixelwise import psnr
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import finish
from pipelines.upscalers.diffusion.engine import build
from pipelines.weights import fetch as weights

SIDE = 64
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
            _draw(each)
            torch.save(each.state_dict(), Path(folder) / name)
        plain = nn.functional.interpolate(small, scale_factor=4.0, mode="bicubic")
        around: Callable[[], object] = lambda: autoencoder.decode(autoencoder.encode(plain))  # noqa: E731
        theirs = Taken(
            _seconds(lambda: network(small, torch.tensor([3]), lq=small)), _seconds(around), peak_megabytes(around)
        )
        exact, picture = _measure(Path(folder), "float32")
        half, rounded = _measure(Path(folder), "bfloat16")
    found = psnr(picture, rounded)
    rows = [
        ["theirs", "float32", *theirs.cells(theirs), ""],
        ["ours", "float32", *exact.cells(theirs), ""],
        ["ours", "bfloat16", *half.cells(theirs), "the same" if found is None else f"{found:.1f}"],
    ]
    header = ["way", "precision", "a step, s", "of theirs", "around, s", "of theirs", "a picture, s", "peak, MB", "dB"]
    write_section("ResShift: 64 px", ABOUT, header, rows)


class Taken(NamedTuple):
    """Core seconds of a step and of what is around the steps, and peak memory in MB."""

    step: float
    around: float
    peak: float

    def cells(self, theirs: "Taken") -> list[str]:
        """The figures to read, beside their ratio to others."""
        ratios = f"{self.step / theirs.step:.2f}", f"{self.around / theirs.around:.2f}"
        whole = f"{4 * self.step + self.around:.1f}"
        return [f"{self.step:.2f}", ratios[0], f"{self.around:.2f}", ratios[1], whole, f"{self.peak:.0f}"]


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
        step, peak = _seconds(lambda: parts.unet(seen, 3, return_dict=False)), peak_megabytes(run)
        return Taken(step, _seconds(run) - 4 * step, peak), made[0]


def _draw(network: nn.Module) -> None:
    """Gives every parameter a value of its own: some are 0 as they are made."""
    for name, parameter in network.named_parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        spread *= 0.3 if name == "out.2.weight" else 1
        parameter.data = torch.randn_like(parameter) * spread + (parameter.ndim == 1 and name.endswith("weight"))


def _seconds(job: Callable[[], object]) -> float:
    """Core seconds of the job, after a warm-up."""
    job()
    start = time.process_time()
    job()
    return time.process_time() - start


if __name__ == "__main__":
    main(Path(sys.argv[1]))
