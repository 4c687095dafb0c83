"""Many images by Swift, x2 and x4: as a batch, one call after another in one process, and a process each.

python -m performance.batch [images]

Seconds an image, and what memory does over many images.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import pipelines
from performance.measuring import resident_megabytes, run_in_fresh_process, write_section
from performance.scene import make_scene
from pipelines.batch.run import FileStep, Journal, Recipe, count_lanes, list_sources, plan_jobs, run
from pipelines.catalog.rows import Size
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import Step, finish

MODEL, SCALES, SIDE = "swift", (2, 4), 512
USUAL_IMAGES, ROUNDS, PROCESSES = 80, 2, 4
SMALL_SIDE, SMALL_IMAGES, SETTLED = 96, 2000, 200  # for memory; what the first ones load is not growth
ABOUT = (
    "Swift on images of {side} px, PNG to PNG: decoding, the network, encoding and writing; {count} images at each "
    "scale. One call after another is `pipelines.upscale` in one process, warmed up; it and the batch took turns, in "
    "{rounds} rounds. A process each is `upscale` on the command line, {processes} times. "
)


def measure(count: int) -> None:
    """Measures all ways and writes the section."""
    rows: list[tuple[str, str, str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_images(folder / "in", count // ROUNDS, SIDE)
        for scale in SCALES:
            ways = time_ways(folder, paths, scale)
            rows += [(f"x{scale}", way, f"{each:.2f}", f"{each / ways[0][1]:.2f}") for way, each in ways]
        settled, last = memory_over(folder)
    grown = (
        f"Over {SMALL_IMAGES} images of {SMALL_SIDE} px in one batch, resident memory was {settled:.0f} MB after "
        f"{SETTLED} images and {last:.0f} MB after the last."
    )
    write_section(
        "Many images",
        ABOUT.format(side=SIDE, count=len(paths) * ROUNDS, rounds=ROUNDS, processes=PROCESSES) + grown,
        ("scale", "way", "seconds an image", "times as long as a batch"),
        rows,
    )


def time_ways(folder: Path, paths: Sequence[Path], scale: int) -> list[tuple[str, float]]:
    """Seconds an image of each way: the batch first."""
    singly = folder / f"single{scale}"
    singly.mkdir()
    pipelines.upscale(paths[0], MODEL, scale, output=singly / "warm.png")
    single = batch = 0.0
    for number in range(ROUNDS):
        started = time.perf_counter()
        for path in paths:
            pipelines.upscale(path, MODEL, scale, output=singly / path.name)
        between = time.perf_counter()
        upscale_all(folder / "in", folder / f"out{scale}-{number}", scale)
        single, batch = single + between - started, batch + time.perf_counter() - between
    started = time.perf_counter()
    for _ in range(PROCESSES):
        command = ("upscale", paths[0], folder / "process.png", "--model", MODEL, "--scale", scale)
        run_in_fresh_process("pipelines", *command)
    process = (time.perf_counter() - started) / PROCESSES
    done = len(paths) * ROUNDS
    return [("a batch", batch / done), ("one call after another", single / done), ("a process each", process)]


def make_images(folder: Path, count: int, side: int) -> list[Path]:
    """Writes so many images, all different, and returns their paths."""
    folder.mkdir()
    scene = make_scene(side)
    paths = [folder / f"{number:04}.png" for number in range(count)]
    for number, path in enumerate(paths):
        images.write(Picture(np.roll(scene, number, axis=1)), path)
    return paths


def upscale_all(source: Path, target: Path, scale: int, see: Callable[[Step], None] = lambda step: None) -> None:
    """Upscales as the command line does with a folder."""
    target.mkdir()
    sources, _ = list_sources([source], False, target)
    jobs, recipe = plan_jobs(sources, target, "", "png"), Recipe((), MODEL, Size(factor=scale))
    outcomes = finish(run(jobs, recipe, Journal(target), lanes=count_lanes(recipe, len(jobs))), see)
    assert {outcome.state for outcome in outcomes} == {"done"}


def memory_over(folder: Path) -> tuple[float, float]:
    """Resident MB once a batch of many small images has settled, and at its end."""
    make_images(folder / "small", SMALL_IMAGES, SMALL_SIDE)
    seen: dict[int, float] = {}

    def see(step: Step) -> None:
        if isinstance(step, FileStep) and step.outcome is not None and step.done in (SETTLED, SMALL_IMAGES):
            seen[step.done] = resident_megabytes()

    upscale_all(folder / "small", folder / "large", 4, see)
    return seen[SETTLED], seen[SMALL_IMAGES]


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_IMAGES)
