"""Real-ESRGAN's networks against the same networks run as their package runs them, in one run: ratios, memory, seams.

python -m performance.real_esrgan [speed] [loading] [foretold] [memory] [request] [seams] [gpu] [SET5]

All parts, or those that are named; SET5 is a folder with HR and LR_bicubic/X4, for what precision costs. The RRDB
network's parameters are random: what a convolution costs does not depend on them. The compact networks' are looked for
in UPSCALE_WEIGHTS_DIR. With ONEDNN_MAX_CPU_ISA=AVX512_CORE a processor with AMX is measured as one without.
"""

import copy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from performance.measuring import medians, peak_megabytes, write_section
from performance.upscale import ROOT, scene
from pipelines import estimates
from pipelines.catalog.rows import find, weights_for
from pipelines.catalog.schema import File
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.images import door as images
from pipelines.images.picture import Pixels, to_uint8
from pipelines.measuring.metrics.metric import crop_border
from pipelines.measuring.metrics.pixelwise import luma, psnr
from pipelines.networks import devices
from pipelines.networks.archs.rrdbnet import RRDBNet
from pipelines.networks.checkpoints import read_network
from pipelines.networks.devices import Device
from pipelines.networks.forward import Forward
from pipelines.networks.network import Network
from pipelines.networks.tiling import run_tiled
from pipelines.runs import finish, time_run
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.network import Forwards, NetworkUpscaler
from pipelines.weights import fetch as weights
from pipelines.weights.fetch import Found

FLOP_PER_PIXEL = 36e6  # of the RRDB network at x4, per pixel of its input
PATCH, AROUND, REFLECTED, AT_ONCE = 192, 24, 15, 4  # ai-forever's package: patch, padding, border, batch
SET5 = ("baby", "bird", "butterfly", "head", "woman")


# --- the networks, and how they are run -----------------------------------------------------------------------------


def rrdb(scale: int) -> Network:
    """The RRDB network of Real-ESRGAN with random parameters that keep signals at their size from layer to layer."""
    random = torch.Generator().manual_seed(0)
    network = RRDBNet(3 if scale == 8 else 2, unshuffle=2 if scale == 2 else 1).requires_grad_(False).eval()
    for parameter in network.parameters():
        fan_in = parameter[0].numel()
        parameter.normal_(0, (1.5 / fan_in) ** 0.5 if parameter.ndim == 4 else 0.1, generator=random)
    return network


def compact(key: str) -> Network:
    """A compact network with its real parameters."""
    needed = weights_for(find(key), 4)
    found = weights.find(needed) if needed else None
    assert found, f"UPSCALE_WEIGHTS_DIR has no weights of {key}"
    return read_network(found[0].path)


def ours(key: str, network: Network) -> NetworkUpscaler:
    """The network as the product runs it."""
    found = Found(File("made", 0), Path("made"), "0" * 64, "made", "unpinned")
    return NetworkUpscaler(find(key), network.scale, network, (found,), 0)


def run_on(device: Device, upscaler: NetworkUpscaler, pixels: Pixels) -> Upscaled:
    """The picture enlarged on that device, whatever would be chosen."""
    with mock.patch.object(devices, "choose_device", lambda light=False: device):
        return finish(upscaler.run(pixels, Settings()))


def as_package(network: Network, pixels: Pixels, device: str = "cpu") -> Pixels:
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
        made = torch.cat([network(some.to(device)).clamp(0, 1).cpu() for some in torch.split(patches, AT_ONCE)])
    inner = made[..., AROUND * scale : -AROUND * scale, AROUND * scale : -AROUND * scale]
    rows = inner.reshape(len(tops), len(lefts), 3, PATCH * scale, PATCH * scale).permute(0, 3, 1, 4, 2)
    first = REFLECTED * scale
    joined = rows.reshape(len(tops) * PATCH * scale, len(lefts) * PATCH * scale, 3)
    return joined[first : first + height * scale, first : first + width * scale].numpy()


def plain(network: Network, pixels: Pixels) -> Pixels:
    """The whole picture at once, in float32 and plain NCHW."""
    with torch.inference_mode():
        made = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous())
    return _array(made[0])


def _array(planes: torch.Tensor) -> Pixels:
    array: Pixels = planes.permute(1, 2, 0).numpy()
    return array


def engines() -> list[Device]:
    """The device that is chosen here, and torch on the same where that is another engine."""
    chosen = devices.choose_device()
    return [chosen, *([replace(chosen, engine="torch")] if chosen.engine != "torch" else [])]


# --- parts ----------------------------------------------------------------------------------------------------------


