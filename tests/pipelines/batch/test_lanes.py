"""Several images at once: the same bytes as one at a time, and the same rules for what fails, is ended, or is there."""

import errno
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines import files
from pipelines.batch import lanes, work
from pipelines.batch.run import FileStep, Job, Journal, Outcome, Recipe, count_lanes, list_sources, plan_jobs, run
from pipelines.catalog.rows import Settings, Size, Stage
from pipelines.errors import BadSetting, CannotWrite, OutOfMemory
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.networks import devices
from pipelines.runs import Run, finish
from tests.conftest import smooth

ESPCN = Recipe(key="espcn", size=Size(factor=2))
COUNT = 8


@pytest.fixture
def folder(tmp_path: Path, own_weights: Path) -> Path:
    """Images of different sizes, one of them damaged."""
    for name in ("in", "out", "plain"):
        (tmp_path / name).mkdir()
    for number in range(COUNT):
        images.write(Picture(np.roll(smooth(40 + number, 60), number, axis=1)), tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "3.png").write_bytes(b"none")
    return tmp_path / "in"


def jobs_of(folder: Path, out: str = "out") -> list[Job]:
    target = folder.parent / out
    return plan_jobs(list_sources([folder], True, target)[0], target, "", "png")


def upscale(folder: Path, out: str = "out", recipe: Recipe = ESPCN, at_once: int = 3) -> list[Outcome]:
    return finish(run(jobs_of(folder, out), recipe, Journal(folder.parent / out), lanes=at_once))


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_results_and_outcomes_are_those_of_one_at_a_time(folder: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    plain, found = upscale(folder, "plain", at_once=1), upscale(folder)
    assert [outcome.job.name for outcome in found] == [outcome.job.name for outcome in plain], "in the same order"
    assert [(outcome.state, outcome.error) for outcome in found] == [(each.state, each.error) for each in plain]
    assert results(tmp_path / "out") == results(tmp_path / "plain") and len(results(tmp_path / "out")) == COUNT - 1
    assert (devices.count_sharing(), torch.get_num_threads()) == (1, threads), "what comes next has all cores"
    assert [outcome.state for outcome in upscale(folder) if outcome.job.name != "3.png"] == ["skipped"] * (COUNT - 1)


def test_a_run_that_is_closed_leaves_whole_files_and_goes_on_there(folder: Path, tmp_path: Path) -> None:
    going = run(jobs_of(folder), ESPCN, Journal(tmp_path / "out"), lanes=3)
    next(step for step in going if isinstance(step, FileStep) and step.outcome is not None)
    going.close()
    assert devices.count_sharing() == 1 and not [*(tmp_path / "out").glob("*.tmp")]
    there = results(tmp_path / "out")
    states = {outcome.job.name: outcome.state for outcome in upscale(folder)}
    assert {name for name, state in states.items() if state == "skipped"} == there.keys()
    upscale(folder, "plain", at_once=1)
    assert results(tmp_path / "out") == results(tmp_path / "plain")


def test_what_is_wrong_with_all_ends_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="ESPCN cannot use the setting seed"):
        upscale(folder, recipe=Recipe((Stage("espcn", 2),), settings=Settings(seed=1)))

    def full(path: Path, data: bytes) -> None:
        raise CannotWrite(f"{path.name} cannot be written: no room is left.") from OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files, "write_whole", full)
    outcomes = upscale(folder)
    assert len(outcomes) < COUNT and {outcome.state for outcome in outcomes} == {"failed"}


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """By the height of each image the heights of all that were enlarged while it was. The first two are at once."""
    running: set[int] = set()
    seen: dict[int, set[int]] = {}
    both, enlarge = threading.Barrier(2), work.enlarge_fetched

    def watched(picture: Picture, *given: Any) -> Run[Any]:
        height = len(picture.pixels)
        running.add(height)
        if height in (40, 41):
            both.wait(timeout=60)
        making = enlarge(picture, *given)
        try:
            while True:
                step = next(making)
                for each in tuple(running):
                    seen.setdefault(each, set()).update(running)
                yield step
        except StopIteration as stop:
            return stop.value
        finally:
            running.discard(height)

    monkeypatch.setattr(work, "enlarge_fetched", watched)
    return seen


def test_what_takes_much_of_the_memory_goes_alone(
    folder: Path, beside: dict[int, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image among smaller ones, which go beside each other."""
    images.write(Picture(smooth(80, 60)), folder / "2.png")
    monkeypatch.setattr(lanes, "available_memory", lambda: 60 * 60 * 4 * lanes.PIXEL_BYTES * lanes.HEAVY)
    found = upscale(folder)
    assert [outcome.job.name for outcome in found] == [f"{number}.png" for number in range(COUNT)]
    assert sum(outcome.state == "done" for outcome in found) == COUNT - 1
    assert beside[80] == {80} and {40, 41} <= beside[40]


def test_what_finds_too_little_memory_beside_others_is_tried_alone(
    folder: Path, beside: dict[int, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is made as one at a time would be, or fails with the same sentence."""
    plan, tried = work.plan_run, list[int]()

    def too_little(picture: Picture, *given: Any, **more: Any) -> Any:
        height = len(picture.pixels)
        tried.append(height)
        if height == 47 or (height == 45 and tried.count(45) < 3):  # twice each time
            raise OutOfMemory("A result takes at least 2 GB of memory, and 1 GB are left here.")
        return plan(picture, *given, **more)

    monkeypatch.setattr(work, "plan_run", too_little)
    found = {outcome.job.name: outcome for outcome in upscale(folder)}
    assert {name for name, each in found.items() if each.state == "failed"} == {"3.png", "7.png"}
    assert str(found["7.png"].error).startswith("A result takes at least 2 GB")
    assert beside[45] == {45} and tried.count(45) == 3 and tried.count(47) == 4


def test_images_go_side_by_side_where_a_network_computes_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "count_threads", lambda: 8)
    assert count_lanes(ESPCN, 100) == lanes.MOST_LANES and count_lanes(ESPCN, 2) == 2
    assert count_lanes(Recipe((Stage("swift", 4), Stage("bicubic", 2))), 100) == lanes.MOST_LANES
    assert count_lanes(ESPCN, 1) == 1 and count_lanes(Recipe((Stage("bicubic", 2),)), 100) == 1
    assert count_lanes(Recipe(key="sd-x4", size=Size(factor=4)), 100) == 1
    monkeypatch.setattr(lanes, "device_name", lambda: "cuda")
    assert count_lanes(ESPCN, 100) == 1
