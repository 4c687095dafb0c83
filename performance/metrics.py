"""The metrics against plain versions of the whole picture, in one run: seconds and peak memory. Linux only.

python -m performance.metrics

SSIM's peer is scikit-image; MS-SSIM's, LPIPS's and DISTS' are their definitions in SciPy and torch, without strips.
LPIPS and DISTS run on random weights, which take as long as the published ones.
"""

import math
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from performance.measuring import medians, peak_megabytes, run_in_fresh_process, write_section
from pipelines.images.picture import Pixels8
from pipelines.measuring.metrics import dists, lpips, pixelwise
from pipelines.measuring.metrics.dists import CHANNELS, Dists
from pipelines.measuring.metrics.lpips import Lpips
from pipelines.measuring.metrics.metric import Judges, Sample
from pipelines.measuring.metrics.scores import score
from pipelines.measuring.metrics.ssim import C1, C2, EXPONENTS, WINDOW
from pipelines.runs import finish

Plane = npt.NDArray[np.float64]
Jobs = dict[str, Callable[[], float]]

ALL_METRICS_SIDE = 4096
ALONE = {"SSIM of RGB": 2048, "MS-SSIM of luma": 2048, "LPIPS": 2048, "DISTS": 1024}  # with the side of the picture
ALL = "all together"
ABOUT = (
    "Plain is scikit-image for SSIM, and the definitions of MS-SSIM (SciPy), LPIPS and DISTS (torch, random weights) "
    "on the whole picture. Median of 3 after a warm-up, taking turns; peak memory above what was held before, each in "
    "a fresh process. All metrics together, but for DISTS and NIQE, have no plain counterpart; their seconds are of "
    "one run, after a warm-up."
)


def make_noise_pair(side: int) -> tuple[Pixels8, Pixels8]:
    """Noise, and the same a little changed: (side, side, 3) each."""
    random = np.random.default_rng(0)
    reference = random.integers(0, 256, (side, side, 3), np.uint8)
    changed = reference + random.integers(-20, 21, reference.shape, np.int16)
    return reference, changed.clip(0, 255).astype(np.uint8)


def make_random_lpips() -> Lpips:
    """The network with random weights, the same in every run."""
    import torch

    from pipelines.measuring.metrics.lpips_network import LpipsAlex

    torch.manual_seed(0)
    return Lpips(LpipsAlex().requires_grad_(False), ())


def make_random_dists() -> Dists:
    """The network with random weights, all channels weighed alike."""
    import torch

    from pipelines.measuring.metrics.dists_network import DistsVgg16

    torch.manual_seed(0)
    even = np.full(CHANNELS, 0.5 / CHANNELS)
    return Dists(DistsVgg16().requires_grad_(False), even, even, ())


def make_jobs(metric: str, side: int) -> Jobs:
    """The same metric by us and plainly."""
    x, y = make_noise_pair(side)
    if metric == "SSIM of RGB":
        return {"ours": lambda: pixelwise.ssim(x, y), "plain": lambda: _scikit_image(x, y)}
    if metric == "MS-SSIM of luma":
        lumas = pixelwise.luma(x), pixelwise.luma(y)
        return {"ours": lambda: pixelwise.ms_ssim(*lumas), "plain": lambda: _ms_ssim(*lumas)}
    if metric == "DISTS":
        judge = make_random_dists()
        return {"ours": lambda: finish(dists.measure_distance(judge, x, y)), "plain": lambda: _dists(judge, x, y)}
    network = make_random_lpips()
    return {"ours": lambda: finish(lpips.measure_distance(network, x, y)), "plain": lambda: _lpips(network, x, y)}


def make_job_of_all(side: int) -> Callable[[], object]:
    """Returns all metrics together, by us."""
    x, y = make_noise_pair(side)
    low = np.ascontiguousarray(x[::2, ::2])
    judges = Judges({"lpips": make_random_lpips()}, {key: "left out" for key in ("dists", "niqe")})
    return lambda: finish(score(Sample(x, y, low, 2, judges)))


def _scikit_image(x: Pixels8, y: Pixels8) -> float:
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(structural_similarity(x, y, channel_axis=2, **options))  # type: ignore[no-untyped-call]


