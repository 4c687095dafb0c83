"""Seconds of Real-ESRGAN's networks: by engine, on a GPU, until they are ready, in a request, and as estimated."""

import copy
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias
from unittest import mock

import torch
from PIL import Image

from performance.measuring import medians, write_section
from performance.real_esrgan.networks import (
    list_devices,
    make_network,
    make_rrdb,
    make_upscaler,
    read_compact,
    run_as_package,
    run_on,
    run_plain,
)
from performance.scene import make_scene
from pipelines import estimates
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.images import door as images
from pipelines.images.picture import Pixels, to_uint8
from pipelines.networks import devices
from pipelines.networks.checkpoints import read_network
from pipelines.networks.devices import Device
from pipelines.networks.forward import Forward
from pipelines.networks.network import Network
from pipelines.runs import finish, time_run
from pipelines.upscalers.forwards import Forwards

Peer: TypeAlias = Callable[[Network, Pixels], Pixels]

FLOP_PER_PIXEL = 36e6  # of the RRDB network at x4, per pixel of its input


def measure_speed() -> None:
    """Seconds against the package's way (RRDB), or plain torch (compact)."""
    rows = _against("real-esrgan", make_rrdb(4), run_as_package, 256)
    for key, side in (("real-esrgan-general", 512), ("real-esrgan-general", 1024), ("real-esrgan-anime", 512)):
        rows += _against(key, read_compact(key), run_plain, side)
    about = (
        "The peer of Real-ESRGAN is its package's way: float32, plain NCHW, patches of 192 with 24 pixels around and a "
        "reflected border of 15, in batches of 4; that of the compact networks is the whole picture at once in float32 "
        "and plain NCHW. One timed run each after a warm-up, taking turns."
    )
    header = ["model", "side, px", "engine", "precision", "tiles", "peer, s", "ours, s", "peer / ours"]
    write_section("Real-ESRGAN x4: speed", about, header, rows)


def _against(key: str, network: Network, peer: Peer, side: int) -> list[list[str]]:
    pixels, tiles = make_scene(side), dict[Device, int]()
    # A copy: an engine may lay out anew the parameters that it is given.
    upscaler, chosen = make_upscaler(key, copy.deepcopy(network)), list_devices()

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


def measure_loading() -> None:
    """Measures how long it takes until a network on the disk can run, and whether OpenVINO's cache would help."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x4.pth"
        torch.save(make_rrdb(4).state_dict(), path)
        network = read_network(path)
        taken = medians([lambda: read_network(path), lambda: Forwards(network, devices.choose_device())], repeats=3)
    about = "Real-ESRGAN x4, 67 MB: read from the disk, and made ready to run. Median of 3 after a warm-up."
    row = [devices.choose_device().label, *(f"{seconds:.2f}" for seconds in taken)]
    write_section("Real-ESRGAN x4: loading", about, ["engine", "read, s", "make ready, s"], [row])


def measure_estimates() -> None:
    """Measures how near the time is that is estimated before a run, after one run of another size."""
    rows = []
    for key, learned, others in (("real-esrgan", 128, (96, 320)), ("real-esrgan-general", 256, (128, 720))):
        upscaler = make_upscaler(key, make_network(key))
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(estimates, "_file", Path(folder, "r").absolute):
            finish(upscaler.run(make_scene(32), Settings()))
            done, seconds = finish(time_run(upscaler.run(make_scene(learned), Settings())))
            estimates.learn(key, 4, learned, learned, seconds, done.tiling, "measured")
            for side in others:
                estimated = estimates.estimate(key, 4, side, side).seconds or 0.0
                _, seconds = finish(time_run(upscaler.run(make_scene(side), Settings())))
                rows.append(
                    [key, f"{learned}", f"{side}", f"{estimated:.2f}", f"{seconds:.2f}", f"{estimated / seconds:.2f}"]
                )
    about = "After one run of the first size, what is estimated before a run of the second, and what it took."
    header = ["model", "ran, px", "then, px", "estimated, s", "took, s", "estimated / took"]
    write_section("Real-ESRGAN x4: estimated times", about, header, rows)


def measure_gpu() -> None:
    """1024 x 1024 on a CUDA GPU in half precision, against the package's way under autocast."""
    title, header = "Real-ESRGAN x4: GPU", ["way", "seconds", "TFLOP/s", "share of the bfloat16 rate"]
    if not torch.cuda.is_available():
        write_section(title, "No GPU was at hand.", header, [])
        return
    network, pixels, device = make_rrdb(4), make_scene(1024), devices.choose_device()
    upscaler, reference = make_upscaler("real-esrgan", network), copy.deepcopy(network).to("cuda")

    def package() -> None:
        with torch.autocast("cuda"):
            run_as_package(reference, pixels, "cuda")

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


def measure_request() -> None:
    """Measures how much of a whole request is the network: 512 x 512 by 4, from a PNG file to a PNG file."""
    rows = []
    for key in ("real-esrgan-anime", "real-esrgan-general"):
        upscaler = make_upscaler(key, make_network(key))
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.png", Path(folder) / "out.png"
            Image.fromarray(to_uint8(make_scene(512))).save(source)
            finish(upscaler.run(make_scene(64), Settings()))
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
        self.device, self.notes = usual.device, usual.notes

    def __call__(self, batch: Pixels) -> Pixels:
        start = time.perf_counter()
        made = self.usual(batch)
        self.seconds += time.perf_counter() - start
        return made

    @property
    def nbytes(self) -> int:
        return self.usual.nbytes

    def release(self) -> None:
        self.usual.release()
