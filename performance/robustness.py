"""How models stand pictures as people have them: shrunk by many kernels, stored as JPEG, against bicubic and Lanczos.

python -m performance.robustness PICTURES… [--scale 2 4] [--models KEY…] [--files NETWORK…] [--most 8] [--crop 384]

Every model that is here takes part unless --models names some; UPSCALE_WEIGHTS_DIR says where weights lie. --files are
networks that are in no table of models yet: with them the table is only printed, else it goes into RESULTS.md. A key
may end in ":none" or ":remove", the setting artifacts of a model that has two networks.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import numpy as np
import torch
from tqdm import tqdm

from performance.measuring import table_lines, write_section
from pipelines.catalog.rows import MODELS
from pipelines.catalog.schema import SCALES, Model
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.images import door as images
from pipelines.images.picture import Picture, Pixels, Pixels8, to_uint8
from pipelines.networks import devices
from pipelines.networks.checkpoints import read_network
from pipelines.networks.forward import Forward
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.weights import fetch as weights
from training.data import find_pictures
from training.degradations import Degradation, degrade
from training.losses import psnr_y

QUALITIES = {
    "bicubic": (None, 95, 90, 80, 70, 60),
    "lanczos": (None, 95, 80, 60),
    "bilinear": (None, 95, 80, 60),
    "area": (None, 95, 90, 80, 70, 60),
    "opencv-linear": (None, 80, 60),
    "opencv-cubic": (None, 95, 80, 60),
    "blur": (None, 80),
    "nearest": (None, 80, 60),
    "nearest-behind": (None, 80),
}
CASES = [Degradation(kernel, quality) for kernel, qualities in QUALITIES.items() for quality in qualities]
PLAIN = ("bicubic", "lanczos")
ABOUT = (
    "PSNR of luma in dB, mean over {pictures} pictures, of which the middle {crop} px were shrunk by the kernel named "
    "and stored as JPEG of the quality named (4:2:0), outputs rounded to 8 bits, border crop {scale}. In brackets: "
    "against the better of bicubic and Lanczos."
)

Enlarge: TypeAlias = Callable[[Pixels8], Pixels8]
Scores: TypeAlias = Mapping[str, float]


def degrade_all(pictures: Sequence[Pixels8], scale: int) -> Iterator[tuple[str, list[Pixels8]]]:
    """Each degradation's name, and what it makes of the pictures."""
    for by in CASES:
        yield by.name, [degrade(picture, scale, by) for picture in pictures]


def score_models(models: Mapping[str, Enlarge], low: Sequence[Pixels8], high: Sequence[Pixels8]) -> Scores:
    """Each model's mean PSNR of luma over the pictures."""
    scale = high[0].shape[0] // low[0].shape[0]
    return {
        name: fmean(measure_psnr(model(small), large, scale) for small, large in zip(low, high, strict=True))
        for name, model in models.items()
    }


def measure_psnr(output: Pixels8, original: Pixels8, crop: int) -> float:
    """PSNR of luma in dB, without `crop` pixels at each border."""
    one, other = (torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255 for each in (output, original))
    return psnr_y(one, other, crop)


def describe_case(name: str, scores: Scores) -> list[str]:
    """One row of the table: the plain kernels, and each other model with its distance to the better of them."""
    best = max(scores[kernel] for kernel in PLAIN)
    others = [f"{value:.2f} ({value - best:+.2f})" for key, value in scores.items() if key not in PLAIN]
    return [name, *(f"{scores[kernel]:.2f}" for kernel in PLAIN), *others]


def crop_middle(picture: Pixels, side: int, scale: int) -> Pixels8:
    """The middle `side` pixels, or as many as there are, a multiple of the scale; rounded to 8 bits."""
    height, width = (min(side, length) // scale * scale for length in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return to_uint8(np.ascontiguousarray(picture[top : top + height, left : left + width]))


def choose_models(keys: Sequence[str], scale: int) -> dict[str, Enlarge]:
    """The plain kernels, and the models named, or all that are here and need no prompt, as functions."""
    named = [*PLAIN, *keys] if keys else [*PLAIN, *(model.key for model in MODELS if is_here(model, scale))]
    has = {model.key for model in MODELS if scale in model.scales}
    found = dict.fromkeys(name for name in named if name.partition(":")[0] in has)
    return {name: partial(enlarge_by_model, name, scale) for name in found}


def is_here(model: Model, scale: int) -> bool:
    """Returns whether the model can run now: all but diffusion, which invents, and models without weights here."""
    needed = model.scales.get(scale)
    return not model.diffusion and scale in model.scales and (needed is None or bool(weights.find(needed)))


def enlarge_by_model(name: str, scale: int, low: Pixels8) -> Pixels8:
    """Returns what the product makes of it, by a key and the setting artifacts behind it, if there is one."""
    key, _, artifacts = name.partition(":")
    pixels, settings = low.astype(np.float32) / np.float32(255), Settings(artifacts=artifacts or None)
    return to_uint8(finish(enlarge(Picture(pixels), [load(key, scale)], settings)).picture.pixels)


def read_candidate(path: Path) -> tuple[int, Enlarge]:
    """A network that is in no table yet: its scale, and how it enlarges, whole, on the device of now."""
    network = read_network(path)
    forward = Forward(network, devices.choose_device(light=True))
    return network.scale, lambda low: to_uint8(forward(low[None].astype(np.float32) / np.float32(255))[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every degradation at each scale; writes the tables to RESULTS.md, or only prints them."""
    parser = argparse.ArgumentParser(prog="python -m performance.robustness", description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="+", help="folders of pictures")
    parser.add_argument("--scale", type=int, nargs="+", choices=SCALES, default=[2, 4])
    parser.add_argument("--models", nargs="+", default=[], metavar="KEY", help="instead of all that are here")
    parser.add_argument("--files", type=Path, nargs="+", default=[], metavar="NETWORK", help="files to try")
    parser.add_argument("--most", type=int, default=8, help="pictures")
    parser.add_argument("--crop", type=int, default=384, help="pixels a side")
    options = parser.parse_args(arguments)
    tried = {path.stem: read_candidate(path) for path in options.files}
    originals = [images.read(path).pixels for path in find_pictures(options.pictures)[: options.most]]
    for scale in options.scale:
        high = [crop_middle(picture, options.crop, scale) for picture in originals]
        models = choose_models(options.models, scale) | {name: run for name, (by, run) in tried.items() if by == scale}
        header = ["shrunk by", *PLAIN, *(name for name in models if name not in PLAIN)]
        done = tqdm(degrade_all(high, scale), total=len(CASES), desc=f"x{scale}")
        rows = [describe_case(name, score_models(models, low, high)) for name, low in done]
        if options.files:
            print("\n".join(table_lines(header, rows)), flush=True)
        else:
            about = ABOUT.format(pictures=len(high), crop=options.crop, scale=scale)
            write_section(f"Pictures as people have them, x{scale}", about, header, rows)


if __name__ == "__main__":
    main()