def _ms_ssim(x: Plane, y: Plane) -> float:
    from scipy.ndimage import convolve1d

    def blurred(plane: Plane) -> Plane:
        rows = convolve1d(plane, WINDOW, axis=0)
        valid: Plane = convolve1d(rows, WINDOW, axis=1)[5:-5, 5:-5]
        return valid

    factors = []
    for level in range(len(EXPONENTS)):
        mean_x, mean_y = blurred(x), blurred(y)
        variance_x, variance_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
        structure = (2 * (blurred(x * y) - mean_x * mean_y) + C2) / (variance_x + variance_y + C2)
        if level == len(EXPONENTS) - 1:
            structure *= (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
        factors.append(structure.mean())
        x, y = ((z[0::2, 0::2] + z[1::2, 0::2] + z[0::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))
    return float(math.prod(factor**exponent for factor, exponent in zip(factors, EXPONENTS, strict=True)))


def _lpips(judge: Lpips, x: Pixels8, y: Pixels8) -> float:
    import torch

    with torch.inference_mode():
        pair = torch.from_numpy(np.stack([x, y])).permute(0, 3, 1, 2) / 255
        return float(sum(plane.mean() for plane in judge.network(pair)))


def _dists(judge: Dists, x: Pixels8, y: Pixels8) -> float:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    from pipelines.measuring.metrics.dists_network import DEVIATION, MEAN, L2Pooling

    def stages(picture: Pixels8) -> list[Tensor]:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
        found = [image]
        shift, scale = (torch.tensor(each).view(-1, 1, 1) for each in (MEAN, DEVIATION))
        features = (image - shift) / scale
        for layer in judge.network.features:
            if isinstance(layer, nn.Conv2d):
                features = functional.conv2d(features, layer.weight, layer.bias, padding=1)
            elif isinstance(layer, L2Pooling):
                found.append(features)
                features = layer(functional.pad(features, (0, 0, 1, 1)))
            else:
                features = layer(features)
        return [*found, features]

    textures, structures = [], []
    with torch.inference_mode():
        for one, other in zip(stages(x), stages(y), strict=True):
            mean_x, mean_y = (each.mean((2, 3), keepdim=True) for each in (one, other))
            variance_x, variance_y = (one - mean_x).square().mean((2, 3)), (other - mean_y).square().mean((2, 3))
            covariance = (one * other).mean((2, 3), keepdim=True) - mean_x * mean_y
            textures.append((2 * mean_x * mean_y + dists.C1) / (mean_x.square() + mean_y.square() + dists.C1))
            structures.append((2 * covariance.flatten() + dists.C2) / ((variance_x + variance_y).flatten() + dists.C2))
    texture, structure = (torch.cat([each.flatten() for each in kind]).numpy() for kind in (textures, structures))
    return float(1 - judge.texture @ texture - judge.structure @ structure)


def measure_row(metric: str) -> list[str]:
    """One line of the table, for a metric that has a plain counterpart."""
    side = ALONE[metric]
    both = make_jobs(metric, side)
    difference = abs(both["ours"]() - both["plain"]())
    ours, plain = medians([both["ours"], both["plain"]], repeats=3)
    memory = {who: _in_fresh_process(metric, side, who) for who in both}
    return [
        metric,
        f"{side}",
        f"{ours:.2f}",
        f"{plain:.2f}",
        f"{ours / plain:.2f}",
        f"{memory['ours']:.0f}",
        f"{memory['plain']:.0f}",
        f"{difference:.0e}",
    ]


def _measure_row_of_all() -> list[str]:
    (seconds,) = medians([make_job_of_all(ALL_METRICS_SIDE)], repeats=1)
    memory = _in_fresh_process(ALL, ALL_METRICS_SIDE, "ours")
    return [ALL, f"{ALL_METRICS_SIDE}", f"{seconds:.1f}", "", "", f"{memory:.0f}", "", ""]


def _in_fresh_process(metric: str, side: int, who: str) -> float:
    return float(run_in_fresh_process("performance.metrics", metric, side, who))


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
    header = ["metric", "side, px", "ours, s", "plain, s", "ours / plain", "ours, MB", "plain, MB", "apart by"]
    write_section("Metrics", ABOUT, header, [*map(measure_row, ALONE), _measure_row_of_all()])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        metric, side, who = sys.argv[1:]
        print(peak_megabytes(make_job_of_all(int(side)) if metric == ALL else make_jobs(metric, int(side))[who]))
    else:
        main()
