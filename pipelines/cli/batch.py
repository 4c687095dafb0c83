"""Many images for the commands `upscale` and `chain`: a folder in, a folder out."""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import files
from pipelines.cli import arguments
from pipelines.cli.progress import show_files, summarise
from pipelines.errors import BadPicture, BadSetting, UpscaleError
from pipelines.images.addresses import Address, Place, is_folder, parse_place
from pipelines.phrasing import printable, printable_name

if TYPE_CHECKING:
    from pipelines.batch.run import AnyJournal, Job, Outcome, Recipe
    from pipelines.images.listing import PassedOver
    from pipelines.runs import Step

INTERRUPTED = "Cancelled. Finished images are kept, and the same command continues."
MOST_NOTES = 20  # lines of what is true of many images


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what is for many images alone."""
    add = parser.add_argument_group("many images (OUT is a folder; finished images are skipped)").add_argument
    add(
        "--recursive",
        action="store_true",
        help="also take the folders inside IN, and keep their structure; default: left out",
    )
    add(
        "--suffix",
        metavar="TEXT",
        help='text to add to each name, such as "_{model}_x{scale}"; braces are filled in; default none',
    )
    add(
        "--format",
        choices=("png", "webp", "jpg", "same"),
        help="format of the results; same keeps each image's own, or png where that cannot be written; default png",
    )
    add(
        "--on",
        metavar="ray[://HOST:PORT]",
        help="run on a Ray cluster whose machines all see IN and OUT at the same paths or addresses; ray alone is this "
        "machine, or the cluster that RAY_ADDRESS names; default: no cluster",
    )
    add(
        "--workers",
        type=arguments.parse_whole,
        metavar="N",
        help="with --on, how many images to work on at once; default one per GPU, or per processor core without a GPU",
    )
    add("--json", type=Path, metavar="FILE", help="write what happened to each image; default none")


def is_many(options: argparse.Namespace) -> bool:
    """Returns whether the results go into a folder: there are many images, or a folder or what is for many is named."""
    output = options.output
    several = len(options.inputs) > 1 or is_folder(options.inputs[0])
    asked = (
        options.recursive
        or options.suffix is not None
        or options.format
        or options.json
        or options.on
        or options.workers
    )
    at = parse_place(output)
    return bool(several or asked or isinstance(at, Address) or at.is_dir() or output.endswith(("/", os.sep)))


def run(options: argparse.Namespace, recipe: "Recipe") -> None:
    """Upscales all images. Raises UpscaleError at the end if any failed."""
    from pipelines.batch import on_ray
    from pipelines.batch import run as batch

    folder = _checked_folder(options)
    if options.quality is not None and (options.format or batch.PLAIN) == batch.PLAIN:
        raise BadSetting("PNG is lossless and has no quality: choose --format jpg, webp or same.")
    if options.on:
        on_ray.check(options.on, options.workers)
    elif options.workers is not None:
        raise BadSetting("--workers is for a cluster: give --on ray too.")
    suffix = batch.write_suffix(options.suffix or "", recipe.model, recipe.scale)
    journal = batch.open_journal(folder)
    sources, others = batch.list_sources(options.inputs, options.recursive, folder, [*journal])
    for line in batch.describe_passed_over(others):
        print(line, flush=True)
    if not sources:
        raise BadPicture("There is no image to upscale. Name image files, or folders with images in them.")
    if options.json:
        files.check_writable(options.json)
    journal.check()
    jobs = batch.plan_jobs(sources, folder, suffix, options.format or batch.PLAIN)
    outcomes = _follow(options, recipe, jobs, journal, others)
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    if failed or len(outcomes) < len(jobs):
        left = len(jobs) - len(outcomes)
        rest = f", and {left} were not started" if left else ""
        raise UpscaleError(f"{failed} of {len(jobs)} images failed{rest}. The same command tries them again.")


def _checked_folder(options: argparse.Namespace) -> Place:
    from pipelines.images import door as images

    folder = parse_place(options.output)
    there = isinstance(folder, Path) and folder.is_dir()
    if not there and folder.suffix.lower().removeprefix(".") in images.FORMATS:
        why = "there are many results" if isinstance(folder, Path) else "results at an address go into a folder"
        raise BadSetting(f"{printable_name(folder)} must be a folder, because {why}.")
    return folder


def _follow(
    options: argparse.Namespace,
    recipe: "Recipe",
    jobs: "Sequence[Job]",
    journal: "AnyJournal",
    others: "Sequence[PassedOver]",
) -> "list[Outcome]":
    """Runs the batch, prints each outcome, and in the end what became of all; writes the JSON however it ends."""
    from pipelines.batch import on_ray
    from pipelines.batch import run as batch
    from pipelines.runs import finish

    seen: list[Outcome] = []
    started = time.monotonic()
    options.cancelled = INTERRUPTED
    try:
        with show_files() as show:

            def follow(step: "Step") -> None:
                show(step)
                if isinstance(step, batch.FileStep) and step.outcome is not None:
                    seen.append(step.outcome)
                    _print_outcome(step.outcome)

            if options.on:
                running = on_ray.run(jobs, recipe, journal, options.overwrite, options.on, options.workers)
            else:
                lanes = batch.count_lanes(recipe, len(jobs))
                running = batch.run(jobs, recipe, journal, options.overwrite, lanes)
            finish(running, follow)
    finally:
        seconds = time.monotonic() - started
        if options.json:
            files.write_whole(options.json, _as_json(seen, len(jobs), seconds, others))
    _print_summary(seen, seconds)
    return seen


def _print_outcome(outcome: "Outcome") -> None:
    """Prints a line above the bars for what was made; what failed is told in the end."""
    from tqdm import tqdm

    if outcome.details is not None:
        tqdm.write(f"{printable(outcome.job.name)}: {summarise(outcome.details)}")


def _print_summary(outcomes: "Sequence[Outcome]", seconds: float) -> None:
    """Prints what is true of several images once, with how many; then the failures, and the counts."""
    from pipelines.phrasing import format_duration

    told = Counter(note for each in outcomes if each.details for note in (*each.losses, *each.details.notes))
    for note, often in told.most_common(MOST_NOTES):
        print(f"{note} ({often} {'image' if often == 1 else 'images'})")
    for each in outcomes:
        if each.error is not None:
            print(f"Failed: {printable(str(each.job.image))}: {each.error}")
    states = Counter(each.state for each in outcomes)
    counts = ", ".join(f"{states[state]} {state}" for state in ("done", "skipped", "failed"))
    print(f"{counts}, in {format_duration(seconds)}.")


def _as_json(outcomes: "Sequence[Outcome]", total: int, seconds: float, others: "Sequence[PassedOver]") -> bytes:
    states = Counter(each.state for each in outcomes)
    images = [
        {
            "input": str(each.job.image),
            "output": str(each.job.output),
            "state": each.state,
            "error": each.error,
            "losses": each.losses,
            "details": each.details and each.details.as_dict(),
        }
        for each in outcomes
    ]
    told = {
        "images": images,
        "done": states["done"],
        "skipped": states["skipped"],
        "failed": states["failed"],
        "left": total - len(outcomes),
        "seconds": round(seconds, 3),
        "passed_over": [{"path": str(each.path), "reason": each.reason} for each in others],
    }
    return json.dumps(told, indent=1).encode()
