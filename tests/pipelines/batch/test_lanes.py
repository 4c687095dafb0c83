"""Several images at once: the same bytes as one at a time, and the same rules for what fails, is ended, or is there."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import files
from pipelines.batch import lanes, work
from pipelines.batch.run import FileStep, Job, Journal, Outcome, Recipe, count_lanes, list_sources, plan_jobs, run
from pipelines.catalog.rows import Settings, Size, Stage
from pipelines.errors import BadSetting, CannotWrite
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.networks import devices
from pipelines.runs import finish
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


def test_what_takes_much_of_the_memory_goes_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "available_memory", lambda: 0)
    together, most, enlarge = [0], [0], work.enlarge_fetched

    def watched(*given: object) -> object:
        together[0] += 1
        most[0] = max(most[0], together[0])
        made = yield from enlarge(*given)  # type: ignore[arg-type]
        together[0] -= 1
        return made

    monkeypatch.setattr(work, "enlarge_fetched", watched)
    assert sum(outcome.state == "done" for outcome in upscale(folder)) == COUNT - 1
    assert most == [1]


def test_images_go_side_by_side_where_a_network_computes_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "count_threads", lambda: 8)
    assert count_lanes(ESPCN, 100) == lanes.MOST_LANES and count_lanes(ESPCN, 2) == 2
    assert count_lanes(Recipe((Stage("swift", 4), Stage("bicubic", 2))), 100) == lanes.MOST_LANES
    assert count_lanes(ESPCN, 1) == 1 and count_lanes(Recipe((Stage("bicubic", 2),)), 100) == 1
    assert count_lanes(Recipe(key="sd-x4", size=Size(factor=4)), 100) == 1
    monkeypatch.setattr(lanes, "device_name", lambda: "cuda")
    assert count_lanes(ESPCN, 100) == 1
