"""A batch on a cluster of Ray with two workers: the same files as here, whatever dies on the way.

Real Ray, where it is installed: `pip install -r requirements-ray.txt`.
"""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from pipelines.batch import on_ray
from pipelines.batch.journal import NAMES
from pipelines.batch.run import Job, Journal, Outcome, Recipe, list_sources, plan_jobs, run
from pipelines.catalog.rows import Settings, Stage
from pipelines.cluster import spread
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish
from tests.conftest import smooth

DOUBLED = Recipe((Stage("bicubic", 2),))
COUNT = 20


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        images.write(Picture(np.roll(smooth(200, 300), number, axis=1)), tmp_path / "in" / f"{number:02} #ü.png")
    for name in ("out", "plain"):
        (tmp_path / name).mkdir()
    return tmp_path / "in"


def jobs_of(folder: Path, out: Path) -> list[Job]:
    return plan_jobs(list_sources([folder], True, out)[0], out, "", "png")


def upscale(folder: Path, recipe: Recipe = DOUBLED) -> list[Outcome]:
    out = folder.parent / "out"
    return finish(on_ray.run(jobs_of(folder, out), recipe, Journal(out), on="ray", workers=2))


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
    """And the same command skips what is done, as does the same command without a cluster."""
    (folder / "broken.png").write_bytes(b"none")
    here = finish(run(jobs_of(folder, tmp_path / "plain"), DOUBLED, Journal(tmp_path / "plain")))
    there = upscale(folder)
    assert states(there) == states(here) and states(there)["broken.png"] == "failed"
    assert results(tmp_path / "out") == results(tmp_path / "plain") and len(results(tmp_path / "out")) == COUNT
    (folder / "broken.png").unlink()
    assert {*states(upscale(folder)).values()} == {"skipped"}
    again = finish(run(jobs_of(folder, tmp_path / "out"), DOUBLED, Journal(tmp_path / "out")))
    assert {*states(again).values()} == {"skipped"}
    with pytest.raises(BadSetting, match="Bicubic cannot use the setting seed"):
        upscale(folder, Recipe((Stage("bicubic", 2),), settings=Settings(seed=1)))


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
        outcomes = upscale(folder)
    finally:
        over.set()
        watching.join()
    assert killed and len(outcomes) == COUNT
    assert {*states(outcomes).values()} <= {"done", "skipped"}
    plain = finish(run(jobs_of(folder, tmp_path / "plain"), DOUBLED, Journal(tmp_path / "plain")))
    assert len(plain) == COUNT and results(tmp_path / "out") == results(tmp_path / "plain")
    lines = [line for path in (tmp_path / "out").glob(NAMES) for line in path.read_bytes().splitlines()]
    assert len(lines) <= COUNT + 2, "but what each was at"
