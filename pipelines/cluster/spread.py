"""Parts of a work given to actors by Ray Data; knows neither images nor models.

Ray starts actors, gives them work, and replaces one that dies or whose machine does; the part that it had is given out
again. What an actor gave back of a part counts once, and only when it is through with the part.
"""

import importlib
import importlib.util
import logging
import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import environment
from pipelines.errors import BadSetting, UpscaleError
from pipelines.runs import Run, Step

RETRIES = 3  # of a part whose actor died: what always kills its process must not go round for ever
MOST_PARTS = 10_000  # Ray keeps a little of each in the memory of who asks
_ADDRESS = re.compile(r"ray(://[\w.:\[\]-]+)?")

Worker = Callable[[Sequence[Any]], Iterator[Any]]  # from the items of a part to what it has to give back

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Arrived(Step):
    """Something that an actor gave back."""

    result: Any


class _Actor:
    """What each actor holds: its worker, by way of which models stay loaded."""

    def __init__(self, make: Callable[..., Worker], given: Sequence[Any]) -> None:
        self.worker = make(*given)

    def __call__(self, part: Mapping[str, Any]) -> dict[str, list[bytes]]:
        """Works on the items of a part; last comes an error that is the fault of none of them, if there is one."""
        found: list[Any] = []
        try:
            found.extend(self.worker([pickle.loads(item) for item in part["item"]]))
        except UpscaleError as error:
            found.append(error)
        return {"result": [pickle.dumps(each) for each in found]}


def check(on: str, workers: int | None) -> None:
    """Raises BadSetting for what is no cluster of Ray, no number of workers, or where Ray is not here."""
    if not _ADDRESS.fullmatch(on):
        raise BadSetting(f"--on is ray or ray://HOST:PORT, not {on[:40]!r}.")
    if workers is not None and workers < 1:
        raise BadSetting(f"The number of workers is 1 or more, not {workers}.")
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("pyarrow") is None:
        raise BadSetting("Ray is not installed here: pip install -r requirements-ray.txt adds it.")


def spread(
    make: Callable[..., Worker], given: Sequence[Any], items: Sequence[Any], part: int, on: str, workers: int | None
) -> Run[None]:
    """Has actors work on the items, so many a part; `Arrived` has each of their results, in any order.

    Each actor makes its worker by `make(*given)`. All of it, results too, is pickled. Raises UpscaleErrors of workers,
    what `check` raises, and UpscaleError where Ray cannot be reached or gives up. Where the process is connected to
    Ray already, that is used and left open.
    """
    check(on, workers)
    ray = importlib.import_module("ray")
    data = importlib.import_module("ray.data")
    ours = not ray.is_initialized()
    yield Step(0, 1, "starting Ray")
    try:
        if ours:
            _connect(ray, on)
        yield from _followed(data, make, given, items, part, _shares(ray.cluster_resources(), workers))
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
    make: Callable[..., Worker],
    given: Sequence[Any],
    items: Sequence[Any],
    part: int,
    shares: tuple[int, dict[str, float]],
) -> Run[None]:
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    for name in ("ray.data", "ray"):  # tracebacks of what is said in one sentence here are in Ray's own log
        logging.getLogger(name).setLevel(logging.CRITICAL)
    count, resources = shares
    parts = max(1, min(len(items), MOST_PARTS, max(count, -(-len(items) // part))))
    # Handed in whole: to read them would take a core, and the actors have them all.
    rows = data.from_items([{"item": pickle.dumps(each)} for each in items], override_num_blocks=parts)
    with warnings.catch_warnings():
        # There is no other way to bound retries yet; requirements-ray.txt ends before the version that drops this one.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        made = rows.map_batches(
            _Actor,
            fn_constructor_args=(make, given),
            batch_size=None,
            compute=data.ActorPoolStrategy(size=count),
            max_task_retries=RETRIES,
            **resources,
        )
    for number, row in enumerate(made.iter_rows(), 1):
        found = pickle.loads(row["result"])
        if isinstance(found, UpscaleError):
            raise found
        yield Arrived(number, len(items), "", found)
