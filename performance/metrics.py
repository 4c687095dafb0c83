"""The metrics against plain versions of the whole picture, in one run: seconds and peak memory. Linux only.

python -m performance.metrics

SSIM's peer is scikit-image; MS-SSIM's and LPIPS's are their definitions in SciPy and torch, without strips. LPIPS runs
on random weights, which take as long as the published ones.
"""

import math
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from performance.measuring import medians, peak_megabytes, run_in_fresh_process, write_section
from pipelines.images.picture import Pixels8
from pipelines.measuring.metrics import pixelwise
from pipelines.measuring.metrics.lpips import Lpips, measure_distance
from pipelines.measuring.metrics.metric import Judges, Sample
from pipelines.measuring.metrics.scores import score
from pipelines.measuring.metrics.ssim import C1, C2, EXPONENTS, WINDOW
from pipelines.runs import finish

Plane = npt.NDArray[np.float64]
Jobs = dict[str, Callable[[], float]]

METRIC_SIDE, ALL_METRICS_SIDE = 2048, 4096
ALONE = ("SSIM of RGB", "MS-SSIM of luma", "LPIPS")
ALL = "all together"
ABOUT = (
    "Plain is scikit-image for SSIM, and the definitions of MS-SSIM (SciPy) and LPIPS (torch, random weights) on the "
    "whole picture. Median of 3 after a warm-up, taking turns; peak memory above what was held before, each in a fresh "
    "process. All metrics together have no plain counterpart; their seconds are of one run, after a warm-up."
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


def make_jobs(metric: str, side: int) -> Jobs:
    """The same metric by us and plainly."""
    x, y = make_noise_pair(side)
    if metric == "SSIM of RGB":
        return {"ours": lambda: pixelwise.ssim(x, y), "plain": lambda: _scikit_image(x, y)}
    if metric == "MS-SSIM of luma":
        lumas = pixelwise.luma(x), pixelwise.luma(y)
        return {"ours": lambda: pixelwise.ms_ssim(*lumas), "plain": lambda: _ms_ssim(*lumas)}
    lpips = make_random_lpips()
    return {"ours": lambda: finish(measure_distance(lpips, x, y)), "plain": lambda: _lpips(lpips, x, y)}


def make_job_of_all(side: int) -> Callable[[], object]:
    """Returns all metrics together, by us."""
    x, y = make_noise_pair(side)
    low, judges = np.ascontiguousarray(x[::2, ::2]), Judges({"lpips": make_random_lpips()})
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


def _lpips(lpips: Lpips, x: Pixels8, y: Pixels8) -> float:
    import torch

    with torch.inference_mode():
        pair = torch.from_numpy(np.stack([x, y])).permute(0, 3, 1, 2) / 255
        return float(sum(plane.mean() for plane in lpips.network(pair)))


def measure_row(metric: str) -> list[str]:
    """One line of the table, for a metric that has a plain counterpart."""
    both = make_jobs(metric, METRIC_SIDE)
    difference = abs(both["ours"]() - both["plain"]())
    ours, plain = medians([both["ours"], both["plain"]], repeats=3)
    memory = {who: _in_fresh_process(metric, METRIC_SIDE, who) for who in both}
    return [
        metric,
        f"{METRIC_SIDE}",
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