def speed() -> None:
    """Seconds against the package's way (RRDB), or plain torch (compact)."""
    rows = _against("real-esrgan", rrdb(4), as_package, 256)
    for key, side in (("real-esrgan-general", 512), ("real-esrgan-general", 1024), ("real-esrgan-anime", 512)):
        rows += _against(key, compact(key), plain, side)
    about = (
        "The peer of Real-ESRGAN is its package's way: float32, plain NCHW, patches of 192 with 24 pixels around and a "
        "reflected border of 15, in batches of 4; that of the compact networks is the whole picture at once in float32 "
        "and plain NCHW. One timed run each after a warm-up, taking turns."
    )
    header = ["model", "side, px", "engine", "precision", "tiles", "peer, s", "ours, s", "peer / ours"]
    write_section("Real-ESRGAN x4: speed", about, header, rows)


Peer = Callable[[Network, Pixels], Pixels]


def _against(key: str, network: Network, peer: Peer, side: int) -> list[list[str]]:
    pixels, tiles = scene(side), dict[Device, int]()
    # A copy: an engine may lay out anew the parameters that it is given.
    upscaler, chosen = ours(key, copy.deepcopy(network)), engines()

    def run(device: Device) -> None:
        tiles[device] = run_on(device, upscaler, pixels).tiles

    first, *taken = medians([partial(peer, network, pixels), *(partial(run, device) for device in chosen)], repeats=1)
    return [
        [
            key,
            f"{side}",
            device.label,
            device.dtype,
            f"{tiles[device]}",
            f"{first:.2f}",
            f"{seconds:.2f}",
            f"{first / seconds:.2f}",
        ]
        for device, seconds in zip(chosen, taken, strict=True)
    ]


def loading() -> None:
    """How long it takes until a network that lies on the disk can run, and whether OpenVINO's cache would help."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x4.pth"
        torch.save(rrdb(4).state_dict(), path)
        network = read_network(path)
        taken = medians([lambda: read_network(path), lambda: Forward(network, devices.choose_device())], repeats=3)
    about = "Real-ESRGAN x4, 67 MB: read from the disk, and made ready to run. Median of 3 after a warm-up."
    row = [devices.choose_device().label, *(f"{seconds:.2f}" for seconds in taken)]
    write_section("Real-ESRGAN x4: loading", about, ["engine", "read, s", "make ready, s"], [row])


def foretold() -> None:
    """How near the time is that is told before a run, after one run of another size."""
    rows = []
    for key, learned, others in (("real-esrgan", 128, (96, 320)), ("real-esrgan-general", 256, (128, 720))):
        upscaler = ours(key, rrdb(4) if key == "real-esrgan" else compact(key))
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(estimates, "_file", Path(folder, "r").absolute):
            finish(upscaler.run(scene(32), Settings()))
            done, seconds = finish(time_run(upscaler.run(scene(learned), Settings())))
            estimates.learn(key, 4, learned, learned, seconds, done.tiling, "measured")
            for side in others:
                told = estimates.estimate(key, 4, side, side).seconds or 0.0
                _, seconds = finish(time_run(upscaler.run(scene(side), Settings())))
                rows.append([key, f"{learned}", f"{side}", f"{told:.2f}", f"{seconds:.2f}", f"{told / seconds:.2f}"])
    about = "After one run of the first size, what is told before a run of the second, and what it took."
    header = ["model", "ran, px", "then, px", "told, s", "took, s", "told / took"]
    write_section("Real-ESRGAN x4: the time that is told", about, header, rows)


def gpu() -> None:
    """1024 x 1024 on a CUDA GPU in half precision, against the package's way under autocast."""
    title, header = "Real-ESRGAN x4: GPU", ["way", "seconds", "TFLOP/s", "share of the bfloat16 rate"]
    if not torch.cuda.is_available():
        write_section(title, "No GPU was at hand.", header, [])
        return
    network, pixels, device = rrdb(4), scene(1024), devices.choose_device()
    upscaler, reference = ours("real-esrgan", network), copy.deepcopy(network).to("cuda")

    def package() -> None:
        with torch.autocast("cuda"):
            as_package(reference, pixels, "cuda")

    taken = medians([package, lambda: run_on(device, upscaler, pixels)], repeats=3)
    rate = _matrix_rate()
    speeds = [FLOP_PER_PIXEL * 1024**2 / seconds / 1e12 for seconds in taken]
    rows = [
        [way, f"{seconds:.2f}", f"{speed:.0f}", f"{speed / rate:.2f}"]
        for way, seconds, speed in zip(("package, autocast", "ours"), taken, speeds, strict=True)
    ]
    about = f"{torch.cuda.get_device_name()}, 1024 x 1024 by 4; a matrix product of side 8192 makes {rate:.0f} TFLOP/s."
    write_section(title, about, header, rows)


def _matrix_rate() -> float:
    """TFLOP/s of a bfloat16 matrix product."""
    one, other = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))

    def product() -> None:
        (one @ other).sum().item()  # the sum waits for the product

    (seconds,) = medians([product], repeats=20)
    return 2 * 8192**3 / seconds / 1e12


