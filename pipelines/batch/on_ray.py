"""A batch on a cluster: Ray Data hands parts of it to actors, each of which keeps its models loaded.

Ray starts actors, gives them work, and replaces one that dies or whose machine does; the part that it had is given out
again, and what the journal says was made of it is skipped. Images and results lie in folders that all machines see by
the same names. Each actor writes results and a journal of its own; only what became of each image comes back.
"""

import importlib
import importlib.util
import logging
import os
import pickle
import re
import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines import environment
from pipelines.batch.jobs import Job
from pipelines.batch.journal import Journal
from pipelines.batch.recipe import Recipe
from pipelines.batch.run import FileStep, Outcome
from pipelines.batch.run import run as run_here
from pipelines.errors import BadSetting, UpscaleError
from pipelines.runs import Run, Step, finish

PART = 8  # images that an actor is given at a time; within them one is decoded ahead and one encoded behind
RETRIES = 3  # of a part whose actor died: an image that always kills its process must not go round for ever
_ADDRESS = re.compile(r"ray(://[\w.:\[\]-]+)?")

log = logging.getLogger(__name__)


class _Worker:
    """What each actor holds: its journal, and by way of `loading` the models."""

    def __init__(self, folder: Path, recipe: Recipe, overwrite: bool) -> None:
        self.journal = Journal(folder, f"{socket.gethostname()}-{os.getpid()}")
        self.recipe, self.overwrite = recipe, overwrite

    def __call__(self, part: Mapping[str, Any]) -> dict[str, list[bytes]]:
        """Upscales the jobs of a part; gives back outcomes, and last an error that is no one image's fault."""
        jobs: list[Job] = [pickle.loads(job) for job in part["job"]]
        done: list[Outcome | UpscaleError] = []

        def see(step: Step) -> None:
            if isinstance(step, FileStep) and step.outcome is not None:
                done.append(step.outcome)

        self.journal.refresh()
        try:
            finish(run_here(jobs, self.recipe, self.journal, self.overwrite), see)
        except UpscaleError as error:
            done.append(error)
        return {"outcome": [pickle.dumps(each) for each in done]}


def check(on: str, workers: int | None) -> None:
    """Raises BadSetting for what is no cluster of Ray, no number of workers, or where Ray is not here."""
    if not _ADDRESS.fullmatch(on):
        raise BadSetting(f"--on is ray or ray://HOST:PORT, not {on[:40]!r}.")
    if workers is not None and workers < 1:
        raise BadSetting(f"The number of workers is 1 or more, not {workers}.")
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("pyarrow") is None:
        raise BadSetting("Ray is not installed here: pip install -r requirements-ray.txt adds it.")


def run(
    jobs: Sequence[Job],
    recipe: Recipe,
    journal: Journal,
    overwrite: bool = False,
    on: str = "ray",
    workers: int | None = None,
) -> Run[list[Outcome]]:
    """Does as `run.run`, on a cluster; the outcomes come in any order. Raises as that does, and as `check`.

    Where the process is connected to Ray already, that is used and left open.
    """
    check(on, workers)
    ray = importlib.import_module("ray")
    data = importlib.import_module("ray.data")
    ours = not ray.is_initialized()
    yield Step(0, 1, "starting Ray")
    try:
        if ours:
            _connect(ray, on)
        return (yield from _followed(data, jobs, recipe, journal, overwrite, _shares(ray.cluster_resources(), workers)))
    except UpscaleError:
        raise
    except ray.exceptions.RayError as error:
        log.debug("Ray failed", exc_info=True)
        raise UpscaleError(f"Ray gave up ({type(error).__name__}). The same command continues.") from error
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, on: str) -> None:
    address = on if "://" in on else None
    try:
        if address or environment.has_ray_address():
            ray.init(address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UpscaleError(f"Ray cannot be reached ({' '.join(str(error).split())[:200]}).") from error


def _shares(resources: Mapping[str, float], workers: int | None) -> tuple[int, dict[str, float]]:
    """Returns how many actors there are and what each takes of the cluster."""
    cores, gpus = resources.get("CPU", 1), int(resources.get("GPU", 0))
    if gpus:
        count = workers or gpus
        return count, {
            "num_gpus": gpus / count if count > gpus else 1,
            "num_cpus": 1 if cores >= count else cores / count,
        }
    count = workers or max(1, int(cores))
    return count, {"num_cpus": cores // count or cores / count}


def _followed(
    data: Any,
    jobs: Sequence[Job],
    recipe: Recipe,
    journal: Journal,
    overwrite: bool,
    shares: tuple[int, dict[str, float]],
) -> Run[list[Outcome]]:
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    for name in ("ray.data", "ray"):  # tracebacks of what is said in one sentence here are in Ray's own log
        logging.getLogger(name).setLevel(logging.CRITICAL)
    count, resources = shares
    parts = max(1, min(len(jobs), max(count, -(-len(jobs) // PART))))
    # Handed in whole: to read them would take a core, and the actors have them all.
    rows = data.from_items([{"job": pickle.dumps(_absolute(job))} for job in jobs], override_num_blocks=parts)
    own = recipe.own and Path(os.path.abspath(recipe.own))
    with warnings.catch_warnings():
        # There is no other way to bound retries yet; requirements-ray.txt ends before the version that drops this one.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        made = rows.map_batches(
            _Worker,
            fn_constructor_args=(journal.folder.resolve(), replace(recipe, own=own), overwrite),
            batch_size=None,
            compute=data.ActorPoolStrategy(size=count),
            max_task_retries=RETRIES,
            **resources,
        )
    outcomes: list[Outcome] = []
    named = {job.name: job for job in jobs}
    for row in made.iter_rows():
        found: Outcome | UpscaleError = pickle.loads(row["outcome"])
        if isinstance(found, UpscaleError):
            raise found
        found = replace(found, job=named[found.job.name])
        outcomes.append(found)
        yield FileStep(len(outcomes), len(jobs), found.job.name, None, found)
        if found.stops:
            break
    return outcomes


def _absolute(job: Job) -> Job:
    """An actor works in another folder."""
    return replace(job, image=Path(os.path.abspath(job.image)), output=Path(os.path.abspath(job.output)))
