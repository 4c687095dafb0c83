"""The founding comparison: which of a few models upscales best, by both of its protocols, as one table in Markdown.

python -m tools.founding IMAGES [--models KEYS] [--output TABLE.md]

Each image is shrunk by 2 and upscaled again, and shrunk by 8 and upscaled by the same model at x4 and then at x2. As in
the article that this project began with, the table has MSE, SSIM and seconds of each; beside them are our own scores.
Why a model failed stands in a line of its own, beside the table.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import pipelines
from pipelines.catalog.rows import Settings, check_accepted, find
from pipelines.errors import UpscaleError
from pipelines.files import check_writable, write_whole
from pipelines.phrasing import printable_name
from pipelines.report.report import as_dict, list_failures

MODELS = ("real-esrgan", "resshift-bicsr", "diffbir", "swift", "bicubic")
SCORES = {"mse": 1, "ssim": 4, "psnr_y": 2, "ssim_y": 4, "lpips": 3}  # with their decimals
NAMES = ("MSE", "SSIM", "PSNR Y", "SSIM Y", "LPIPS", "s")
CHAINED = (4, 2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, and prints the table or writes it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.founding", description="The founding comparison as a table.")
    parser.add_argument("images", nargs="+", type=Path, help="files, or folders that hold some")
    parser.add_argument("--models", default=",".join(MODELS), metavar="KEYS", help=f"default {','.join(MODELS)}")
    parser.add_argument("--output", type=Path, help="a file for the table, which is printed otherwise")
    options = parser.parse_args(arguments)
    try:
        if options.output is not None:
            check_writable(options.output)
        table = make_table(options.images, options.models.split(","))
        if options.output is not None:
            write_whole(options.output, f"{table}\n".encode())
            return 0
    except UpscaleError as error:
        print(error, file=sys.stderr)
        return 1
    print(table)
    return 0


def make_table(images: Sequence[Path], keys: Sequence[str]) -> str:
    """Measures each model by both protocols, as far as it has the scales.

    A cell is empty where a model has no such scale, or failed, which is then told on standard error, or a score was not
    measured; it has the mean of those images that the model did not fail on. Raises UpscaleError for a key or an image
    that does not exist, and for a licence that nobody accepted: both before anything is measured.
    """
    rows = {key: find(key) for key in keys}
    check_accepted([*rows.values()], Settings())
    able = [key for key in keys if 2 in rows[key].scales]
    chains = {f"{key}:4,{key}:2": key for key in keys if rows[key].scales.keys() >= set(CHAINED)}
    by_two = _measure(images, dict(zip(able, able, strict=True)), models=able, scale=2)
    by_eight = _measure(images, chains, models=[], stages=[*chains], protocol="chained-8x") if chains else {}
    heads = ["model", *(f"x2 {name}" for name in NAMES), *(f"x4, x2 {name}" for name in NAMES)]
    nothing = [""] * len(NAMES)
    lines = [[rows[key].name, *by_two.get(key, nothing), *by_eight.get(key, nothing)] for key in keys]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["-"] * len(heads), *lines))


def _measure(images: Sequence[Path], named: Mapping[str, str], **how: Any) -> dict[str, list[str]]:
    """The cells of each of `named`, which has the keys of models by what a report calls them."""
    with tqdm(bar_format="{elapsed} {desc}", leave=False, disable=None) as line:  # on a terminal alone

        def show(step: pipelines.Step) -> None:
            line.set_description_str(step.note, refresh=False)
            line.update()

        report = pipelines.benchmark(list(images), on_step=show, **how)
    for who, image, error in list_failures(report.rows):
        print(f"{who} at x{report.scale} failed on {printable_name(Path(image))}: {error}", file=sys.stderr)
    summary = {each["model"]: each for each in as_dict(report)["summary"]}
    return {key: _cells(summary[called]) for called, key in named.items()}


def _cells(summary: Mapping[str, Any]) -> list[str]:
    scores = {key: (summary.get(key) or {}).get("mean") for key in SCORES}
    seconds = (summary.get("seconds") or {}).get("median")
    shown = ["" if mean is None else f"{mean:.{SCORES[key]}f}" for key, mean in scores.items()]
    return [*shown, "" if seconds is None else f"{seconds:.2f}"]


if __name__ == "__main__":
    sys.exit(main())