def memory() -> None:
    """Peak memory of 1024 x 1024 by 4, each in a fresh process."""
    rows = []
    for key in ("real-esrgan", "real-esrgan-general"):
        command = [sys.executable, "-m", "performance.real_esrgan", "peak", key]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
        rows.append([key, *said])
    about = "1024 x 1024 to 4096 x 4096: peak resident memory above the loaded network; the result is in it."
    write_section("Real-ESRGAN x4: memory", about, ["model", "peak, MB"], rows)


def peak(key: str) -> None:
    """What `memory` runs in a process of its own."""
    network = rrdb(4) if key == "real-esrgan" else compact(key)
    upscaler = ours(key, network)
    finish(upscaler.run(scene(32), Settings()))
    print(f"{peak_megabytes(lambda: finish(upscaler.run(scene(1024), Settings()))):.0f}")


def request() -> None:
    """How much of a whole request is the network: 512 x 512 by 4, from a PNG file to a PNG file."""
    rows = []
    for key in ("real-esrgan", "real-esrgan-general"):
        upscaler = ours(key, rrdb(4) if key == "real-esrgan" else compact(key))
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.png", Path(folder) / "out.png"
            Image.fromarray(to_uint8(scene(512))).save(source)
            finish(upscaler.run(scene(64), Settings()))
            forwards, _ = upscaler.forwards()
            network = forwards.usual = _Timed(forwards.usual)
            start = time.perf_counter()
            images.write(finish(enlarge(images.read(source, 4), [upscaler])).picture, target)
            whole = time.perf_counter() - start
        rows.append([key, f"{whole:.2f}", f"{network.seconds:.2f}", f"{network.seconds / whole:.1%}"])
    about = "512 x 512 by 4, from a PNG file to a PNG file on the chosen engine, and what of that the network took."
    write_section("Real-ESRGAN x4: a whole request", about, ["model", "request, s", "network, s", "share"], rows)


class _Timed(Forward):
    """A network that counts the seconds it worked."""

    def __init__(self, usual: Forward) -> None:
        self.usual, self.seconds = usual, 0.0

    def __call__(self, batch: Pixels) -> Pixels:
        start = time.perf_counter()
        made = self.usual(batch)
        self.seconds += time.perf_counter() - start
        return made

    def release(self) -> None:
        self.usual.release()


def precision(sets: Path) -> None:
    """PSNR of the compact networks on Set5 in float32, in bfloat16 with float32 ends, and in bfloat16 throughout."""
    rows = []
    for key in ("real-esrgan-general", "real-esrgan-anime"):
        network = compact(key)
        upscaler = ours(key, network)
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
    return _array(made[0].float().clamp(0, 1))


def _score(sets: Path, name: str, enlarge_by: Callable[[Pixels], Pixels]) -> float:
    low, high = (
        np.asarray(Image.open(sets / path).convert("RGB")) for path in (f"LR_bicubic/X4/{name}x4.png", f"HR/{name}.png")
    )
    made = to_uint8(enlarge_by(low.astype(np.float32) / np.float32(255)))
    reference = high[: made.shape[0], : made.shape[1]]
    found = psnr(luma(crop_border(reference, 4)), luma(crop_border(made, 4)))
    assert found is not None, "an enlarged picture is never the original"
    return found


def seams() -> None:
    """How far tiles are from the whole picture, cut and feathered, by their overlap."""
    networks = {"real-esrgan, random": rrdb(4), "real-esrgan-general, trained": compact("real-esrgan-general")}
    rows = [row for name, network in networks.items() for row in _seams(name, network, scene(192))]
    about = (
        "192 x 192 in 2 x 2 tiles against the whole picture, in units of the result's standard deviation. The product "
        "feathers RRDB's with an overlap of 24; random parameters see less far than trained ones do, so the compact "
        "network is shown beside it, which the product cuts at its radius of 34, where nothing is left. Feathering "
        "makes steps fainter; where the overlap comes near to what a network sees, a cut has the smaller RMS. The last "
        "column is what `details` tells: the largest difference of two tiles at a seam."
    )
    header = ["network", "overlap, px", "cut: largest", "cut: RMS", "feathered: largest", "feathered: RMS", "told"]
    write_section("Real-ESRGAN x4: seams", about, header, rows)


def _seams(name: str, network: Network, pixels: Pixels) -> list[list[str]]:
    run = Forwards(network, devices.choose_device()).usual
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


def main(given: Sequence[str]) -> None:
    """Measure the parts that are named, or all, and write them to RESULTS.md."""
    every = (speed, loading, foretold, memory, request, seams, gpu)
    parts: dict[str, Callable[[], None]] = {part.__name__: part for part in every}
    if given[:1] == ["peak"]:
        peak(given[1])
        return
    for name in given or parts:
        if name in parts:
            parts[name]()
        elif Path(name).is_dir():  # Set5, for the cost of precision
            precision(Path(name))
        else:
            sys.exit(f"{name} is neither a folder nor one of {', '.join(parts)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
