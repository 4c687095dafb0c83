"""The network engine: the networks of `archs`, read from PyTorch's or safetensors files, ready to run."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.images.picture import Depth, Pixels
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.tiling import UNKNOWN
from pipelines.phrasing import format_bytes, printable_name
from pipelines.runs import Run
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.forwards import Forwards
from pipelines.upscalers.running import run_network
from pipelines.weights import fetch as store
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from pipelines.networks.network import Network

Mix: TypeAlias = tuple[float, str]
"""The strength of denoising, and the sha256 of the twin's file."""


@dataclass(frozen=True, slots=True)
class NetworkUpscaler:
    """A network of `archs`, in float32 on the CPU.

    `ready` has it as it was run last, and as it was mixed last with the model's noisy twin, by device and mix.
    """

    model: Model
    scale: int
    network: "Network"
    files: tuple[Found, ...]
    weights_bytes: int
    ready: dict[tuple[Device, Mix | None], Forwards] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """See `Upscaler`."""
        return tuple(file.sha256 for file in self.files)

    @property
    def nbytes(self) -> int:
        """See `Upscaler`: the parameters in float32, and what each engine holds beside them."""
        own = sum(parameter.nbytes for parameter in self.network.parameters())
        mixes = sum(mix is not None for _, mix in self.ready)
        return own * (1 + mixes) + sum(forwards.nbytes for forwards in self.ready.values())

    def run(self, pixels: Pixels, settings: Settings, depth: Depth = 8) -> Run[Upscaled]:
        """See `Upscaler.run`."""
        forwards, twins = self.forwards(settings.denoise)
        network = forwards.network
        notes = _name_other(self.model, self.files, network)
        notes += [f"denoise {settings.denoise:g}: mixed with {twin.path.name}" for twin in twins]
        height, width, _ = pixels.shape
        padded = _padded(pixels, network.multiple, mirrored=network.radius >= UNKNOWN)
        try:
            ran = yield from run_network(forwards, self.model, self.scale, padded, settings, exact=depth != 8)
        finally:
            forwards.release()
        if network.scale != self.scale:
            notes.append(f"the network upscales by {network.scale}: shrunk to {self.scale} by antialiased bicubic")
        notes += [*ran.notes, *ran.device.notes]
        return Upscaled(
            ran.pixels[: height * self.scale, : width * self.scale],
            ran.tiles,
            ran.device.label,
            ran.device.dtype,
            ran.seam,
            ran.tiling,
            tuple(twin.sha256 for twin in twins),
            tuple(notes),
            preparing=ran.preparing,
        )

    def forwards(self, denoise: float | None = None) -> tuple[Forwards, list[Found]]:
        """The network that denoises so strongly, on the device of now, and the files that were mixed in for it."""
        device = devices.suit(devices.choose_device(self.model.light), self.network)
        if denoise is None or denoise == 1:
            return self._on(device, None, lambda: self.network), []
        twin = self._twin()
        return self._on(device, (denoise, twin.sha256), lambda: self._mixed(denoise, twin.path)), [twin]

    def _on(self, device: Device, mix: Mix | None, make: Callable[[], "Network"]) -> Forwards:
        with self.lock:
            if (device, mix) not in self.ready:
                made = Forwards(make(), device)
                for other in self.ready.keys() - {(device, None)}:
                    del self.ready[other]
                self.ready[device, mix] = made
            return self.ready[device, mix]

    def _mixed(self, share: float, path: Path) -> "Network":
        """Mixes `share` of this network with its twin (Wang et al. 2021's repository: "denoise strength")."""
        from pipelines.networks.checkpoints import build_network, read_state

        usual, noisy = self.network.state_dict(), read_state(path)
        if usual.keys() != noisy.keys() or any(noisy[key].shape != value.shape for key, value in usual.items()):
            raise BadWeights(f"{path.name} belongs to another network than the one it is to be mixed with.")
        return build_network({key: share * value + (1 - share) * noisy[key] for key, value in usual.items()}, path.name)

    def _twin(self) -> Found:
        """The file to mix with. Beside a file of the user's own, it must be one of theirs as well."""
        twin = self.model.noisy_twin
        assert twin is not None, "only a model with a twin takes denoise"
        (own,) = self.files
        if own.origin == store.YOUR_FILE:
            raise BadSetting("Denoise mixes two files: give a folder that has both as your own weights.")
        found = store.from_user(twin, own.path.parent) if own.origin == store.YOUR_FOLDER else store.find(twin)
        if found is None:
            raise WeightsUnavailable(
                f"Denoise below 1 needs {twin.files[0].name} ({format_bytes(twin.size)}), which is not here: "
                f"`python -m pipelines weights pull {self.model.key}` downloads it."
            )
        return found[0]


def build(model: Model, scale: int, files: tuple[Found, ...]) -> NetworkUpscaler:
    """Reads the network from its file. Raises BadWeights where it is none of ours, or enlarges by another scale."""
    from pipelines.networks.checkpoints import read_network

    devices.choose_device(model.light)  # first, because in a forked process it makes torch safe to use
    (file,) = files
    network = read_network(file.path)
    if network.scale not in (scale, model.shrunk_from):
        same = model.scales.get(network.scale) == model.scales[scale]  # the file serves that scale as well
        hint = f": choose x{network.scale}" if same else ""
        raise BadWeights(f"{file.path.name} upscales by {network.scale}, not by {scale}{hint}.")
    upscaler = NetworkUpscaler(model, scale, network, files, file.path.stat().st_size)
    upscaler.forwards()
    return upscaler


def _name_other(model: Model, files: Sequence[Found], network: "Network") -> list[str]:
    """A note where the file holds a network of another architecture than the key stands for, or the key for none."""
    if network.arch == model.arch:
        return []
    names = ", ".join(printable_name(file.path) for file in files)
    if not model.arch:
        return [f"{names} holds a network of the architecture {network.arch}"]
    return [f"{names} holds a network of another architecture than {model.name}: {network.arch}"]


def _padded(pixels: Pixels, multiple: int, mirrored: bool) -> Pixels:
    """The picture with both sides made multiples: mirrored at its end, or with its last row and column repeated."""
    height, width, _ = pixels.shape
    below, beside = -height % multiple, -width % multiple
    if not below and not beside:
        return pixels
    mode: Literal["reflect", "edge"] = "reflect" if mirrored and below < height and beside < width else "edge"
    return np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode=mode)
