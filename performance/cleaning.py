"""What cleaning up first gains: on noise and JPEG alone, and before Swift; beside OpenCV's non-local means.

python -m performance.cleaning PICTURES… [--most 24]

The table goes into RESULTS.md. Noise has a fixed seed and is rounded to 8 bits, as a file has it.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from tqdm import tqdm

from performance.measuring import write_section
from pipelines.catalog.rows import Settings, Stage
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture, Pixels8, to_uint8
from pipelines.networks.estimating import judge
from pipelines.runs import finish
from pipelines.upscalers.judging import JudgingUpscaler
from pipelines.upscalers.loading import load
from training.data import find_pictures
from training.degradations import AS_IT_IS, Degradation, degrade

CLEAN, SWIFT = Stage("cleaner", 1), Stage("swift", 2)
DAMAGES = [
    *(Degradation(AS_IT_IS, noise=noise, seed=1) for noise in (5, 10, 25)),
    *(Degradation(AS_IT_IS, quality) for quality in (20, 40, 80)),
    Degradation(AS_IT_IS),
]
BEFORE_SWIFT = [Degradation("bicubic", noise=10, seed=1), Degradation("bicubic", 40), Degradation("bicubic")]
ABOUT = (
    "Mean over {count} pictures, PSNR of RGB in dB, outputs rounded to 8 bits. The gain is over the damaged picture, "
    "before Swift x2 over Swift alone. Non-local means is OpenCV's, told the true deviation. What is told is the "
    "noise that the judge finds, mean and range; the strength is what it leads to."
)
ROW = ["damage", "damaged", "cleaned by auto", "gain", "non-local means", "noise told", "strength"]


def run(picture: Pixels8, *stages: Stage) -> Pixels8:
    """What the product makes of it by those stages, each with its defaults."""
    given = Picture(picture.astype(np.float32) / np.float32(255))
    return to_uint8(finish(enlarge_by(given, stages, Settings())).picture.pixels)


def measure_psnr(made: Pixels8, original: Pixels8) -> float:
    """PSNR of RGB in dB; infinite where nothing differs."""
    error = np.mean((made.astype(np.float64) - original) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def tell_noise(picture: Pixels8) -> float:
    """The standard deviation of noise, in levels of 255, that the cleaner's judge finds."""
    cleaner = load("cleaner", 1)
    assert isinstance(cleaner, JudgingUpscaler)
    return judge(cleaner.estimate, picture.astype(np.float32) / np.float32(255)).noise


def remove_by_non_local_means(picture: Pixels8, noise: float) -> Pixels8:
    """OpenCV's for colours, at the strength that its documentation gives for such noise."""
    return cv2.fastNlMeansDenoisingColored(picture, None, noise, noise, 7, 21).astype(np.uint8)


def describe_damage(by: Degradation, originals: Sequence[Pixels8]) -> list[str]:
    """One row: how much cleaning alone gains."""
    damaged = [degrade(each, 1, by) for each in originals]
    before, after = (_mean_psnr(made, originals) for made in (damaged, [run(each, CLEAN) for each in damaged]))
    told = [tell_noise(each) for each in damaged]
    other = "–"
    if by.noise:
        other = (
            f"{_mean_psnr([remove_by_non_local_means(each, by.noise) for each in damaged], originals) - before:+.2f}"
        )
    gain = f"{after - before:+.2f}" if np.isfinite(before) else "–"
    strengths = [_read_strength(each) for each in damaged]
    range_ = f"{fmean(told):.1f} ({min(told):.1f} to {max(told):.1f})"
    return [by.name, f"{before:.2f}", f"{after:.2f}", gain, other, range_, f"{fmean(strengths):.2f}"]


def describe_swift(by: Degradation, originals: Sequence[Pixels8]) -> list[str]:
    """One row: how much cleaning gains before Swift x2."""
    low = [degrade(each, 2, by) for each in originals]
    alone = _mean_psnr([run(each, SWIFT) for each in low], originals)
    cleaned = _mean_psnr([run(each, CLEAN, SWIFT) for each in low], originals)
    return [f"Swift x2 of {by.name}", f"{alone:.2f}", f"{cleaned:.2f}", f"{cleaned - alone:+.2f}", "–", "–", "–"]


def _mean_psnr(made: Iterable[Pixels8], originals: Sequence[Pixels8]) -> float:
    return fmean(measure_psnr(one, other) for one, other in zip(made, originals, strict=True))


def _read_strength(picture: Pixels8) -> float:
    made = finish(load("cleaner", 1).run(picture.astype(np.float32) / np.float32(255), Settings()))
    return float(made.settings["cleanup"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures each damage; writes the table to RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m performance.cleaning", description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="+", help="folders of pictures")
    parser.add_argument("--most", type=int, default=24, help="pictures")
    options = parser.parse_args(arguments)
    read = [to_uint8(images.read(path).pixels) for path in find_pictures(options.pictures)[: options.most]]
    originals = [each[: each.shape[0] // 2 * 2, : each.shape[1] // 2 * 2] for each in read]
    jobs: list[tuple[Callable[[Degradation, Sequence[Pixels8]], list[str]], Degradation]] = [
        *((describe_damage, by) for by in DAMAGES),
        *((describe_swift, by) for by in BEFORE_SWIFT),
    ]
    rows = [describe(by, originals) for describe, by in tqdm(jobs)]
    write_section("Cleaning up first", ABOUT.format(count=len(originals)), ROW, rows)


if __name__ == "__main__":
    main()
