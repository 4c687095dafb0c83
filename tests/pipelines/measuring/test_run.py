"""The engine: rows are right, a failure is a row and not the end, and what is done is not done again."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge
from pipelines.errors import BadPicture
from pipelines.images import door as images
from pipelines.images.picture import Picture, to_uint8
from pipelines.measuring import fetching
from pipelines.measuring import run as benchmark
from pipelines.measuring.metrics.lpips import Lpips
from pipelines.measuring.protocol import shrink_original
from pipelines.measuring.rows import parse_row
from pipelines.measuring.run import (
    Judges,
    Plan,
    Row,
    Scored,
    Subject,
    as_scored,
    describe_passed_over,
    list_subjects,
    no_judges,
    resolve_contenders,
)
from pipelines.report import report
from pipelines.runs import Preview, Run, Step, finish
from pipelines.upscalers.loading import StageFiles, Upscaler, load
from pipelines.weights import fetch as store
from tests.conftest import smooth
from tests.support import painter
from tests.support.rows import with_scores

LEFT_OUT = "lpips is left out"
NO_JUDGES = no_judges(LEFT_OUT)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Subject]:
    """A small picture and a smaller one."""
    images.write(Picture(smooth(51, 67)), tmp_path / "one.png")
    images.write(Picture(smooth(40, 48)[::-1].copy()), tmp_path / "two.png")
    return list_subjects([tmp_path])[0]


def plan(*models: str, scale: int = 2, kernel: str = "bicubic") -> Plan:
    return Plan("round-trip", scale, kernel, resolve_contenders("round-trip", scale, models, []), repeats=1)


def rows_of(plan: Plan, pictures: list[Subject], done: tuple[Row, ...] = ()) -> tuple[list[Row], list[Scored]]:
    """The rows, and those of them that were measured."""
    seen: list[Scored] = []
    rows = finish(
        benchmark.run(plan, pictures, NO_JUDGES, done),
        lambda step: seen.append(step) if isinstance(step, Scored) else None,
    )
    return rows, seen


def test_scores_are_of_the_cropped_original(pictures: list[Subject], own_weights: Path) -> None:
    """Against scikit-image on arrays made step by step here."""
    rows, _ = rows_of(plan("bicubic", "espcn", scale=3, kernel="area"), pictures)
    assert [(row.image, row.model) for row in rows] == [
        ("one.png", "bicubic"), ("one.png", "espcn"), ("two.png", "bicubic"), ("two.png", "espcn"),
    ]  # fmt: skip
    for row in rows:
        picture = images.read(pictures[row.image == "two.png"].path)
        trial = finish(shrink_original(picture, 3, "area"))
        output = to_uint8(finish(enlarge(trial.low, [load(row.model, 3)])).picture.pixels)
        inner = (slice(3, -3), slice(3, -3))
        original = picture.pixels[: trial.reference.shape[0], : trial.reference.shape[1]]
        a, b = to_uint8(original)[inner], output[inner]
        assert row.scores["psnr"] == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-6)
        expected = structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2
        )
        assert row.scores["ssim"] == pytest.approx(expected, abs=1e-6)
        assert row.error is None and row.scores["lpips"] is None and LEFT_OUT in " ".join(row.notes)
        assert row.runs == 1 and row.seconds is not None and row.seconds > 0 and row.peak_mb is not None


def test_parameters_and_weights_are_told(pictures: list[Subject], own_weights: Path) -> None:
    bicubic, espcn = rows_of(plan("bicubic", "espcn"), pictures[:1])[0]
    assert (bicubic.params, bicubic.weights_bytes, bicubic.weights_sha256) == (0, 0, None)
    assert espcn.params == 21_284
    assert espcn.weights_bytes == (own_weights / "ESPCN_x2.pb").stat().st_size
    assert espcn.weights_sha256 == load("espcn", 2).weights_sha256[0]


def test_a_model_that_cannot_be_had_is_a_row(pictures: list[Subject]) -> None:
    rows, seen = rows_of(plan("espcn", "bicubic"), pictures)
    assert [row.error is None for row in rows] == [False, True, False, True]
    assert rows[0].error is not None and "ESPCN_x2.pb" in rows[0].error and rows[0].scores["psnr"] is None
    assert [step.done for step in seen] == [1, 2, 3, 4] and {step.total for step in seen} == {4}


def test_a_picture_that_cannot_be_read_is_a_row_for_each_model(tmp_path: Path, pictures: list[Subject]) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    images.write(Picture(smooth(1, 9)), tmp_path / "tiny.png")
    found, _ = list_subjects([tmp_path])
    rows, _ = rows_of(plan("nearest", "bicubic"), found)
    errors = {row.image: row.error for row in rows}
    assert errors["one.png"] is None and errors["two.png"] is None
    assert errors["no.png"] is not None and "no.png" in errors["no.png"]
    assert errors["tiny.png"] is not None and "too small to be shrunk by 2" in errors["tiny.png"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "not enough memory"), (RuntimeError("odd\nthing"), "RuntimeError: odd thing")],
)
def test_whatever_a_model_raises_is_a_row(
    error: Exception, words: str, pictures: list[Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_fetched = benchmark.load_fetched

    def failing(fetched: Sequence[StageFiles]) -> Run[list[Upscaler]]:
        if [each.stage for each in fetched] == [("nearest", 2)]:
            raise error
        return (yield from load_fetched(fetched))

    monkeypatch.setattr(benchmark, "load_fetched", failing)
    first, second = rows_of(plan("nearest", "bicubic"), pictures[:1])[0]
    assert first.error is not None and words in first.error and "\n" not in first.error
    assert second.error is None


def test_an_output_of_another_size_is_an_error(pictures: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    def larger(low: Picture, stages: list[object], settings: Settings) -> Run[object]:
        done = yield from enlarge(low, [load("bicubic", 3)])
        return done

    monkeypatch.setattr(benchmark, "enlarge", larger)
    (row,) = rows_of(plan("bicubic"), pictures[:1])[0]
    assert row.error is not None and "(50, 66, 3)" in row.error and "(75, 99, 3)" in row.error


def test_a_long_run_is_timed_once_and_marked(pictures: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "LONG_RUN", 0.0)
    (row,) = rows_of(replace(plan("bicubic"), repeats=5), pictures[:1])[0]
    assert row.runs == 1 and "timed once, without a warm-up" in row.notes


def test_a_chain_keeps_its_stages(pictures: list[Subject], own_weights: Path) -> None:
    chain = [("espcn", 4), ("bicubic", 2)]
    chained = Plan("chained-8x", 8, "bicubic", resolve_contenders("chained-8x", 8, [], [chain]), repeats=1)
    rows, seen = rows_of(chained, pictures[:1])
    assert [row.model for row in rows] == ["bicubic", "espcn:4,bicubic:2"]
    assert rows[1].stages == ("espcn:4", "bicubic:2") and rows[0].stages is None
    assert rows[1].stage_seconds is not None and rows[1].seconds is not None
    assert len(rows[1].stage_seconds) == 2 and sum(rows[1].stage_seconds) <= rows[1].seconds
    assert seen[1].enlarged is not None and seen[1].trial is not None
    first, second = seen[1].enlarged.stages
    assert first.pixels.shape == (24, 32, 3) and second.pixels.shape == (48, 64, 3)
    assert seen[1].trial.reference.shape == (48, 64, 3)


def test_between_two_stages_nothing_is_rounded(pictures: list[Subject]) -> None:
    chain = [("bicubic", 4), ("bicubic", 2)]
    chained = Plan("chained-8x", 8, "bicubic", resolve_contenders("chained-8x", 8, [], [chain]), repeats=0)
    _, seen = rows_of(chained, pictures[:1])
    assert seen[1].enlarged is not None
    levels = seen[1].enlarged.stages[0].pixels * 255
    assert np.abs(levels - np.rint(levels)).max() > 0.1


def test_without_an_original_there_is_consistency_alone(pictures: list[Subject], own_weights: Path) -> None:
    own = Plan("no-original", 3, "bicubic", resolve_contenders("no-original", 3, ["bicubic", "espcn"], []), repeats=0)
    rows, seen = rows_of(own, pictures[:1])
    for row, step in zip(rows, seen, strict=True):
        assert (
            row.error is None
            and row.scores["psnr"] is None
            and row.scores["mse"] is None
            and row.scores["ssim"] is None
        )
        assert row.scores["consistency_psnr"] is not None and row.scores["consistency_psnr"] > 15
        assert any("no original is known" in note for note in row.notes)
        assert step.output is not None and step.output.shape == (153, 201, 3), "nothing is cropped"


def test_weights_that_were_asked_for_are_not_asked_again(pictures: list[Subject]) -> None:
    own = plan("espcn", "bicubic")
    weights = {
        own.contenders[0]: benchmark.Fetched("", "it is said so", ()),
        own.contenders[1]: benchmark.Fetched("", None, (StageFiles(Stage("bicubic", 2)),)),
    }
    rows = finish(benchmark.run(own, pictures[:1], NO_JUDGES, weights=weights))
    assert [row.error for row in rows] == ["it is said so", None]


def test_what_is_done_is_taken_over(pictures: list[Subject], own_weights: Path) -> None:
    once, _ = rows_of(plan("bicubic", "espcn"), pictures)
    marked = tuple(replace(row, seconds=123.0) for row in once[:3])
    again, seen = rows_of(plan("bicubic", "espcn"), pictures, marked)
    assert [row.seconds == 123.0 for row in again] == [True, True, True, False]
    assert [(step.row.image, step.row.model) for step in seen] == [("two.png", "espcn")]


def test_failed_rows_and_rows_of_other_weights_are_done_again(
    pictures: list[Subject], own_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    once, _ = rows_of(plan("bicubic", "espcn"), pictures[:1])
    failed = with_scores(replace(once[0], error="no"), psnr=None)
    other = replace(once[1], weights_sha256="00")
    again, seen = rows_of(plan("bicubic", "espcn"), pictures[:1], (failed, other))
    assert len(seen) == 2 and [row.error for row in again] == [None, None]
    assert again[1].weights_sha256 == once[1].weights_sha256


def test_rows_without_lpips_are_done_again_once_it_is_here(pictures: list[Subject]) -> None:
    once, _ = rows_of(plan("bicubic"), pictures[:1])
    network = Lpips(None, ("a", "b"))  # type: ignore[arg-type]  # it is not run: that row is the error
    judges = Judges({"lpips": network})
    rows = finish(benchmark.run(plan("bicubic"), pictures[:1], judges, once))
    assert rows != once
    small = replace(once[0], notes=("lpips needs 31 pixels a side; here are 20",))
    assert finish(benchmark.run(plan("bicubic"), pictures[:1], judges, [small])) == [small]


def test_each_file_of_weights_is_asked_for_once(pictures: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    fetch = fetching.fetch
    monkeypatch.setattr(fetching, "fetch", lambda stages, settings: asked.extend(stages) or fetch(stages, settings))
    chains = [[(first, 2), (second, 2)] for first in ("espcn", "fsrcnn") for second in ("espcn", "fsrcnn")]
    fetched = finish(benchmark.fetch_weights(resolve_contenders("round-trip", 4, [], chains)))
    assert len(asked) == 2 and len(fetched) == 4 and all(each.failure for each in fetched.values())


def test_files_are_looked_for_once_however_many_pictures_there_are(
    pictures: list[Subject], own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[object] = []
    find = store.find
    monkeypatch.setattr(store, "find", lambda needed: looked_for.append(needed) or find(needed))
    rows, _ = rows_of(plan("espcn", "bicubic"), pictures)
    assert len(pictures) > 1 and len(looked_for) == 1 and not any(row.error for row in rows if row.model == "espcn")


def test_closing_ends_it(pictures: list[Subject]) -> None:
    run = benchmark.run(plan("nearest", "bicubic"), pictures, NO_JUDGES)
    assert isinstance(next(step for step in run if isinstance(step, Scored)), Scored)
    run.close()
    assert list(run) == []


def test_rows_survive_being_written(pictures: list[Subject], own_weights: Path) -> None:
    for row in rows_of(plan("bicubic", "espcn"), pictures[:1])[0]:
        assert parse_row(row.as_dict()) == row


def test_grey_and_transparent_pictures_are_scored(tmp_path: Path) -> None:
    grey = np.broadcast_to(smooth(40, 40)[..., :1], (40, 40, 3))
    alpha = np.zeros((40, 40), np.float32)
    alpha[10:30, 10:30] = 1
    images.write(Picture(grey, grey=True), tmp_path / "grey.png")
    images.write(Picture(smooth(40, 40), alpha), tmp_path / "shaped.png")
    first, second = rows_of(plan("bicubic"), list_subjects([tmp_path])[0])[0]
    assert (
        first.error is None
        and first.scores["psnr"] == first.scores["psnr_y"]
        and first.scores["ssim"] == first.scores["ssim_y"]
    )
    assert second.error is None and "transparency: scored over white" in second.notes


# --- pictures and folders -----------------------------------------------------------------------------------------


def test_a_folder_stands_for_its_pictures(tmp_path: Path, pictures: list[Subject]) -> None:
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "within").mkdir()
    images.write(Picture(smooth(8, 8)), tmp_path / "within" / "deep.png")
    found, others = list_subjects([tmp_path, tmp_path / "one.png"])
    assert [each.name for each in found] == ["one.png", "two.png"]
    reasons = {each.path.name: each.reason for each in others}
    assert reasons == {"gone.png": "not files", "notes.txt": "not named as images are", "within": "not files"}
    assert describe_passed_over(others) == [
        "Left out, not files: gone.png and 1 other.",
        "Left out, not named as images are: notes.txt.",
    ]


def test_a_folder_from_a_mac_or_from_windows(tmp_path: Path, pictures: list[Subject]) -> None:
    for name in ("._one.png", ".two.png", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7 of a Mac")
    os.mkfifo(tmp_path / "pipe.png")
    for number, suffix in enumerate(("JFIF", "jpe", "dib", "apng")):
        images.write(Picture(smooth(8 + number, 8)), tmp_path / "x.png")
        (tmp_path / "x.png").rename(tmp_path / f"x.{suffix}")
    found, others = list_subjects([tmp_path])
    assert [each.name for each in found] == ["one.png", "two.png", "x.JFIF", "x.apng", "x.dib", "x.jpe"]
    assert {each.path.name: each.reason for each in others} == {
        "._one.png": "hidden",
        ".two.png": "hidden",
        "Thumbs.db": "not named as images are",
        "pipe.png": "not files",
    }


def test_an_image_under_several_names_counts_once_and_that_is_told(tmp_path: Path, pictures: list[Subject]) -> None:
    """Else three copies agree with each other, and two models pass for being told apart."""
    shutil.copy(tmp_path / "one.png", tmp_path / "one (copy).png")
    shutil.copy(tmp_path / "one.png", tmp_path / "same.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "two.png")
    found, others = list_subjects([tmp_path, tmp_path / "one.png"])
    assert [(each.name, each.copies) for each in found] == [
        ("link.png", ()),
        ("one (copy).png", ("one.png", "same.png")),
    ]
    assert describe_passed_over(others) == [
        "one.png is the same image as one (copy).png: it is counted once.",
        "same.png is the same image as one (copy).png: it is counted once.",
    ]
    rows, _ = rows_of(plan("nearest"), found)
    assert [row.image for row in rows] == ["link.png", "one (copy).png"]
    assert "counted once: one.png, same.png has the same content" in rows[1].notes


def test_the_same_name_with_other_content_is_another_picture(tmp_path: Path, pictures: list[Subject]) -> None:
    (tmp_path / "within").mkdir()
    images.write(Picture(smooth(16, 16)), tmp_path / "within" / "one.png")
    found, _ = list_subjects([tmp_path, tmp_path / "within"])
    assert [each.name for each in found] == ["one.png", "two.png", "one.png"]
    assert len(rows_of(plan("nearest"), found)[0]) == 3


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    (row,) = rows_of(plan("nearest"), list_subjects([tmp_path / "notes.txt"])[0])[0]
    assert row.error is not None and "notes.txt" in row.error


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match="does not exist"):
        list_subjects([tmp_path / "none.png"])


# --- the numbers of the literature --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "figures", "within"),
    [("Set5", {2: 33.66, 3: 30.39, 4: 28.42}, 0.03), ("Set14", {2: 30.24, 3: 27.55, 4: 26.00}, 0.05)],
)
def test_bicubic_reaches_the_literature(folder: str, figures: dict[int, float], within: float, assets: Path) -> None:
    """Mean PSNR of luma of the antialiased round trip, by our own shrinking (Timofte et al. 2014, table 2)."""
    found, _ = list_subjects([assets / "images" / folder / "HR"])
    for scale, figure in figures.items():
        rows, _ = rows_of(replace(plan("bicubic", scale=scale), repeats=0), found)
        assert np.mean([row.scores["psnr_y"] for row in rows]) == pytest.approx(figure, abs=within)


@pytest.mark.parametrize(
    ("model", "figures"),
    [
        ("bicubic", {2: 33.67, 3: 30.40, 4: 28.43, 8: 24.40}),
        ("espcn", {2: 34.77, 3: 30.53, 4: 28.38}),
        ("fsrcnn", {2: 34.87, 3: 30.60, 4: 28.41}),
        ("lapsrn", {2: 34.48, 4: 28.75, 8: 24.43}),
        ("swift", {2: 37.41, 3: 33.54, 4: 31.51}),  # as it chooses
        ("srcnn", {2: 36.70, 3: 32.65, 4: 30.27}),
    ],
)
def test_models_reach_on_set5_what_is_known_of_them(
    model: str, figures: dict[int, float], assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean PSNR of luma, as measured from MATLAB's low-resolution files: ours are as good to 0.02 dB."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(assets / "weights" / "opencv"))
    found, _ = list_subjects([assets / "images" / "Set5" / "HR"])
    for scale, figure in figures.items():
        rows, _ = rows_of(replace(plan(model, scale=scale), repeats=0), found)
        assert np.mean([row.scores["psnr_y"] for row in rows]) == pytest.approx(figure, abs=0.02)


def test_our_low_resolution_pictures_are_as_good_as_matlabs(assets: Path) -> None:
    """Bicubic from MATLAB's low-resolution files of Set5 and Set14 and from ours: 0.02 dB in the mean."""
    for folder in ("Set5", "Set14"):
        for scale in (2, 3, 4, 8):
            ours, theirs = [], []
            for path in sorted((assets / "images" / folder / "HR").glob("*.png")):
                trial = finish(shrink_original(images.read(path), scale, "bicubic"))
                (low,) = (assets / "images" / folder / "LR_bicubic" / f"X{scale}").glob(f"{path.stem}*.png")
                matlab = replace(images.read(low), grey=trial.low.grey)  # bridge is greyscale, its small files are not
                for source, scores in ((trial.low, ours), (matlab, theirs)):
                    output = finish(enlarge(source, [load("bicubic", scale)])).picture
                    a = trial.reference[scale:-scale, scale:-scale]
                    b = as_scored(output)[scale:-scale, scale:-scale]
                    scores.append(peak_signal_noise_ratio(a, b))
            assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.02)


