"""The network engine: the networks of `archs`, read from PyTorch's or safetensors files and run in tiles."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.catalog.schema import Model, Tiling
from pipelines.catalog.settings import Settings, check_tile
from pipelines.errors import BadSetting, BadWeights, WeightsUnavailable
from pipelines.images.picture import Depth, Pixels
from pipelines.images.resample import shrink_to
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.networks.tiling import UNBOUNDED, UNKNOWN, run_tiled
from pipelines.phrasing import format_bytes, printable_name
from pipelines.runs import Run
from pipelines.upscalers.base import Upscaled
from pipelines.upscalers.sides import FLOAT_BYTES, choose_side, choose_whole
from pipelines.weights import fetch as store
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from pipelines.networks.forward import Batch, Forward
    from pipelines.networks.network import Network

# Low-resolution pixels. Tiles of a network that sees no further than AFFORDABLE_OVERLAP overlap by that, and equal the
# whole picture; others overlap by FEATHERED_OVERLAP, and are blended where both have something.
AFFORDABLE_OVERLAP, FEATHERED_OVERLAP = 64, 24
SHRINKING_REACH = 2  # how much further a tile reads whose enlargement is shrunk afterwards: the reach of bicubic
SMALLEST_TILE, LARGEST_TILE = 16, 4096  # that may be asked for
BLACK_LEVEL = 5 / 255  # a tile with something lighter than this is not black


Mix: TypeAlias = tuple[float, str]
"""The strength of denoising, and the sha256 of the twin's file."""


class Forwards:
    """A network on a device, and once more in float32 for what lower precision is not enough for."""

    def __init__(self, network: "Network", device: Device) -> None:
        from pipelines.networks.forward import Forward

        self.network, self.device = network, device
        self.usual = Forward(network, device)
        self._exact = self.usual if device.dtype == "float32" else None
        self._lock = threading.Lock()

    def exact(self) -> "Forward":
        """Returns the network in float32, at the same place; made when it is asked for first."""
        from pipelines.networks.forward import Forward

        with self._lock:
            if self._exact is None:
                self._exact = Forward(self.network, replace(self.device, dtype="float32"))
            return self._exact

    @property
    def nbytes(self) -> int:
        """Memory that the engines hold beside the network, in bytes, about."""
        return sum(forward.nbytes for forward in {self.usual, self._exact} if forward is not None)

    def release(self) -> None:
        """Gives back what was only needed while running."""
        self.usual.release()
        if self._exact is not None:
            self._exact.release()


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
        forward = forwards.usual if depth == 8 else forwards.exact()
        network, device = forwards.network, forward.device
        notes = _name_other(self.model, self.files, network)
        notes += [f"denoise {settings.denoise:g}: mixed with {twin.path.name}" for twin in twins]
        feather = network.radius > AFFORDABLE_OVERLAP
        overlap = FEATHERED_OVERLAP if feather else network.radius + SHRINKING_REACH * (network.scale != self.scale)
        check_tile(self.model, settings, max(SMALLEST_TILE, 3 * overlap, 3 * network.multiple), LARGEST_TILE)
        height, width, _ = pixels.shape
        padded = _padded(pixels, network.multiple, mirrored=network.radius >= UNKNOWN)
        side = settings.tile or choose_side(network, device, overlap, feather, height * width * self.scale**2)
        if network.radius == UNBOUNDED and not settings.tile:
            side = choose_whole(network, device, side, max(padded.shape[:2]))
        enlarge = _Guarded(forward, forwards, self.scale, self.model.name)
        try:
            tiled = yield from run_tiled(
                padded,
                self.scale,
                enlarge,
                side,
                overlap,
                batch=device.batch,
                feather=feather,
                grid=network.multiple,
                previews=True,
            )
        finally:
            forwards.release()
        if network.scale != self.scale:
            notes.append(f"the network upscales by {network.scale}: shrunk to {self.scale} by antialiased bicubic")
        if network.radius == UNBOUNDED and tiled.tiles > 1:
            notes.append(f"{network.arch} works on whole images: in tiles its result differs from what it would be")
        if enlarge.again:
            failed = "1 tile was" if enlarge.again == 1 else f"{enlarge.again} tiles were"
            notes.append(f"{failed} too much for {device.dtype} and made again in float32")
        if tiled.halved_to is not None:
            notes.append(f"memory ran short: tiles were cut to {tiled.halved_to} px")
        notes += [*forward.notes, *device.notes]
        whole = tiled.pixels[: height * self.scale, : width * self.scale]
        return Upscaled(
            whole,
            tiled.tiles,
            device.label,
            device.dtype,
            tiled.seam,
            Tiling(side, overlap, FLOAT_BYTES * network.floats_per_pixel),
            tuple(twin.sha256 for twin in twins),
            tuple(notes),
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
            raise BadWeights(f"{path.name} is of another network than the one it is to be mixed with.")
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


class _Guarded:
    """The network for tiles: what it gives clamped to [0, 1] and at the scale that is wanted, never a broken tile.

    `again` counts the tiles that were broken at first.
    """

    def __init__(self, forward: "Forward", forwards: Forwards, scale: int, name: str) -> None:
        self.forward, self.forwards, self.scale, self.name = forward, forwards, scale, name
        self.again = 0

    def __call__(self, batch: "Batch") -> "Batch":
        made = self.forward(batch)
        if self.forward.device.dtype != "float32":
            for number in np.flatnonzero(_broken(batch, made)):
                self.again += 1
                made[number] = self.forwards.exact()(batch[number : number + 1])[0]
        if not _finite(made).all():
            raise BadWeights(f"The network of {self.name} gives no finite numbers for this image.")
        np.clip(made, 0, 1, out=made)
        if self.forwards.network.scale == self.scale:
            return made
        height, width = batch.shape[1] * self.scale, batch.shape[2] * self.scale
        return np.stack([shrink_to(each, height, width) for each in made])


def _name_other(model: Model, files: Sequence[Found], network: "Network") -> list[str]:
    """A note where the file holds a network of another architecture than the key stands for, or the key for none."""
    if network.arch == model.arch:
        return []
    names = ", ".join(printable_name(file.path) for file in files)
    if not model.arch:
        return [f"{names} holds a network of the architecture {network.arch}"]
    return [f"{names} holds a network of another architecture than {model.name}: {network.arch}"]


def _broken(batch: "Batch", made: "Batch") -> npt.NDArray[np.bool_]:
    """Returns which tiles have a value that is no number, or are black where the picture is not."""
    axes = (1, 2, 3)
    broken: npt.NDArray[np.bool_] = ~_finite(made) | ((made.max(axes) <= 0) & (batch.max(axes) > BLACK_LEVEL))
    return broken


def _finite(made: "Batch") -> npt.NDArray[np.bool_]:
    """Returns which tiles have numbers alone: a sum of float32 cannot leave the range of float64 by itself."""
    with np.errstate(invalid="ignore"):
        finite: npt.NDArray[np.bool_] = np.isfinite(made.sum((1, 2, 3), dtype=np.float64))
    return finite


def _padded(pixels: Pixels, multiple: int, mirrored: bool) -> Pixels:
    """The picture with both sides made multiples: mirrored at its end, or with its last row and column repeated."""
    height, width, _ = pixels.shape
    below, beside = -height % multiple, -width % multiple
    if not below and not beside:
        return pixels
    mode: Literal["reflect", "edge"] = "reflect" if mirrored and below < height and beside < width else "edge"
    return np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode=mode)
