"""The metric DISTS: how different two images look, where one texture may stand for another of its kind.

Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", IEEE TPAMI 2020,
arXiv:2004.07728, as in github.com/dingkeyan93/DISTS. For each channel of an image and of what a network sees in it, the
means are compared (texture) and the covariance (structure); how much each counts was learned from people's judgements.
Images are compared at their full size. torch is imported where the network is loaded or run.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import BadWeights
from pipelines.images.picture import Pixels8
from pipelines.measuring.metrics.metric import Metric, Sample, Scores
from pipelines.measuring.metrics.networks import as_pair, fill, load_once
from pipelines.networks.devices import make_torch_safe
from pipelines.runs import Run, Step
from pipelines.weights.local import Found

if TYPE_CHECKING:
    from torch import Tensor

    from pipelines.measuring.metrics.dists_network import DistsVgg16

Numbers: TypeAlias = npt.NDArray[np.float64]

TIE = 0.01  # half of LPIPS's, because its values are smaller
C1 = C2 = 1e-6  # keep a channel in which nothing is active from being divided by nothing
CHANNELS = 1475  # of all stages together
STRIP_PIXELS = 1 << 15  # with what the largest layers make of them 0.2 GB; with more of them it is slower
SUMMED_AT_ONCE = 4096  # places of a channel: their products in float64 stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Dists:
    """The loaded network; safe to use from several threads. The hashes are those of its two files.

    `texture` and `structure` (CHANNELS,), the paper's alpha and beta, weigh the channels; together they sum to 1.
    """

    network: "DistsVgg16"
    texture: Numbers
    structure: Numbers
    weights_sha256: tuple[str, ...]


def load_dists() -> Dists:
    """Loads DISTS from files on this machine; it stays loaded.

    Raises WeightsUnavailable where a file is not here, BadWeights where one does not fit.
    """

    def read(heads: Found, backbone: Found) -> Dists:
        return read_dists(heads.path, backbone.path, (heads.sha256, backbone.sha256))

    return load_once("dists", "DISTS", Dists, read)


def read_dists(heads: Path, backbone: Path, hashes: tuple[str, ...] = ()) -> Dists:
    """DISTS from a file of MATLAB's and from a state dict of VGG16, whose classifier is left out.

    Raises BadWeights, naming the file, where it belongs to something else or is damaged.
    """
    import torch

    from pipelines.measuring.metrics.dists_network import DistsVgg16

    texture, structure = _read_heads(heads)
    make_torch_safe()
    with torch.device("meta"):
        network = DistsVgg16()
    network.to_empty(device="cpu")
    fill(network, backbone, {name: name for name in network.state_dict()}, "DISTS with VGG16")
    return Dists(network.requires_grad_(False), texture, structure, hashes)


def measure_distance(dists: Dists, reference: Pixels8, output: Pixels8) -> Run[float]:
    """DISTS of two pictures of one shape (H, W, 3) or (H, W) uint8. 0 for equal ones. Grey is three equal channels.

    Read in strips, and equal to the whole picture's to float32's precision.
    """
    import torch

    height, width = reference.shape[:2]
    rows = max(1, STRIP_PIXELS // width)
    kept: dict[int, Tensor] = {}
    sums: list[Numbers] = []
    for top in range(0, height, rows):
        stop = min(top + rows, height)
        with torch.inference_mode():  # not around the yield: it would hold in the thread of whoever drives the run
            pair = as_pair(reference[top:stop], output[top:stop])
            found = [_sum(each) for each in dists.network.pass_on(pair, kept, stop == height)]
        sums = [before + more for before, more in zip(sums, found, strict=True)] if sums else found
        yield Step(stop, height, "DISTS")
    return _compare(dists, sums)


def measure_dists(sample: Sample) -> Run[Scores]:
    """DISTS of the whole image, or a note why not."""
    value = yield from measure_distance(sample.judges.find("dists", Dists), sample.reference, sample.output)
    if not math.isfinite(value):
        return Scores({}, ("dists came out as no number: its files are damaged",))
    return Scores({"dists": value})


DISTS = Metric(
    key="dists",
    name="DISTS",
    about="How different the images look to a network that lets one texture stand for another of its kind.",
    unit="",
    better="lower",
    digits=4,
    of=measure_dists,
    load=load_dists,
    says="naturalness",
    main=True,
    tie=TIE,
    extra=True,
)


def _read_heads(path: Path) -> tuple[Numbers, Numbers]:
    """The weights of the channels, so that all of them together sum to 1."""
    from scipy.io import loadmat

    names = ("alpha", "beta")
    try:
        found = loadmat(path, variable_names=names)
        heads = np.concatenate([np.asarray(found[name], np.float64).reshape(CHANNELS) for name in names])
    except MemoryError:
        raise
    except Exception as error:  # broken bytes lead SciPy to errors of many kinds
        raise BadWeights(f"{path.name} does not hold the weights of DISTS.") from error
    if not np.isfinite(heads).all() or (heads < 0).any() or not heads.any():
        raise BadWeights(f"{path.name} does not hold the weights of DISTS.")
    heads /= heads.sum()
    return heads[:CHANNELS], heads[CHANNELS:]


def _sum(pair: "Tensor") -> Numbers:
    """Sums over all places of the features of two images (2, C, h, w): their number, x, y, x², y² and xy (6, C).

    In float64, because the variance of a channel is the small difference of two of them.
    """
    import torch

    flat = pair.flatten(2)
    _, channels, places = flat.shape
    sums = torch.zeros(6, channels, dtype=torch.float64)
    sums[0] = places
    for start in range(0, places, SUMMED_AT_ONCE):
        x, y = flat[:, :, start : start + SUMMED_AT_ONCE].double()
        for row, each in enumerate((x, y, x * x, y * y, x * y), 1):
            sums[row] += each.sum(dim=1)
    numbers: Numbers = sums.numpy()
    return numbers


def _compare(dists: Dists, sums: list[Numbers]) -> float:
    """1 less the weighed similarities of texture and structure, as 0 where both images are equal."""
    count, *totals = np.concatenate(sums, axis=1)
    x, y, xx, yy, xy = (each / count for each in totals)
    texture = (2 * x * y + C1) / (x * x + y * y + C1)
    structure = (2 * (xy - x * y) + C2) / ((xx - x * x) + (yy - y * y) + C2)
    return float(dists.texture @ (1 - texture) + dists.structure @ (1 - structure))
