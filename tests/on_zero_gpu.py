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

from pipelines import catalog, errors
from pipelines.enlarge import enlarge_by
from pipelines.images import Picture, Pixels
from pipelines.runs import Run, Step, finish
from tests.conftest import smooth
from ui import gpu, page

pytestmark = [
    pytest.mark.filterwarnings("ignore:Error while reading infos from Nvidia"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # so are all Spaces
]
STEPS = 5
ON_GPU = [("made", 2)]


@pytest.fixture(autouse=True)
def _a_model_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    row = catalog.Model("made", "Made", "gan", "network", {2: None}, "none needed", True, "Made for tests.")
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, row))


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
    process, pixels = finish(gpu.run(ON_GPU, None, halved, smooth(30, 20), tmp_path / "log"), steps.append)
    assert process != os.getpid()
    np.testing.assert_array_equal(pixels, smooth(30, 20) / 2)
    assert steps == [Step(done, STEPS, "halving") for done in range(STEPS)]


def test_the_process_serves_the_next_call_too(tmp_path: Path) -> None:
    first, second = (finish(gpu.run(ON_GPU, None, halved, smooth(3, 3), tmp_path / "log"))[0] for _ in range(2))
    assert first == second != os.getpid()


@pytest.mark.parametrize("kind", [*errors.UpscaleError.__subclasses__(), MemoryError])
def test_an_error_comes_with_its_sentence(kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind, match=r"^That cannot be done\.$"):
        finish(gpu.run(ON_GPU, None, failing, kind("That cannot be done.")))
    assert finish(gpu.run(ON_GPU, None, halved, smooth(3, 3), tmp_path / "log")), "the next call works"


def test_a_mistake_of_ours_is_an_error_for_the_page() -> None:
    with pytest.raises(gr.Error, match="ZeroDivisionError"):
        finish(gpu.run(ON_GPU, None, failing, ZeroDivisionError()))


def test_closing_ends_the_run_there(tmp_path: Path) -> None:
    run = gpu.run(ON_GPU, None, endless, tmp_path / "log")
    next(run)
    run.close()
    assert (tmp_path / "log").read_text() == "ended"
    assert finish(gpu.run(ON_GPU, None, halved, smooth(3, 3), tmp_path / "log")), "the next call works"


def test_a_model_without_use_for_a_gpu_stays_here(tmp_path: Path) -> None:
    process, _ = finish(gpu.run([("bicubic", 2)], None, halved, smooth(3, 3), tmp_path / "log"))
    assert process == os.getpid()


def test_a_picture_crosses_and_the_model_is_loaded_there(monkeypatch: pytest.MonkeyPatch, own_weights: Path) -> None:
    for process in multiprocessing.active_children():
        process.kill()  # it was forked before own_weights was made
        process.join()
    monkeypatch.setattr(catalog, "CPU_ENGINES", frozenset())
    picture = Picture(smooth(20, 30), alpha=smooth(20, 30)[..., 0], depth=16, icc=b"profile", notes=("made",))
    there = finish(gpu.run([("espcn", 2)], None, enlarge_by, picture, [("espcn", 2)]))
    here = finish(enlarge_by(picture, [("espcn", 2)]))
    np.testing.assert_array_equal(there.picture.pixels, here.picture.pixels)
    assert there.picture.depth == 16 and there.picture.icc == b"profile"
    assert there.details.weights_sha256 == here.details.weights_sha256


def test_the_page_starts() -> None:
    """On ZeroGPU that also reports that there is a function to lend a GPU to, without which the Space is stopped."""
    built = page.build()
    built.launch(prevent_thread_lock=True, quiet=True)
    built.close()
