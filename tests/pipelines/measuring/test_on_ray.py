"""A benchmark on a cluster of Ray with two workers: the same scores as here, each row once, whatever dies on the way.

Real Ray, where it is installed: `pip install -r requirements-ray.txt`.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.cluster.spread import spread
from pipelines.images import door as images
from pipelines.images.addresses import Address
from pipelines.images.picture import Picture
from pipelines.measuring import on_ray
from pipelines.measuring.plan import Plan, Subject, list_subjects
from pipelines.measuring.run import Row, Scored, load_judges, no_judges, resolve_contenders, run
from pipelines.runs import Step, finish
from tests.conftest import smooth

COUNT = 60
MODELS = ["nearest", "bicubic", "swift"]
Work = Callable[[Sequence[Any]], Iterator[Any]]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Subject]:
    """Small images, of which one is damaged; the last half of them are named by addresses."""
    for number in range(COUNT):
        picture = Picture(smooth(16 + number % 9, 24 + COUNT)[:, number : number + 24].copy())
        images.write(picture, tmp_path / f"{number:02}.png")
    (tmp_path / "05.png").write_bytes((tmp_path / "05.png").read_bytes()[:90])
    first, *rest = np.array_split(sorted(tmp_path.iterdir()), 2)
    subjects, others = list_subjects([*first, *(Address(f"file://{path}") for half in rest for path in half)])
    assert len(subjects) == COUNT and not others
    return subjects


@pytest.fixture
def plan() -> Plan:
    return Plan("round-trip", 2, "bicubic", resolve_contenders("round-trip", 2, MODELS, []), repeats=0)


def told(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All of the rows but what it took to make them."""
    taken = ("seconds", "stage_seconds", "peak_mb")
    return [{key: value for key, value in row.as_dict().items() if key not in taken} for row in rows]


def measure(plan: Plan, pictures: Sequence[Subject], done: Sequence[Row] = ()) -> tuple[list[Row], list[Row]]:
    """The rows of the whole run, and those that left it."""
    left: list[Row] = []

    def see(step: Step) -> None:
        if isinstance(step, Scored):
            left.append(step.row)

    return finish(on_ray.run(plan, pictures, load_judges(), done, "ray", 2), see), left


def make_mortal(*given: Any) -> Work:
    """A worker whose process is killed when one first comes to an image in the middle."""
    work = on_ray._make_worker(*given)

    def die_once(part: Sequence[Any]) -> Iterator[Any]:
        for subject, _ in part:
            if subject.name == "25.png" and not (died := subject.path.parent / "died").exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        yield from work(part)

    return die_once


def make_hungry(*given: Any) -> Work:
    """A worker with a model that finds no memory."""
    from pipelines.measuring import run as module

    enlarge = module.enlarge

    def fail(low: Any, upscalers: Any, settings: Any) -> Any:
        if upscalers[0].model.key == "bicubic":
            raise MemoryError
        return enlarge(low, upscalers, settings)

    module.enlarge = fail  # type: ignore[assignment]
    return on_ray._make_worker(*given)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_two_workers_score_as_one_process_does_and_what_is_there_is_kept(
    pictures: list[Subject], plan: Plan, cluster: None
) -> None:
    here = finish(run(plan, pictures, load_judges()))
    there, left = measure(plan, pictures, here[:10])
    assert told(there) == told(here) and len(there) == COUNT * len(MODELS)
    assert sum(row.error is not None for row in there) == len(MODELS), "those of the damaged image"
    assert there[:10] == here[:10]
    assert sorted(map(str, left)) == sorted(map(str, there[10:])), "each row leaves once"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_loses_no_row_and_makes_none_twice(
    pictures: list[Subject], plan: Plan, cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = on_ray._make_worker
    monkeypatch.setattr(on_ray, "spread", lambda make, *more: spread(make_mortal if make is before else make, *more))
    there, left = measure(plan, pictures)
    assert (tmp_path / "died").exists()
    assert told(there) == told(finish(run(plan, pictures, load_judges())))
    assert len({(row.image, row.model) for row in left}) == len(left) == COUNT * len(MODELS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_without_memory_in_a_worker_costs_its_own_rows(
    pictures: list[Subject], plan: Plan, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "spread", lambda make, *more: spread(make_hungry, *more))
    there, _ = measure(plan, pictures[:2])
    assert [row.error for row in there] == [None, "There is not enough memory for that.", None] * 2


def test_without_anything_left_to_measure_no_cluster_is_asked_for(pictures: list[Subject], plan: Plan) -> None:
    plan = replace(plan, contenders=plan.contenders[:1])
    rows = finish(run(plan, pictures[:2], no_judges("none here")))
    assert finish(on_ray.run(plan, pictures[:2], no_judges("none here"), rows, "ray://nowhere:1")) == rows
