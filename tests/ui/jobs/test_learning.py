"""What batches, comparisons and chains learn of how long their models take, above all where a GPU was taken back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from pipelines import estimates
from pipelines.batch.run import FileStep, Outcome, Recipe
from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring.run import Row, Scored
from pipelines.runs import Step, finish
from pipelines.upscalers.loading import Took
from tests.conftest import smooth
from tests.support import painter
from ui.jobs import batches, comparing, enlarging, gpu, loans
from ui.jobs.batches import Batch, Progress

PAINTED, SETTINGS, SIZE = [Stage("painted", 4)], Settings(steps=4), (100, 100)
AGAIN = r"^The GPU was taken back before .* Run it again: it will ask for more time\.$"


@pytest.fixture(autouse=True)
def _painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A diffusion model that is known to take 7 s for 100 by 100 pixels in 4 steps, and takes next to none."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    painter.use(monkeypatch, painter.PAINTED, replace(painter.PAINTED, key="twice", scales={2: None}))


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    """A batch of three images, and one that is too small to tell anything."""
    for name, side in (("a", 100), ("b", 100), ("c", 100), ("d", 20)):
        images.write(Picture(smooth(side, side)), tmp_path / f"{name}.png")
    chosen = Batch.of([(tmp_path / f"{name}.png", f"{name}.png") for name in "abcd"])
    return batches.begin(chosen, Recipe(tuple(PAINTED), settings=SETTINGS), "png")


def take_back(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
    """Has the platform end each run after these steps."""

    def ended(*_: object) -> Iterator[Step]:
        yield from steps
        raise gr.Error("GPU task aborted")

    monkeypatch.setattr(gpu, "can_use_gpu", lambda stages: True)
    monkeypatch.setattr(gpu, "_on_gpu", ended)


def likely(stages: list[Stage] = PAINTED) -> float:
    return loans.estimate_time(stages, SETTINGS, *SIZE).likely


def test_a_chain_that_was_taken_back_asks_for_more_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows which of its stages took so long, so all are believed to have."""
    take_back(monkeypatch)
    chain, settings = [Stage("painted", 4), Stage("twice", 2)], Settings(steps=1)
    estimates.learn("twice", 2, 400, 400, 9.0, settings=settings)
    before = loans.estimate_time(chain, settings, *SIZE).likely
    asked = loans.plan_picture_loan(chain, settings, SIZE)
    with pytest.raises(loans.TakenBack, match=AGAIN):
        finish(enlarging.enlarge_picture(Picture(smooth(100, 100)), chain, settings))
    assert loans.estimate_time(chain, settings, *SIZE).likely == pytest.approx(asked)
    assert before < asked < loans.plan_picture_loan(chain, settings, SIZE)


def test_a_batch_learns_from_each_image(progress: Progress) -> None:
    assert likely() == pytest.approx(7)
    finish(batches.upscale(progress, batches.foresee(progress.batch, progress.recipe)))
    (each,) = estimates.estimate_each(PAINTED, *SIZE, SETTINGS)
    assert progress.done == 4 and each.runs == 3 and likely() < 1


@pytest.mark.parametrize("done", [0, 2])
def test_a_batch_that_was_taken_back_asks_for_more_next_time(
    done: int, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done stays; all images took longer by the same factor, that of the last one as well."""
    made = [progress.jobs[number] for number in range(done)]
    took = Took(PAINTED[0], SIZE, 14.0, None, "cuda, float16")
    take_back(monkeypatch, *(FileStep(1, 4, job.name, None, Outcome(job, "done", took=(took,))) for job in made))
    for job in made:
        job.output.write_bytes(b"made")
    outlook = batches.foresee(progress.batch, progress.recipe)
    asked = batches._plan_loan(outlook)
    with pytest.raises(loans.TakenBack, match=AGAIN):
        finish(batches.upscale(progress, outlook))
    assert progress.done == done and likely() == pytest.approx(asked / (done + 1), rel=0.05)
    assert batches._plan_loan(batches.foresee(progress.batch, progress.recipe)) > 1.2 * asked


def test_a_batch_is_lent_time_to_write_its_results(progress: Progress) -> None:
    outlook = batches.foresee(progress.batch, progress.recipe)
    writing = batches.WRITING_SECONDS * outlook.made / 1e6
    computing = [loans.estimate_time(PAINTED, SETTINGS, side, side) for side in (100, 100, 100, 20)]
    assert outlook.time.likely == pytest.approx(sum(each.likely for each in computing) + writing)
    assert outlook.time.most == pytest.approx(sum(each.most for each in computing) + writing)


def test_a_comparison_learns_from_each_row_and_from_being_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the rows before did not take, the row at work took."""
    images.write(Picture(smooth(400, 400)), tmp_path / "a.png")
    asked = comparing.start([tmp_path / "a.png"], "round-trip", "x4", "bicubic", ["bicubic", "painted"], [])
    contenders = asked.plan.contenders
    lent = comparing.gpu_seconds(contenders, [SIZE])
    for finished in range(len(contenders)):
        rows = [Row("a.png", "", each.key, 4) for each in contenders[:finished]]
        steps = zip(contenders, rows, strict=False)
        take_back(monkeypatch, *(Scored(1, 2, "", asked.pictures[0], each, row) for each, row in steps))
        with pytest.raises(loans.TakenBack, match=AGAIN):
            finish(comparing.measure(asked, keeping=False))
        more = comparing.gpu_seconds(contenders, [SIZE])
        assert more > 1.2 * lent, f"with {contenders[finished].key} at work"
        lent = more
    monkeypatch.undo()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    painter.use(monkeypatch)
    before = loans.estimate_time(PAINTED, None, *SIZE).likely
    finish(comparing.measure(asked, keeping=False))
    assert loans.estimate_time(PAINTED, None, *SIZE).likely < before / 10
