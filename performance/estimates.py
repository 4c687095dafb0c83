"""How near the times are that are told before a run, of every model that is here: before its first run, and after it.

UPSCALE_WEIGHTS_DIR=FOLDER python -m performance.estimates [MODEL …]    whose files are in the folder, or drawn here

Each is warmed up by a tiny image, told of at one size, run there, and then told of and run at two others. A model that
is run at a size for the first time makes machine code for it: so each time is the median of three sizes that differ by
a few pixels, as a visitor's images do.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

from performance.measuring import run_in_fresh_process, write_section
from performance.real_esrgan.networks import make_rrdb
from performance.scene import make_scene
from pipelines import estimates
from pipelines.catalog.rows import MODELS, Stage
from pipelines.catalog.schema import Model
from pipelines.enlarge import enlarge
from pipelines.images.picture import Picture
from pipelines.networks.archs.edsr import Edsr
from pipelines.runs import finish
from pipelines.upscalers import kept
from pipelines.upscalers.base import Took, Upscaler, list_times
from pipelines.upscalers.loading import load
from pipelines.weights import fetch as weights

LEARNED, SMALLER, LARGER = 256, 128, 512  # px: the side that it is learned at, and the others
SLOW, SLOW_SIDES = 12.0, (128, 96, 256)  # seconds for the first side from which on smaller ones are measured
VERY_SLOW, VERY_SLOW_SIDES = 60.0, (104, 112, 144)
OFFSETS = (0, 3, -5)  # px, of the sides of which the median counts; of slow ones the first alone
LONG = 2.0  # seconds: what takes longer is timed once
WARMING = 40  # px
# Of those whose files are drawn: channels and blocks of EDSR, blocks of RRDB. Real-ESRGAN's others are as large.
DRAWN_EDSR = {"edsr-base": (64, 16), "edsr-full": (256, 32)}
DRAWN_RRDB = {"real-esrgan": 23, "real-esrgan-x4plus-anime": 6}
ABOUT = (
    "Told before a model's first run here, at the first side; then, after that run, at two others. Each as a share of "
    "what was taken; times are medians of three images of about that side, each of a size that is new (of what takes "
    "over two seconds, one)."
)
HEADER = [
    *("model", "scale", "precision", "learned at, px", "took, s", "first told / took"),
    *("smaller, px", "took, s", "told / took", "larger, px", "took, s", "told / took"),
]


def draw_file(key: str, scale: int, folder: Path) -> Path | None:
    """Returns a file with a network of the model's true size and drawn parameters; None where it is not known how."""
    path = folder / f"{key}_x{scale}.pth"
    if key in DRAWN_EDSR:
        steps = (3,) if scale == 3 else (2,) * (scale // 2)
        state = {_rename(name): value / 2 for name, value in Edsr(steps, *DRAWN_EDSR[key]).state_dict().items()}
        torch.save(state, path)
    elif key in DRAWN_RRDB:
        torch.save(make_rrdb(scale, DRAWN_RRDB[key]).state_dict(), path)
    elif key == "edsr" and scale == 2:
        path = folder / "EDSR_x2.pb"
        run_in_fresh_process("tests.support.tiny_graph", path)
    else:
        return None
    return path


def _rename(name: str) -> str:
    """The published files' name of a parameter."""
    return name.replace("head_conv.", "head.0.").replace("ends.", "tail.")


def find_cases(chosen: list[str], folder: Path) -> Iterator[tuple[Model, int, Path | None]]:
    """Every model but diffusion models, by scale, whose files are here or drawn into the folder."""
    for row in MODELS:
        for scale, needed in row.scales.items():
            if row.diffusion or (chosen and row.key not in chosen):
                continue
            own = None
            if needed is None or weights.find(needed) or (own := draw_file(row.key, scale, folder)):
                yield row, scale, own


def time_side(upscaler: Upscaler, stage: Stage, side: int, offsets: tuple[int, ...]) -> Took:
    """What the product learns of a run on an image of about that side: of several runs, of the one in the middle."""
    took = list[Took]()
    for offset in offsets:
        image = Picture(make_scene(side + offset))
        done = finish(enlarge(image, [upscaler]))
        took += list_times([stage], done.stages, side + offset, side + offset)
        if took[0].seconds > LONG:
            break
    middle: float = statistics.median_low(each.seconds for each in took)
    return next(each for each in took if each.seconds == middle)


def measure(row: Model, scale: int, own: Path | None) -> list[str]:
    """Returns the row of one model and scale, printed as well."""
    stage, upscaler = Stage(row.key, scale), load(row.key, scale, own)
    finish(enlarge(Picture(make_scene(WARMING)), [upscaler]))
    expected = _told(stage, LEARNED) or 0.0
    slow = expected > SLOW
    first, *others = VERY_SLOW_SIDES if expected > VERY_SLOW else SLOW_SIDES if slow else (LEARNED, SMALLER, LARGER)
    offsets = OFFSETS[:1] if slow else OFFSETS
    took = time_side(upscaler, stage, first, offsets)
    believed = _told(stage, took.size[0])
    estimates.learn(*stage, *took.size, took.seconds, took.tiling, took.where)
    cells = [row.key, f"{scale}", took.where.rpartition(", ")[2], f"{first}", f"{took.seconds:.3f}"]
    cells.append("–" if believed is None else f"{believed / took.seconds:.2f}")
    for side in others:
        again = time_side(upscaler, stage, side, offsets)
        told = _told(stage, again.size[0]) or 0.0
        cells += [f"{side}", f"{again.seconds:.3f}", f"{told / again.seconds:.2f}"]
    print(*cells, flush=True)
    return cells


def _told(stage: Stage, side: int) -> float | None:
    return estimates.estimate(*stage, side, side).seconds


def main() -> None:
    """Measures everything and writes it to RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m performance.estimates", description=__doc__)
    parser.add_argument("models", nargs="*", help="these alone")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as made,
        mock.patch.object(kept, "find", Path(made).absolute().joinpath),
    ):
        rows, drawn = [], set()
        for row, scale, own in find_cases(options.models, Path(made)):
            rows.append(measure(row, scale, own))
            drawn |= {row.key} if own else set()
    about = ABOUT + (f" Drawn parameters, true sizes: {', '.join(sorted(drawn))}." if drawn else "")
    write_section("Estimated times", about, HEADER, rows)


if __name__ == "__main__":
    main()
