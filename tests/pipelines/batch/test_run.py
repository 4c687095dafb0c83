"""A batch: the same bytes as one image at a time, one failure costs one image, and what is done is not done again."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pipelines
from pipelines import files
from pipelines.batch.journal import NAME
from pipelines.batch.run import FileStep, Job, Journal, Outcome, Recipe, list_sources, plan_jobs, run
from pipelines.catalog.rows import Settings, Size, Stage
from pipelines.errors import BadSetting, CannotWrite, OutOfMemory, WeightsUnavailable
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import Step, finish
from tests.conftest import smooth

DOUBLED = Recipe((Stage("bicubic", 2),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of two formats, one of them in a folder within."""
    for number, name in enumerate(("a.png", "b.jpg", "sub/c.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(Picture(smooth(20 + number, 30)), path)
    return tmp_path / "in"


def jobs_of(folder: Path, format: str = "png", suffix: str = "") -> list[Job]:
    sources, _ = list_sources([folder], True, folder.parent / "out")
    return plan_jobs(sources, folder.parent / "out", suffix, format)


def upscale(folder: Path, recipe: Recipe = DOUBLED, format: str = "png", overwrite: bool = False) -> list[Outcome]:
    return finish(run(jobs_of(folder, format), recipe, Journal(folder.parent / "out"), overwrite))


def states(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.job.name} {outcome.state}" for outcome in outcomes]


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(autouse=True)
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_each_file_is_what_one_image_alone_gives(folder: Path, out: Path, own_weights: Path) -> None:
    recipe = Recipe((), "espcn", Size(factor=2.5), settings=Settings(tile=16), quality=80)
    assert states(upscale(folder, recipe, "same")) == ["a.png done", "b.jpg done", "sub/c.png done"]
    expected = {}
    for name, quality in (("a.png", None), ("b.jpg", 80), ("sub/c.png", None)):
        picture = pipelines.upscale(folder / name, "espcn", 2.5, tile=16).picture
        expected[name] = images.encode(picture, images.format_of(Path(name)), quality=quality)
    assert contents(out) == expected


def test_what_is_done_is_skipped_whatever_the_format_until_image_or_way_changes(folder: Path, out: Path) -> None:
    for format in ("png", "webp", "jpg"):
        assert {outcome.state for outcome in upscale(folder, format=format)} == {"done"}
        assert {outcome.state for outcome in upscale(folder, format=format)} == {"skipped"}
        assert {outcome.state for outcome in upscale(folder, format=format, overwrite=True)} == {"skipped"}
    before = contents(out)
    images.write(Picture(smooth(9, 9)), folder / "a.png")
    changed, *rest = upscale(folder)
    assert (changed.state, {outcome.state for outcome in rest}) == ("failed", {"skipped"})
    assert changed.error == "a.png is there already, made of another image or in another way: --overwrite replaces it."
    other = Recipe((Stage("nearest", 2),))
    assert {outcome.state for outcome in upscale(folder, other)} == {"failed"}
    assert contents(out) == before
    assert states(upscale(folder, overwrite=True)) == ["a.png done", "b.png skipped", "sub/c.png skipped"]
    assert images.measure(out / "a.png") == (18, 18)
    assert {outcome.state for outcome in upscale(folder, other, overwrite=True)} == {"done"}


def test_one_bad_image_costs_itself_alone(folder: Path, out: Path) -> None:
    (folder / "a2.png").write_bytes(b"no image")
    (folder / "a3.png").write_bytes((folder / "a.png").read_bytes()[:100])
    outcomes = upscale(folder)
    assert states(outcomes) == ["a.png done", "a2.png failed", "a3.png failed", "b.png done", "sub/c.png done"]
    assert outcomes[1].error == (
        "a2.png is not an image in a format that can be read: PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC."
    )
    assert sorted(contents(out)) == ["a.png", "b.png", "sub/c.png"]


def test_whatever_a_model_does_with_one_image_the_others_go_on(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pipelines.batch import work as module

    enlarge = module.enlarge_fetched
    raised: Iterator[Exception | None] = iter([MemoryError(), ZeroDivisionError("by\nnothing"), None])

    def failing(*given: object, **more: object) -> object:
        if error := next(raised):
            raise error
        return enlarge(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "enlarge_fetched", failing)
    first, second, third = upscale(folder)
    assert first.error == "There is not enough memory for that."
    assert second.error == "It failed unexpectedly: ZeroDivisionError: by nothing"
    assert third.state == "done"
    assert [record.message for record in caplog.records] == ["a part of a run failed"]


def test_what_does_not_fit_beside_the_last_result_waits_for_it(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is looked at with the result before still being written; then again, once it is."""
    from pipelines.batch import work as module

    seen: list[list[str]] = []

    def check(found: module.Prepared) -> None:
        seen.append(sorted(contents(out)))
        if found.job.name == "b.png" and len(seen) == 2:
            raise OutOfMemory("Not beside the other.")

    monkeypatch.setattr(module, "_check_plan", check)
    assert {outcome.state for outcome in upscale(folder)} == {"done"}
    assert len(seen) == 4 and seen[2] == ["a.png"]


def test_a_run_that_is_closed_keeps_what_is_done_and_goes_on_there(folder: Path, out: Path) -> None:
    going = run(jobs_of(folder), DOUBLED, Journal(out))
    done = next(step for step in going if isinstance(step, FileStep) and step.outcome is not None)
    going.close()
    assert done.outcome is not None and done.outcome.job.name == "a.png" and (done.done, done.total) == (1, 3)
    left = contents(out)
    assert "a.png" in left
    assert [outcome.state for outcome in upscale(folder)] == [
        "skipped" if job.name in left else "done" for job in jobs_of(folder)
    ]
    assert not [path for path in out.rglob("*.tmp")]


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_whole

    def full(path: Path, data: bytes) -> None:
        raise CannotWrite(f"{path.name} cannot be written: no room is left.") from OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files, "write_whole", full)
    outcomes = upscale(folder)
    assert states(outcomes) == ["a.png failed"]
    assert outcomes[0].error == "a.png cannot be written: no room is left."
    assert contents(out) == {}
    monkeypatch.setattr(files, "write_whole", write)
    assert {outcome.state for outcome in upscale(folder)} == {"done"}


def test_an_image_of_the_batch_is_never_replaced(folder: Path) -> None:
    before = contents(folder)
    sources, _ = list_sources([folder], True, folder)
    outcomes = finish(run(plan_jobs(sources, folder, "", "png"), DOUBLED, Journal(folder), True))
    assert states(outcomes) == ["a.png failed", "b.png done", "sub/c.png failed"]
    assert outcomes[0].error == "a.png is itself an image to upscale: choose another folder, or a --suffix."
    assert before.items() <= contents(folder).items()


def test_what_is_wrong_with_every_image_ends_the_run_before_the_first(folder: Path, out: Path) -> None:
    with pytest.raises(BadSetting, match="Bicubic cannot use the setting seed"):
        upscale(folder, Recipe((Stage("bicubic", 2),), settings=Settings(seed=1)))
    with pytest.raises(WeightsUnavailable):
        upscale(folder, Recipe((Stage("edsr", 2),)))
    assert contents(out) == {}


def test_each_step_says_how_many_images_are_done_and_what_the_network_is_at(folder: Path, own_weights: Path) -> None:
    steps: list[Step] = []
    finish(run(jobs_of(folder), Recipe((Stage("espcn", 2),)), Journal(folder.parent / "out")), steps.append)
    assert all(isinstance(step, FileStep) and step.total == 3 for step in steps)
    assert [step.done for step in steps if isinstance(step, FileStep) and step.outcome] == [1, 2, 3]
    assert any(isinstance(step, FileStep) and step.within and "ESPCN x2" in step.within.note for step in steps)


def test_sizes_in_pixels_choose_the_stages_of_each_image(folder: Path, out: Path) -> None:
    """So that one image may need another scale than the one before it."""
    images.write(Picture(np.repeat(smooth(10, 10), 3, axis=1)[:, :15]), folder / "a.png")
    outcomes = upscale(folder, Recipe((), "bicubic", Size(width=60)))
    assert [outcome.details and outcome.details.scale for outcome in outcomes] == [4, 2, 2]
    assert [images.measure(outcome.job.path)[0] for outcome in outcomes] == [60, 60, 60]
