"""Real-ESRGAN's networks, run by the product and as their package runs them."""

from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from pipelines.catalog.rows import find, weights_for
from pipelines.catalog.schema import File
from pipelines.catalog.settings import Settings
from pipelines.images.picture import Pixels
from pipelines.networks import devices
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.checkpoints import read_network
from pipelines.networks.devices import Device
from pipelines.networks.network import Network
from pipelines.runs import finish
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.network import NetworkUpscaler
from pipelines.weights import fetch as weights
from pipelines.weights.fetch import Found

PATCH, AROUND, REFLECTED, BATCH = 192, 24, 15, 4  # ai-forever's package: patch, padding, border, batch


def make_rrdb(scale: int, depth: int = 23) -> Network:
    """The RRDB network of Real-ESRGAN with random parameters that keep signals at their size from layer to layer."""
    random = torch.Generator().manual_seed(0)
    network = (
        RRDBNet(3 if scale == 8 else 2, unshuffle=2 if scale == 2 else 1, depth=depth).requires_grad_(False).eval()
    )
    for parameter in network.parameters():
        fan_in = parameter[0].numel()
        parameter.normal_(0, (1.5 / fan_in) ** 0.5 if parameter.ndim == 4 else 0.1, generator=random)
    return network


def read_compact(key: str) -> Network:
    """A compact network with its real parameters."""
    needed = weights_for(find(key), 4)
    found = weights.find(needed) if needed else None
    assert found, f"UPSCALE_WEIGHTS_DIR has no weights of {key}"
    return read_network(found[0].path)


def make_network(key: str) -> Network:
    """The network of that model at x4: Real-ESRGAN's own with random parameters, a compact one with its real ones."""
    return make_rrdb(4) if key == "real-esrgan" else read_compact(key)


def make_upscaler(key: str, network: Network) -> NetworkUpscaler:
    """The network as the product runs it."""
    found = Found(File("made", 0), Path("made"), "0" * 64, "made", "unpinned")
    return NetworkUpscaler(find(key), network.scale, network, (found,), 0)


def run_on(device: Device, upscaler: NetworkUpscaler, pixels: Pixels) -> Upscaled:
    """The picture enlarged on that device, whatever would be chosen."""
    with mock.patch.object(devices, "choose_device", lambda light=False: device):
        return finish(upscaler.run(pixels, Settings()))


def run_as_package(network: Network, pixels: Pixels, device: str = "cpu") -> Pixels:
    """The picture enlarged as ai-forever's package does it: patches in batches, in float32 and plain NCHW."""
    height, width, _ = pixels.shape
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
    planes = F.pad(planes, [REFLECTED] * 4, mode="reflect")
    below, right = (-(side + 2 * REFLECTED) % PATCH for side in (height, width))
    planes = F.pad(planes, [AROUND, right + AROUND, AROUND, below + AROUND], mode="replicate")
    tops, lefts = (range(0, side - 2 * AROUND, PATCH) for side in planes.shape[2:])
    whole = PATCH + 2 * AROUND
    patches = torch.cat([planes[..., top : top + whole, left : left + whole] for top in tops for left in lefts])
    scale = network.scale
    with torch.inference_mode():
        made = torch.cat([network(some.to(device)).clamp(0, 1).cpu() for some in torch.split(patches, BATCH)])
    inner = made[..., AROUND * scale : -AROUND * scale, AROUND * scale : -AROUND * scale]
    rows = inner.reshape(len(tops), len(lefts), 3, PATCH * scale, PATCH * scale).permute(0, 3, 1, 4, 2)
    first = REFLECTED * scale
    joined = rows.reshape(len(tops) * PATCH * scale, len(lefts) * PATCH * scale, 3)
    return joined[first : first + height * scale, first : first + width * scale].numpy()


def run_plain(network: Network, pixels: Pixels) -> Pixels:
    """The whole picture at once, in float32 and plain NCHW."""
    with torch.inference_mode():
        made = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous())
    return as_array(made[0])


def as_array(planes: torch.Tensor) -> Pixels:
    """The planes of one picture, (3, h, w), as (h, w, 3)."""
    array: Pixels = planes.permute(1, 2, 0).numpy()
    return array


def list_devices() -> list[Device]:
    """The device that is chosen here, and torch on the same where that is another engine."""
    chosen = devices.choose_device()
    return [chosen, *([replace(chosen, engine="torch")] if chosen.engine != "torch" else [])]