# --- diffusion models ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a chain"])
def test_a_diffusion_model_has_one_seed_and_no_words_which_its_row_tells(
    alone: bool, pictures: list[Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In JSON, CSV and HTML alike; the other models' rows have no settings to tell."""
    painter.use(monkeypatch)
    found = resolve_contenders("round-trip", 4, ["painted", "bicubic"], [])
    if not alone:
        found = resolve_contenders("chained-8x", 8, [], [[("painted", 4), ("bicubic", 2)]])
    compared = Plan("round-trip" if alone else "chained-8x", found[0].scale, "bicubic", found, repeats=1)
    rows, _ = rows_of(compared, pictures[:1])
    (told,) = (row for row in rows if "painted" in row.model)
    (plain,) = (row for row in rows if "painted" not in row.model)
    assert told.error is None and told.scores["psnr"] is not None
    note = "settings: seed 0, steps 20" if alone else "settings: painted x4: seed 0, steps 20"
    assert note in told.notes and f"with {Settings(seed=0, prompt='', negative_prompt='')}" in told.notes
    assert not any("settings" in each or "seed" in each for each in plain.notes)
    head = report.start_report(compared, ["one.png"], "", NO_JUDGES)
    for write in (report.to_json, report.to_csv, report.to_html):
        assert note in write(replace(head, rows=tuple(rows))).decode()


def test_a_benchmark_has_no_previews(pictures: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    """The model makes some: of one row among many they are shown nowhere."""
    painter.use(monkeypatch)
    steps: list[Step] = []
    finish(benchmark.run(plan("painted", scale=4), pictures, NO_JUDGES), steps.append)
    assert not any(isinstance(step, Preview) for step in steps)
    name = pictures[0].name
    assert any(step.note.startswith(f"{name}: Painted x4, step 3 of 20") for step in steps), "its name, and once"


def test_a_setting_goes_to_who_takes_it() -> None:
    by = {
        each.key: each.settings.given()
        for each in resolve_contenders("round-trip", 4, ["sd-x4", "ldm-x4", "swift"], [])
    }
    assert by == {"sd-x4": {"seed", "prompt", "negative_prompt"}, "ldm-x4": {"seed"}, "swift": set()}
