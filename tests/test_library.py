"""The public API: what it gives is what the command line gives, its errors are the project's own, and it is light."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import typing
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import pipelines
from pipelines.catalog.settings import Settings
from pipelines.cli.main import main
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import Step
from tests.conftest import smooth

ROOT = Path(__file__).parents[1]
FUNCTIONS = ("upscale", "benchmark", "read", "write", "models")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    images.write(Picture(smooth(24, 32)), path)
    return path


def test_importing_it_loads_no_other_library() -> None:
    code = "import sys; before = set(sys.modules); import pipelines; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = done.stdout.split()
    assert {name for name in loaded if name.startswith("pipelines")} == {"pipelines", "pipelines.errors"}
    assert {name.split(".")[0] for name in loaded} <= {"pipelines", *sys.stdlib_module_names}


def test_every_name_of_the_public_api_is_there() -> None:
    for name in pipelines.__all__:
        assert getattr(pipelines, name) is not None
    assert set(pipelines.__all__) <= set(dir(pipelines))
    with pytest.raises(AttributeError, match="has no attribute 'enlarge_all'"):
        _ = pipelines.enlarge_all


def test_all_errors_are_public() -> None:
    from pipelines import errors

    own = {name for name, each in vars(errors).items() if isinstance(each, type)} - {"TrainingStopped"}
    assert own <= set(pipelines.__all__)


def test_no_module_takes_the_name_of_a_function(small: Path, tmp_path: Path) -> None:
    """Python would replace the function by the module as soon as that is imported."""
    for _, name, _ in pkgutil.walk_packages(pipelines.__path__, "pipelines."):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    for _ in range(2):
        picture = pipelines.upscale(small, "bicubic", 2).picture
        pipelines.write(picture, tmp_path / "out.png")
        assert pipelines.read(tmp_path / "out.png").pixels.shape == (48, 64, 3)
        assert pipelines.models()[0].key == "nearest"
        assert pipelines.benchmark(small, ["bicubic"], 2, repeats=0).complete
    assert all(inspect.isfunction(getattr(pipelines, name)) for name in FUNCTIONS)


def test_every_setting_can_be_chosen() -> None:
    taken = set(inspect.signature(pipelines.upscale).parameters)
    assert {each.name for each in fields(Settings)} <= taken
    assert taken - {each.name for each in fields(Settings)} == {
        *("image", "model", "scale", "size", "weights", "output", "quality", "overwrite", "on_step")
    }


def test_what_is_typed_can_be_looked_up() -> None:
    assert (Path(pipelines.__file__).with_name("py.typed")).exists()
    for name in FUNCTIONS:
        assert "return" in typing.get_type_hints(getattr(pipelines, name), localns=vars(typing) | hints())


def hints() -> dict[str, object]:
    """What the annotations name."""
    import os
    from collections.abc import Callable, Sequence

    public = {name: getattr(pipelines, name) for name in pipelines.__all__}
    return {"os": os, "Callable": Callable, "Sequence": Sequence, **public}


def test_the_same_bytes_as_the_command_line(small: Path, tmp_path: Path, own_weights: Path) -> None:
    """Of a path, a path as text, its bytes, and the picture read before."""
    arguments = ["upscale", small, tmp_path / "expected.png", "--model", "espcn", "--scale", 3, "--tile", 16]
    assert main([str(each) for each in arguments]) == 0
    expected = (tmp_path / "expected.png").read_bytes()
    for image in (small, str(small), small.read_bytes(), pipelines.read(small)):
        pipelines.write(pipelines.upscale(image, "espcn", 3, tile=16).picture, str(tmp_path / "out.png"))
        assert (tmp_path / "out.png").read_bytes() == expected


def test_sizes_as_the_command_line_has_them(small: Path, tmp_path: Path) -> None:
    """Written alike, and as the same bytes; of a model that has no such scale, and by way of two."""
    for given, size, pixels in (
        (["--scale", "x2.5"], "x2.5", (60, 80, 3)),
        (["--width", "100"], "100x", (75, 100, 3)),
        (["--height", "150"], "x150", (150, 200, 3)),
        (["--width", "100", "--height", "60"], "100x60", (60, 80, 3)),
    ):
        out = tmp_path / "expected.png"
        assert main(["upscale", str(small), str(out), "--model", "bicubic", *given]) == 0
        done = pipelines.upscale(small, "bicubic", size=size)
        assert done.picture.pixels.shape == pixels
        pipelines.write(done.picture, tmp_path / "out.png")
        assert (tmp_path / "out.png").read_bytes() == out.read_bytes()
    assert pipelines.upscale(small, "bicubic", 2.5).details.size == (80, 60)
    assert pipelines.upscale(small, "bicubic", "x2").details.scale == 2


def test_a_quality_is_that_of_the_file(small: Path, tmp_path: Path) -> None:
    done = pipelines.upscale(small, "bicubic", 2, output=tmp_path / "out.jpg", quality=20)
    pipelines.write(done.picture, tmp_path / "expected.jpg", quality=20)
    assert (tmp_path / "out.jpg").read_bytes() == (tmp_path / "expected.jpg").read_bytes()
    assert (tmp_path / "out.jpg").read_bytes() != images.encode(done.picture, "jpeg")


def test_a_file_of_ones_own(small: Path, own_weights: Path, tmp_path: Path) -> None:
    own = (own_weights / "ESPCN_x2.pb").rename(tmp_path / "mine.pb")
    done = pipelines.upscale(small, "fsrcnn", 2, weights=str(own))
    assert done.picture.pixels.shape == (48, 64, 3) and done.details.model == "fsrcnn"


def test_steps_are_seen_and_can_end_it(small: Path) -> None:
    seen: list[Step] = []
    pipelines.upscale(small, "bicubic", 2, on_step=seen.append)
    assert seen and all(isinstance(step, pipelines.Step) for step in seen)

    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipelines.upscale(small, "bicubic", 2, on_step=stop)


def test_the_same_scores_as_the_command_line(small: Path, tmp_path: Path, own_weights: Path) -> None:
    out, stages = tmp_path / "report.json", "espcn:4,bicubic:2"
    images.write(Picture(smooth(160, 176)), small)
    given = ["benchmark", small, "--scale", 8, "--models", "lanczos", "--stages", stages, "--repeats", 0, "--json", out]
    assert main([*map(str, given), "--kernel", "area"]) == 0
    expected = json.loads(out.read_bytes())
    report = pipelines.benchmark([str(small)], ["lanczos"], 8, stages=[stages], kernel="area", repeats=0)
    assert isinstance(report, pipelines.Report) and report.complete and report.command == expected["command"]
    timed = {"seconds", "stage_seconds", "peak_mb"}
    for row, other in zip(report.rows, expected["rows"], strict=True):
        assert isinstance(row, pipelines.Row)
        assert {k: v for k, v in row.as_dict().items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }


def test_what_needs_no_download_takes_part_unless_somebody_is_named(small: Path, own_weights: Path) -> None:
    def who(**named: str) -> list[str]:
        return [row.model for row in pipelines.benchmark(small, scale=2, repeats=0, **named).rows]

    everyone = [m.key for m in pipelines.models() if 2 in m.scales and not m.diffusion]
    ready = [key for key in everyone if key in ("nearest", "bilinear", "bicubic", "lanczos", "swift", "srcnn", "espcn")]
    assert who() == ready and len(ready) == 7
    assert who(models="all") == everyone
    assert who(models="bicubic") == ["bicubic"]
    assert who(stages="bicubic:2") == ["bicubic"]


def test_the_protocol_about_chains_as_the_command_line_has_it(small: Path, tmp_path: Path, own_weights: Path) -> None:
    """By its own scale, and with the models that have it beside the chain."""
    out = tmp_path / "report.json"
    given = ["--protocol", "chained-8x", "--stages", "espcn:4,bicubic:2", "--repeats", "0", "--json", str(out)]
    assert main(["benchmark", str(small), *given]) == 0
    expected = json.loads(out.read_bytes())
    report = pipelines.benchmark(small, protocol="chained-8x", stages="espcn:4,bicubic:2", repeats=0)
    assert (report.scale, report.command) == (8, expected["command"])
    assert [row.model for row in report.rows] == [row["model"] for row in expected["rows"]]


def test_numbers_of_numpy_are_as_good_as_any(small: Path) -> None:
    from pipelines.report.report import to_json

    report = pipelines.benchmark(small, "bicubic", np.int64(2), repeats=np.int64(0))  # type: ignore[arg-type]
    assert json.loads(to_json(report))["scale"] == 2


def test_a_folder_stands_for_its_pictures(small: Path) -> None:
    report = pipelines.benchmark(small.parent, "nearest", 2, repeats=0)
    assert [row.image for row in report.rows] == ["small.png"]


WRONG = {
    "no such file": (lambda: pipelines.upscale("no.png"), "BadPicture", "no.png does not exist."),
    "not an image": (lambda: pipelines.read(__file__), "BadPicture", "test_library.py is not an image"),
    "nothing": (lambda: pipelines.upscale(b""), "BadPicture", "The image is empty."),
    "an array": (
        lambda: pipelines.upscale(np.zeros((4, 4, 3), np.float32)),  # type: ignore[arg-type]
        "BadPicture",
        "An image is a path, the bytes of a file, or a Picture, not ndarray.",
    ),
    "a Picture of bytes": (
        lambda: pipelines.upscale(Picture(np.zeros((4, 4, 3), np.uint8))),  # type: ignore[arg-type]
        "BadPicture",
        "The pixels of a Picture are an array of (height, width, 3) float32 from 0 to 1.",
    ),
    "alpha of another size": (
        lambda: pipelines.upscale(Picture(smooth(4, 4), alpha=smooth(3, 3)[..., 0])),
        "BadPicture",
        "The alpha of a Picture is an array of (height, width) float32 from 0 to 1.",
    ),
    "no such model": (lambda: pipelines.upscale(small_bytes(), "swiftt"), "BadSetting", "did you mean swift?"),
    "no such scale": (
        lambda: pipelines.upscale(small_bytes(), scale=17),
        "BadSetting",
        "The scale is a number from 1.5 to 16, not '17'.",
    ),
    "a scale beyond the model": (
        lambda: pipelines.upscale(small_bytes(), "sd-x2", 5),
        "BadSetting",
        "Stable Diffusion x2 reaches at most x4.",
    ),
    "a size that is none": (
        lambda: pipelines.upscale(small_bytes(), size="large"),
        "BadSetting",
        "There is no size 'large'",
    ),
    "a quality of no file": (
        lambda: pipelines.upscale(small_bytes(), quality=80),
        "BadSetting",
        "A quality needs a file: give an output too.",
    ),
    "a quality of PNG": (
        lambda: pipelines.write(Picture(smooth(4, 4)), "a.png", quality=80),
        "BadSetting",
        "PNG is lossless and has no quality",
    ),
    "a size below the image's": (
        lambda: pipelines.upscale(small_bytes(), size="7x"),
        "BadSetting",
        "A width of 7 pixels is smaller than the image (8 × 8). A factor is from 1.5 to 16.",
    ),
    "a setting of others": (lambda: pipelines.upscale(small_bytes(), seed=1), "BadSetting", "Swift cannot use"),
    "weights for none": (
        lambda: pipelines.upscale(small_bytes(), "bicubic", weights="a.pb"),
        "BadSetting",
        "Bicubic needs no weights.",
    ),
    "weights not here": (lambda: pipelines.upscale(small_bytes(), "edsr"), "WeightsUnavailable", "EDSR_x4.pb (40 MB)"),
    "a format for none": (lambda: pipelines.write(Picture(smooth(4, 4)), "a.gif"), "BadSetting", "must end in .png"),
    "no such folder": (
        lambda: pipelines.write(Picture(smooth(4, 4)), "no/a.png"),
        "CannotWrite",
        "a.png cannot be written: the folder does not exist.",
    ),
    "nothing to measure on": (lambda: pipelines.benchmark([]), "BadPicture", "There is no image to measure"),
    "no such protocol": (
        lambda: pipelines.benchmark([__file__], protocol="there and back"),
        "BadSetting",
        "There is no protocol 'there and back'",
    ),
    "no such kernel": (lambda: pipelines.benchmark([__file__], kernel="box"), "BadSetting", "There is no kernel 'box'"),
    "fewer than no runs": (
        lambda: pipelines.benchmark([__file__], repeats=-1),
        "BadSetting",
        "The number of timed runs is from 0 to 1000, not -1.",
    ),
    "the scale of another protocol": (
        lambda: pipelines.benchmark([__file__], scale=4, protocol="chained-8x", stages="bicubic:4,bicubic:2"),
        "BadSetting",
        "The chained-8x protocol is by 8, not by 4.",
    ),
    "no such chain": (lambda: pipelines.benchmark([__file__], stages="a:4"), "BadSetting", "There is no model 'a'"),
}


def small_bytes() -> bytes:
    return images.encode(Picture(smooth(8, 8)))


@pytest.mark.parametrize("what", WRONG)
def test_errors_are_the_projects_own_and_one_sentence(what: str) -> None:
    call, error, sentence = WRONG[what]
    with pytest.raises(getattr(pipelines, error)) as raised:
        call()
    told = str(raised.value)
    assert type(raised.value).__name__ == error and sentence in told and "\n" not in told


def test_a_picture_beyond_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_MAX_OUTPUT_MEGAPIXELS", "0.001")
    with pytest.raises(
        pipelines.BadPicture, match=r"^The image at x8 would be 64 by 64 pixels, 0\.004 megapixels: the limit"
    ):
        pipelines.upscale(Picture(smooth(8, 8)), "bicubic", 8)


def test_what_a_row_says_is_not_printed_as_well(small: Path, tmp_path: Path) -> None:
    """A failure that nobody foresaw is logged with its traceback, for those who listen to the logger."""
    code = (
        "import logging, sys, pipelines\nfrom pipelines.upscalers import classical\n"
        "classical.build = lambda *given: 1 / 0\n"
        "(row,) = pipelines.benchmark(sys.argv[1], 'bicubic', 2).rows\nprint(row.error)"
    )
    done = subprocess.run([sys.executable, "-c", code, small], capture_output=True, text=True, cwd=ROOT)
    sentence = "It failed unexpectedly: ZeroDivisionError: division by zero\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, sentence, "")


def test_what_is_written_is_known_before_the_work(small: Path, tmp_path: Path) -> None:
    """EDSR is not here: it would be asked for only once the file is known to be writable."""
    tall = Picture(np.zeros((4100, 8, 3), np.float32))
    for image, output, error, sentence in (
        (tall, "out.webp", pipelines.BadSetting, "WebP holds at most 16383 pixels a side"),
        (small, "out.gif", pipelines.BadSetting, "its name must end in"),
        (small, "none/out.png", pipelines.CannotWrite, "the folder does not exist"),
        (str(small), "small.png", pipelines.CannotWrite, "it is the input image"),
    ):
        with pytest.raises(error, match=sentence):
            pipelines.upscale(image, "edsr", 4, output=tmp_path / output)
    done = pipelines.upscale(small, "bicubic", 2, output=tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == images.encode(done.picture)
    pipelines.upscale(small, "bicubic", 2, output=small, overwrite=True)
    assert small.read_bytes() == (tmp_path / "out.png").read_bytes()


def test_what_a_folder_has_beside_images_is_told(tmp_path: Path) -> None:
    """By the steps, as the command line says it: hidden files, the "._" files of Macs, and what is named otherwise."""
    pixels = smooth(16, 16)
    pipelines.write(Picture(pixels), tmp_path / "one.png")
    for name in ("._one.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "copy.png").write_bytes((tmp_path / "one.png").read_bytes())
    told: list[str] = []
    report = pipelines.benchmark(
        [tmp_path], models=["bicubic"], scale=2, repeats=0, on_step=lambda step: told.append(step.note)
    )
    assert [row.image for row in report.rows] == ["copy.png"]
    assert told[:3] == [
        "one.png is the same image as copy.png: it is counted once.",
        "Left out, hidden: ._one.png and 1 other.",
        "Left out, not named as images are: notes.txt.",
    ]
