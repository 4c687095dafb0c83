"""The GPU boundary with the real package `spaces`, as on a ZeroGPU Space; test_gpu.py runs these in such a process.

The package decides when it is imported whether it is on one. Only the GPU itself is not there: without torch the
package leaves that out and does all the rest.
"""

import multiprocessing
import os
import time
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from pipelines import errors
from pipelines.catalog import rows as catalog
from pipelines.catalog import schema
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import Model
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.images.picture import Picture, Pixels
from pipelines.runs import Preview, Run, Step, finish
from tests.conftest import smooth
from tests.support import painter
from ui import page
from ui.jobs import enlarging, gpu

pytestmark = [
    pytest.mark.filterwarnings("ignore:Error while reading infos from Nvidia"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # so are all Spaces
]
STEPS = 5
LENT = 60  # seconds
ON_GPU = [Stage("made", 2)]


@pytest.fixture(autouse=True)
def _a_model_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Model("made", "Made", "gan", "network", {2: None}, "none needed", True, "Made for tests.")
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, row))


@pytest.fixture
def fresh() -> None:
    """No process of an earlier call is left: it would not know of what is made now."""
    for process in multiprocessing.active_children():
        process.kill()
        process.join()


@pytest.fixture
def painted(fresh: None, monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    painter.use(monkeypatch)
    return [Stage("painted", 4)]


def halved(pixels: Pixels, log: Path) -> Run[tuple[int, Pixels]]:
    """A run to send: where it ran, and half of each value; `log` tells when it has ended."""
    try:
        for done in range(STEPS):
            yield Step(done, STEPS, "halving")
        return os.getpid(), pixels / 2
    finally:
        log.write_text("ended")


def endless(log: Path) -> Run[None]:
    try:
        while True:
            yield Step(0, 1, "waiting")
            time.sleep(0.01)
    finally:
        log.write_text("ended")


def failing(error: BaseException) -> Run[None]:
    yield Step(0, 1, "failing")
    raise error


def test_steps_and_result_come_from_another_process(tmp_path: Path) -> None:
    steps: list[Step] = []
    process, pixels = finish(gpu.run_job(LENT, ON_GPU, halved, smooth(30, 20), tmp_path / "log"), steps.append)
    assert process != os.getpid()
    np.testing.assert_array_equal(pixels, smooth(30, 20) / 2)
    assert steps == [Step(done, STEPS, "halving") for done in range(STEPS)]


def test_the_process_serves_the_next_call_too(tmp_path: Path) -> None:
    first, second = (finish(gpu.run_job(LENT, ON_GPU, halved, smooth(3, 3), tmp_path / "log"))[0] for _ in range(2))
    assert first == second != os.getpid()


@pytest.mark.parametrize("kind", [*errors.UpscaleError.__subclasses__(), MemoryError])
def test_an_error_comes_with_its_sentence(kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind, match=r"^That cannot be done\.$"):
        finish(gpu.run_job(LENT, ON_GPU, failing, kind("That cannot be done.")))
    assert finish(gpu.run_job(LENT, ON_GPU, halved, smooth(3, 3), tmp_path / "log")), "the next call works"


def test_a_mistake_of_ours_is_an_error_for_the_page() -> None:
    with pytest.raises(gr.Error, match="ZeroDivisionError"):
        finish(gpu.run_job(LENT, ON_GPU, failing, ZeroDivisionError()))


def test_closing_ends_the_run_there(tmp_path: Path) -> None:
    run = gpu.run_job(LENT, ON_GPU, endless, tmp_path / "log")
    next(run)
    run.close()
    assert (tmp_path / "log").read_text() == "ended"
    assert finish(gpu.run_job(LENT, ON_GPU, halved, smooth(3, 3), tmp_path / "log")), "the next call works"


def test_a_model_without_use_for_a_gpu_stays_here(tmp_path: Path) -> None:
    process, _ = finish(gpu.run_job(LENT, [Stage("bicubic", 2)], halved, smooth(3, 3), tmp_path / "log"))
    assert process == os.getpid()


def test_a_picture_crosses(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "CPU_ENGINES", frozenset())
    picture = Picture(smooth(20, 30), alpha=smooth(20, 30)[..., 0], depth=16, icc=b"profile", notes=("made",))
    there = finish(enlarging.enlarge_picture(picture, [Stage("bicubic", 2)]))
    here = finish(enlarge_by(picture, [Stage("bicubic", 2)]))
    np.testing.assert_array_equal(there.picture.pixels, here.picture.pixels)
    assert there.picture.depth == 16 and there.picture.icc == b"profile"


def test_previews_cross_and_the_gpu_is_lent_by_tiles_and_steps(painted: list[Stage]) -> None:
    """For how long is seen by tests/ui/jobs/test_gpu.py, which plays the lender."""
    steps: list[Step] = []
    picture, settings = Picture(smooth(100, 100)), Settings(prompt="", steps=4)
    done = finish(enlarging.enlarge_picture(picture, painted, settings), steps.append)
    assert f"run by {os.getpid()}" not in done.details.notes
    previews = [step for step in steps if isinstance(step, Preview)]
    assert [int(each.picture.max()) for each in previews] == [127, 255]
    assert done.picture.pixels.shape == (400, 400, 3)


def test_what_is_preloaded_here_is_there_already(painted: list[Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    painter.use(monkeypatch, engine="network")
    monkeypatch.setenv("UPSCALE_PRELOAD", "painted:4,made:2,espcn:2")
    gpu.preload()  # the made one takes more memory than is kept, and of ESPCN there are no files
    done = finish(enlarging.enlarge_picture(Picture(smooth(9, 9)), painted))
    assert done.details.notes[0] == f"loaded by {os.getpid()}"
    assert done.details.notes[1] != f"run by {os.getpid()}"


def test_the_page_starts() -> None:
    """On ZeroGPU that also reports that there is a function to lend a GPU to, without which the Space is stopped."""
    built = page.build()
    built.launch(prevent_thread_lock=True, quiet=True)
    built.close()
