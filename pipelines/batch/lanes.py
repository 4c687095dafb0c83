"""Several images at once on the processor: each takes a share of its cores from decoding to encoding.

A network's layers wait for the slowest of the threads that compute them. So while an image is encoded beside a network
that has all cores, the network waits; with a core an image, nobody waits for anybody. An image whose result takes much
of the memory goes alone, and so does one that found too little of it beside others.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeAlias

from pipelines.batch.jobs import Job
from pipelines.batch.journal import AnyJournal
from pipelines.batch.recipe import Recipe
from pipelines.batch.work import Fetched, FileStep, Lacking, Outcome, Prepared, enlarge_prepared, prepare, store
from pipelines.catalog.rows import check_stages
from pipelines.machine import available_memory
from pipelines.networks import devices
from pipelines.runs import POLL_SECONDS, Run, Step, map_steps
from pipelines.upscalers.loading import device_name, fetch

MOST_LANES = 4
HEAVY = 8  # an image whose result takes more than an eighth of the memory that is left goes alone
PIXEL_BYTES = 16  # of a result, about, while it is made

Found: TypeAlias = Outcome | Lacking | Prepared | None  # what came of an image; Prepared is one that is to go alone


def count_lanes(recipe: Recipe, images: int) -> int:
    """Returns how many images are best upscaled at once: one on a GPU, and where no network computes."""
    models = recipe.models
    if images < 2 or not any(model.engine != "classical" and not model.diffusion for model in models):
        return 1
    if device_name() != "cpu":
        return 1
    return min(MOST_LANES, images, devices.count_threads())


def run(jobs: Sequence[Job], recipe: Recipe, journal: AnyJournal, overwrite: bool, lanes: int) -> Run[list[Outcome]]:
    """Does as `run.run`, so many images at once. The outcomes leave as they come, and are returned in order."""
    fetched: Fetched = {}
    outcomes: dict[int, Outcome] = {}
    newest: dict[int, Step] = {}
    ending = threading.Event()
    waiting = deque(range(len(jobs)))
    lonely: deque[tuple[int, Prepared | None]] = deque()  # those that go alone, as far as they are decoded
    running: dict[Future[Found], int] = {}

    def step(within: Step) -> FileStep:
        return FileStep(len(outcomes), len(jobs), within.note, within)

    def work(number: int, alone: bool, ready: Prepared | None = None) -> Found:
        found = ready or prepare(jobs[number], recipe, journal, fetched, overwrite)
        if isinstance(found, Lacking | Outcome):
            return found
        if not alone and found.made_pixels * PIXEL_BYTES * HEAVY > available_memory():
            return found
        enlarging = enlarge_prepared(found, recipe, fetched, ())
        try:
            while not ending.is_set():
                newest[number] = next(enlarging)
        except StopIteration as stop:
            made = stop.value
            return made if isinstance(made, Outcome) else store(found, made, recipe, journal)
        finally:
            enlarging.close()
        return None

    with devices.sharing(lanes), ThreadPoolExecutor(lanes, initializer=devices.take_share) as pool:
        try:
            while waiting or lonely or running:
                if not running:
                    alone = bool(lonely)
                    if lonely:
                        number, ready = lonely.popleft()
                        running[pool.submit(work, number, True, ready)] = number
                        del ready  # or its picture would be held until the next one
                while waiting and not (alone or lonely) and len(running) < lanes:
                    number = waiting.popleft()
                    running[pool.submit(work, number, False)] = number
                finished, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                if not finished:
                    yield step(next(iter([*newest.values()]), Step(0, 1, "reading")))
                for future in finished:
                    number = running.pop(future)
                    newest.pop(number, None)
                    found = future.result()
                    if isinstance(found, Lacking):
                        if found.stages not in fetched:
                            check_stages(found.stages, recipe.settings)
                            fetching = fetch(found.stages, recipe.settings, recipe.own)
                            fetched[found.stages] = yield from map_steps(fetching, step)
                        waiting.appendleft(number)
                    elif isinstance(found, Prepared):
                        lonely.append((number, found))
                    elif found is not None and found.lacks_memory and not alone:
                        lonely.append((number, None))
                    elif found is not None:
                        outcomes[number] = found
                        yield FileStep(len(outcomes), len(jobs), found.job.name, None, found)
                    del found
                if any(outcome.stops for outcome in outcomes.values()):
                    break
        finally:
            ending.set()
    return [outcomes[number] for number in sorted(outcomes)]
