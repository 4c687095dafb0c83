"""The metric LPIPS: loads the network's files once, and compares large images in strips.

torch is imported where the network is loaded or run.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipelines.images.picture import Pixels8
from pipelines.measuring.metrics.metric import Metric, Sample, Scores
from pipelines.measuring.metrics.networks import as_pair, fill, load_once
from pipelines.networks.devices import make_torch_safe
from pipelines.runs import Run, Step
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from pipelines.measuring.metrics.lpips_network import LpipsAlex

TIE = 0.02  # two networks of one kind lie that close; from a blurred to a sharp result it is several times that
LPIPS_SIDE = 31  # below, AlexNet's second pooling has no window left
STRIP_STRIDE = 16  # of the deepest layer: strips begin at its multiples, so that their windows are the whole picture's
# The deepest layer's window for row 16 k reads rows 16 k - 66 to 16 k + 96. Above, that is rounded up to the stride;
# below, a strip's last window begins one stride before its end.
ABOVE, BELOW = 80, 81
LPIPS_STRIP_PIXELS = 1 << 21  # without those: the largest layers of such a strip take a quarter of a gigabyte

WHAT = "LPIPS with AlexNet, version 0.1"


@dataclass(frozen=True, slots=True, eq=False)
class Lpips:
    """The loaded network; safe to use from several threads. The hashes are those of its two files."""

    network: "LpipsAlex"
    weights_sha256: tuple[str, ...]


def load_lpips() -> Lpips:
    """Loads LPIPS from files on this machine; it stays loaded.

    Raises WeightsUnavailable where a file is not here, BadWeights where one does not fit.
    """

    def read(heads: Found, backbone: Found) -> Lpips:
        return Lpips(read_lpips(heads.path, backbone.path), (heads.sha256, backbone.sha256))

    return load_once("lpips", "LPIPS", Lpips, read)


def read_lpips(heads: Path, backbone: Path) -> "LpipsAlex":
    """The network from the heads' file and from a state dict of AlexNet, whose classifier is left out.

    Raises BadWeights, naming the file, where it belongs to another network or damaged.
    """
    import torch

    from pipelines.measuring.metrics.lpips_network import LpipsAlex

    make_torch_safe()
    with torch.device("meta"):
        network = LpipsAlex()
    network.to_empty(device="cpu")
    fill(network.heads, heads, {f"{i}.weight": f"lin{i}.model.1.weight" for i in range(len(network.heads))}, WHAT)
    fill(network.features, backbone, {name: f"features.{name}" for name in network.features.state_dict()}, WHAT)
    return network.requires_grad_(False)


def measure_distance(lpips: Lpips, reference: Pixels8, output: Pixels8) -> Run[float]:
    """LPIPS of two pictures of one shape (H, W, 3) or (H, W) uint8, both sides at least LPIPS_SIDE.

    0 for equal ones. Grey is taken as three equal channels. A strip reads as far beyond its rows as the network sees,
    so the result is the whole picture's, to float32's precision.
    """
    from pipelines.measuring.metrics.lpips_network import LAYER_STRIDES

    height, width = reference.shape[:2]
    rows = max(STRIP_STRIDE, LPIPS_STRIP_PIXELS // width // STRIP_STRIDE * STRIP_STRIDE)
    sums, counts = np.zeros(len(LAYER_STRIDES)), np.zeros(len(LAYER_STRIDES))
    for top in range(0, height, rows):
        stop, start = min(top + rows, height), max(0, top - ABOVE)
        planes = _planes(lpips.network, reference[start : stop + BELOW], output[start : stop + BELOW])
        for layer, (plane, stride) in enumerate(zip(planes, LAYER_STRIDES, strict=True)):
            first = (top - start) // stride
            own = plane[first : first + rows // stride] if stop < height else plane[first:]
            sums[layer] += own.sum(dtype=np.float64)
            counts[layer] += own.size
        yield Step(stop, height, "LPIPS")
    return float((sums / counts).sum())


def measure_lpips(sample: Sample) -> Run[Scores]:
    """LPIPS of the whole image, or a note why not."""
    smallest = min(sample.output.shape[:2])
    if smallest < LPIPS_SIDE:
        return Scores({}, (f"lpips needs {LPIPS_SIDE} pixels a side; here are {smallest}",))
    value = yield from measure_distance(sample.judges.find("lpips", Lpips), sample.reference, sample.output)
    if not math.isfinite(value):
        return Scores({}, ("lpips came out as no number: its files are damaged",))
    return Scores({"lpips": value})


LPIPS = Metric(
    key="lpips",
    name="LPIPS",
    about="How different the images look to a network, close to how different they look to people.",
    unit="",
    better="lower",
    digits=4,
    of=measure_lpips,
    load=load_lpips,
    says="naturalness",
    main=True,
    tie=TIE,
)


def _planes(network: "LpipsAlex", *strips: Pixels8) -> list[npt.NDArray[np.float32]]:
    """Returns what the network gives for two strips (h, w, 3) or (h, w) of a picture."""
    import torch

    with torch.inference_mode():  # not around a yield: it would hold in the thread of whoever drives the run
        return [plane.numpy() for plane in network(as_pair(*strips))]
