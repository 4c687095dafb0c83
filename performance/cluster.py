"""Many images by Swift x4 on Ray: one actor, and two with a core each, beside a batch without Ray.

python -m performance.cluster [images]    at least 24; needs Ray: pip install -r requirements-ray.txt
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import ray

from performance.batch import MODEL, SIDE, make_images
from performance.measuring import write_section
from pipelines.batch import on_ray
from pipelines.batch.run import FileStep, Journal, Recipe, count_lanes, list_sources, plan_jobs, run
from pipelines.catalog.rows import Size
from pipelines.runs import finish

SCALE, USUAL_IMAGES, SMALL_SIDE, SMALL_EACH = 4, 40, 32, 10  # so many small ones for each large one
WAYS = (("no Ray", 0), ("Ray, one actor", 1), ("Ray, two actors", 2))
ABOUT = (
    "Swift x4 on {count} images of {side} px, and bicubic x2 on {small} of {small_side} px, where Ray's own share is "
    "most of an image, PNG to PNG. Seconds an image are those once results come: the first ones wait for processes "
    "and models. An actor has a core; the process without Ray has both."
)


def measure(count: int) -> None:
    """Measures all ways and writes the section."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder / "large", count, SIDE)
        make_images(folder / "small", SMALL_EACH * count, SMALL_SIDE)
        large, small = Recipe((), MODEL, Size(factor=SCALE)), Recipe((), "bicubic", Size(factor=2))
        for way, workers in WAYS:
            each, first = time_batch(folder / "large", folder / f"large{workers}", large, workers)
            tiny, _ = time_batch(folder / "small", folder / f"small{workers}", small, workers)
            rows.append((way, f"{each:.2f}", f"{first:.1f}", f"{1000 * tiny:.1f}"))
    write_section(
        "Many images on Ray",
        ABOUT.format(count=count, side=SIDE, small=SMALL_EACH * count, small_side=SMALL_SIDE),
        ("way", f"seconds an image of {SIDE} px", "seconds to the first result", f"ms an image of {SMALL_SIDE} px"),
        rows,
    )


def time_batch(source: Path, target: Path, recipe: Recipe, workers: int) -> tuple[float, float]:
    """Seconds an image once the first one is there, and until it is."""
    target.mkdir()
    sources, _ = list_sources([source], False, target)
    jobs, journal = plan_jobs(sources, target, "", "png"), Journal(target)
    started, ended = time.perf_counter(), list[float]()
    if workers:
        # So many cores are all there is: an actor has one.
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        running = on_ray.run(jobs, recipe, journal, workers=workers)
    else:
        running = run(jobs, recipe, journal, lanes=count_lanes(recipe, len(jobs)))
    outcomes = finish(running, lambda step: ended.append(time.perf_counter()) if _ends(step) else None)
    ray.shutdown()
    assert {outcome.state for outcome in outcomes} == {"done"}
    # The slope of their number over time: the results of a part arrive together.
    pace, _ = np.polyfit(np.array(ended) - started, np.arange(len(ended)), 1)
    return 1 / pace, ended[0] - started


def _ends(step: object) -> bool:
    return isinstance(step, FileStep) and step.outcome is not None


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_IMAGES)
