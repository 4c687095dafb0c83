"""The numbers of the literature, made by the project's own benchmark over whole sets of pictures.

python -m performance.tables PICTURES REPORTS

PICTURES holds Set5/HR, Set14/HR and Kodak24; UPSCALE_WEIGHTS_DIR says where weights lie. REPORTS is a folder for one
report a set, protocol, scale and kernel: ended early, the same command goes on.
"""

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from tqdm import tqdm

from performance.measuring import write_section
from pipelines.catalog.rows import MODELS, Stage
from pipelines.catalog.schema import SCALES, Model
from pipelines.measuring.run import (
    CHAINED_8X,
    ROUND_TRIP,
    MetricSummary,
    Plan,
    Row,
    Summary,
    list_subjects,
    no_judges,
    resolve_contenders,
    run,
    summarise,
)
from pipelines.report.report import read_earlier_rows, record_rows, start_report
from pipelines.runs import Step, finish
from pipelines.weights import fetch as weights

CHAINED_METRICS = (("psnr_y", 2), ("ssim_y", 4), ("consistency_psnr", 2))  # with their decimals
SETS = {"Set5": "Set5/HR", "Set14": "Set14/HR", "Kodak24": "Kodak24"}
KERNEL_NAMES = {"bicubic": "antialiased bicubic", "opencv-cubic": "opencv-cubic, not antialiased"}
NO_JUDGES = no_judges("lpips is no part of these tables")
ABOUT = (
    "Means over the set's pictures of PSNR in dB and SSIM, each as luma / RGB; the round trip by our own shrinking "
    "with the kernel named above. Every model whose weights were available; – where a model has no such scale."
)
ABOUT_CHAINS = (
    "Every pair that can run, best first, and the direct x8 models: mean over the 24 pictures with its 95 % interval "
    "(BCa bootstrap). Shrunk by 8 with antialiased bicubic, enlarged by the x4 and then the x2 model; between the two "
    "nothing is rounded. The score is the pipeline's."
)


def measure_round_trips(pictures: Path, reports: Path, name: str, kernel: str) -> None:
    """The table of one set and kernel."""
    entries: dict[tuple[str, int], Summary] = {}
    for scale in SCALES:
        models = [model.key for model in MODELS if _runs(model, scale)]
        plan = Plan(ROUND_TRIP.key, scale, kernel, resolve_contenders(ROUND_TRIP.key, scale, models, []), repeats=0)
        rows = _measure_rows(plan, pictures / SETS[name], reports / f"{name}-x{scale}-{kernel}.json")
        entries |= {(entry.model, scale): entry for entry in summarise(rows)}
    header = ["model", *(f"x{scale} {what}" for scale in SCALES for what in ("PSNR", "SSIM"))]
    lines = [
        [model.key, *(cell for scale in SCALES for cell in _cells(entries.get((model.key, scale))))]
        for model in MODELS
        if any((model.key, scale) in entries for scale in SCALES)
    ]
    write_section(f"{name}, {KERNEL_NAMES[kernel]}", ABOUT, header, lines)


def measure_chains(pictures: Path, reports: Path) -> None:
    """The table of every pair of an x4 and an x2 model over Kodak24."""
    first, second = ([model.key for model in MODELS if _runs(model, scale)] for scale in (4, 2))
    pairs = [[Stage(x4, 4), Stage(x2, 2)] for x4, x2 in product(first, second)]
    models = [model.key for model in MODELS if _runs(model, 8)]
    plan = Plan(CHAINED_8X.key, 8, "bicubic", resolve_contenders(CHAINED_8X.key, 8, models, pairs), repeats=0)
    rows = _measure_rows(plan, pictures / SETS["Kodak24"], reports / "Kodak24-chained.json")
    entries = sorted(summarise(rows), key=lambda entry: -(entry.metrics["psnr_y"].mean or 0))
    lines = [
        [
            entry.model if ":" in entry.model else f"{entry.model}:8",
            *(_interval(entry.metrics[key], digits) for key, digits in CHAINED_METRICS),
        ]
        for entry in entries
    ]
    write_section("Chained 8x over Kodak24", ABOUT_CHAINS, ["stages", "PSNR Y, dB", "SSIM Y", "consistency, dB"], lines)


def _measure_rows(plan: Plan, folder: Path, path: Path) -> Sequence[Row]:
    found, _ = list_subjects([folder])
    head = start_report(plan, [], "", NO_JUDGES)
    earlier = read_earlier_rows(path, head, plan, found)
    with tqdm(total=len(found) * len(plan.contenders), desc=path.stem) as bar:

        def show(step: Step) -> None:
            bar.update(step.done - bar.n if step.total == bar.total else 0)

        report = finish(record_rows(run(plan, found, NO_JUDGES, earlier), head, path, earlier), show)
    failed = [row.error for row in report.rows if row.error]
    if failed:
        raise SystemExit(f"{path.stem}: {failed[0]}")
    return report.rows


def _runs(model: Model, scale: int) -> bool:
    if scale not in model.scales:
        return False
    needed = model.scales[scale]
    return needed is None or weights.find(needed) is not None


def _cells(entry: Summary | None) -> list[str]:
    if entry is None:
        return ["–", "–"]
    mean = {key: entry.metrics[key].mean for key in ("psnr_y", "psnr", "ssim_y", "ssim")}
    return [f"{mean['psnr_y']:.2f} / {mean['psnr']:.2f}", f"{mean['ssim_y']:.4f} / {mean['ssim']:.4f}"]


def _interval(of: MetricSummary, digits: int) -> str:
    return f"{of.mean:.{digits}f} [{of.low:.{digits}f}, {of.high:.{digits}f}]"


def main() -> None:
    """Measures every table and writes it to RESULTS.md."""
    if len(sys.argv) != 3:
        sys.exit("Usage: python -m performance.tables PICTURES REPORTS")
    pictures, reports = map(Path, sys.argv[1:])
    reports.mkdir(parents=True, exist_ok=True)
    for name, kernel in product(SETS, KERNEL_NAMES):
        measure_round_trips(pictures, reports, name, kernel)
    measure_chains(pictures, reports)


if __name__ == "__main__":
    main()
