"""A batch on a cluster of Ray with two workers: the same files as here, whatever dies on the way.

Real Ray, where it is installed: `pip install -r requirements-ray.txt`.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.batch import on_ray
from pipelines.batch.journal import AT_ADDRESSES, NAMES
from pipelines.batch.run import FileStep, Job, Journal, Outcome, Recipe, list_sources, open_journal, plan_jobs, run
from pipelines.catalog.rows import Settings, Stage
from pipelines.cluster import spread
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.addresses import Address, Place
from pipelines.images.picture import Picture
from pipelines.runs import Run, Step, finish
from tests.conftest import smooth

DOUBLED = Recipe((Stage("bicubic", 2),))
COUNT = 60


def test_without_ray_one_sentence_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        BadSetting, match=r"^Ray is not installed here: pip install -r requirements-ray\.txt adds it\.$"
    ):
        on_ray.check("ray", None)


def test_what_is_no_cluster_is_refused() -> None:
    for on, workers, said in (("dask", None, "--on is ray or"), ("ray://", None, "--on is"), ("ray", 0, "1 or more")):
        with pytest.raises(BadSetting, match=said):
            on_ray.check(on, workers)


def test_each_worker_has_its_share() -> None:
    assert spread._shares({"CPU": 8}, None) == (8, {"num_cpus": 1})
    assert spread._shares({"CPU": 8}, 2) == (2, {"num_cpus": 4})
    assert spread._shares({"CPU": 2}, 4) == (4, {"num_cpus": 0.5})
    assert spread._shares({"CPU": 64, "GPU": 8}, None) == (8, {"num_gpus": 1, "num_cpus": 1})
    assert spread._shares({"CPU": 64, "GPU": 1}, 2) == (2, {"num_gpus": 0.5, "num_cpus": 1})


def test_a_worker_with_several_cores_works_on_several_images_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note(jobs: Sequence[Job], recipe: Recipe, journal: Journal, overwrite: bool, lanes: int) -> Run[None]:
        asked.append(lanes)
        yield Step(1, 1, "")

    monkeypatch.setattr(on_ray, "run_here", note)
    monkeypatch.setattr("pipelines.networks.devices.count_threads", lambda: 3)
    jobs = [Job(tmp_path / f"{number}.png", tmp_path / f"{number}.png", "") for number in range(8)]
    for recipe in (Recipe((Stage("swift", 2),)), DOUBLED):
        assert [*on_ray._make_worker(tmp_path, recipe, False)(jobs)] == []
    assert asked == [3, 1], "a classical method has no network that would wait for its encoder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        images.write(Picture(np.roll(smooth(18, 24), number, axis=1)), tmp_path / "in" / f"{number:02} #ü.png")
    for name in ("out", "plain"):
        (tmp_path / name).mkdir()
    return tmp_path / "in"


def jobs_of(folder: Place, out: Place) -> list[Job]:
    return plan_jobs(list_sources([folder], True, out)[0], out, "", "png")


def upscale(folder: Place, out: Place, recipe: Recipe = DOUBLED) -> list[Outcome]:
    return finish(on_ray.run(jobs_of(folder, out), recipe, open_journal(out), on="ray", workers=2))


def states(outcomes: list[Outcome]) -> dict[str, str]:
    assert len({outcome.job.name for outcome in outcomes}) == len(outcomes), "each once"
    return {outcome.job.name: outcome.state for outcome in outcomes}


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_two_workers_make_what_one_process_makes_and_a_broken_image_costs_itself(
    folder: Path, tmp_path: Path, cluster: None
) -> None:
    """Images and results are at addresses. What one process did is skipped, and it skips what the cluster did."""
    out = Address(f"local://{tmp_path / 'out'}")
    (tmp_path / "out" / AT_ADDRESSES).mkdir()
    (folder / "broken.png").write_bytes(b"none")
    plain = finish(run(jobs_of(folder, tmp_path / "plain"), DOUBLED, Journal(tmp_path / "plain")))
    before = states(finish(run(jobs_of(folder, out)[:9], DOUBLED, open_journal(out))))
    there = states(upscale(Address(f"file://{folder}"), out))
    assert there == states(plain) | dict.fromkeys(before, "skipped") and there["broken.png"] == "failed"
    assert results(tmp_path / "out") == results(tmp_path / "plain") and len(results(tmp_path / "out")) == COUNT
    (folder / "broken.png").unlink()
    again = finish(run(jobs_of(folder, out), DOUBLED, open_journal(out)))
    assert {*states(again).values()} == {"skipped"} and len(again) == COUNT
    with pytest.raises(BadSetting, match="Bicubic cannot use the setting seed"):
        upscale(folder, out, Recipe((Stage("bicubic", 2),), settings=Settings(seed=1)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost_or_made_twice(
    folder: Path, tmp_path: Path, cluster: None
) -> None:
    """By its pid, which its journal is named by, as soon as it has noted a first result."""
    out, killed, over = tmp_path / "out", list[int](), threading.Event()

    def kill() -> None:
        while not killed and not over.wait(0.002):
            for journal in [*out.glob(NAMES)][:1]:
                killed.append(int(journal.stem.rpartition("-")[2]))
                os.kill(killed[0], signal.SIGKILL)

    watching = threading.Thread(target=kill)
    watching.start()
    try:
        outcomes = upscale(folder, out)
    finally:
        over.set()
        watching.join()
    assert killed and len(outcomes) == COUNT
    assert {*states(outcomes).values()} <= {"done", "skipped"}
    plain = finish(run(jobs_of(folder, tmp_path / "plain"), DOUBLED, Journal(tmp_path / "plain")))
    assert len(plain) == COUNT and results(tmp_path / "out") == results(tmp_path / "plain")
    lines = [line for path in (tmp_path / "out").glob(NAMES) for line in path.read_bytes().splitlines()]
    assert len(lines) <= COUNT + 2, "but what each was at"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_interrupt_ends_the_workers_and_what_is_written_counts(folder: Path, tmp_path: Path, cluster: None) -> None:
    out = tmp_path / "out"

    def interrupt(step: Step) -> None:
        if isinstance(step, FileStep) and step.outcome is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(on_ray.run(jobs_of(folder, out), DOUBLED, Journal(out), on="ray", workers=2), interrupt)
    workers = [int(journal.stem.rpartition("-")[2]) for journal in out.glob(NAMES)]
    until = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < until, "a worker goes on"
        time.sleep(0.05)
    there = states(finish(run(jobs_of(folder, out), DOUBLED, Journal(out))))
    assert workers and {*there.values()} <= {"done", "skipped"} and "skipped" in there.values()
    plain = finish(run(jobs_of(folder, tmp_path / "plain"), DOUBLED, Journal(tmp_path / "plain")))
    assert len(plain) == COUNT and results(out) == results(tmp_path / "plain")
