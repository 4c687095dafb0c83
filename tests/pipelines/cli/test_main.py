"""The command line: right files, right exit codes, one line for whatever goes wrong, and nothing half-written."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings, Stage
from pipelines.cli.main import main
from pipelines.cli.weights import list_files, list_keys
from pipelines.enlarge import enlarge
from pipelines.errors import UpscaleError
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from tests.conftest import smooth
from tests.support.hub import use

ROOT = Path(__file__).parents[3]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    images.write(Picture(smooth(20, 30)), path)
    return path


def run(*arguments: object) -> int:
    """The exit code, also where argparse ends the program itself."""
    try:
        return main([str(each) for each in arguments])
    except SystemExit as end:
        return int(end.code or 0)


def test_upscale_gives_the_bytes_the_core_gives(small: Path, tmp_path: Path, own_weights: Path) -> None:
    out = tmp_path / "out.png"
    assert run("upscale", small, out, "--model", "espcn", "--scale", 3) == 0
    done = finish(enlarge(images.read(small, 3), [load("espcn", 3)]))
    assert out.read_bytes() == images.encode(done.picture)


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_every_output_format(suffix: str, small: Path, tmp_path: Path) -> None:
    assert run("upscale", small, tmp_path / f"out.{suffix}", "--model", "lanczos", "--scale", 2) == 0
    assert images.read(tmp_path / f"out.{suffix}").pixels.shape == (40, 60, 3)


def test_chain_multiplies(small: Path, tmp_path: Path, own_weights: Path) -> None:
    assert run("chain", small, tmp_path / "out.png", "--stages", "espcn:4,bicubic:2") == 0
    assert images.read(tmp_path / "out.png").pixels.shape == (160, 240, 3)


def test_both_commands_enlarge_as_the_library_does(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By `enlarge_by`, which checks, downloads, loads and runs."""
    given: list[object] = []

    def refuse(picture: Picture, *rest: object) -> None:
        given.append(rest)
        raise UpscaleError("Not today.")

    monkeypatch.setattr("pipelines.enlarge.enlarge_by", refuse)
    out, own = tmp_path / "out.png", tmp_path / "own.pb"
    assert run("upscale", small, out, "--model", "espcn", "--scale", 2, "--tile", 32, "--weights", own) == 1
    assert run("chain", small, out, "--stages", "bicubic:4,nearest:2") == 1
    assert capsys.readouterr().err == "Not today.\n" * 2
    chain = (Stage("bicubic", 4), Stage("nearest", 2))
    one = (Stage("espcn", 2),)
    assert given == [(one, Settings(tile=32), own, (60, 40)), (chain, Settings(), None, None)]


def test_weights_of_ones_own(small: Path, tmp_path: Path, own_weights: Path) -> None:
    own = (own_weights / "ESPCN_x2.pb").rename(tmp_path / "mine.pb")
    assert run("upscale", small, tmp_path / "a.png", "--model", "fsrcnn", "--scale", 2, "--weights", own) == 0
    assert run("upscale", small, tmp_path / "b.png", "--model", "espcn", "--scale", 3, "--weights", own_weights) == 0


def test_settings_are_told(small: Path, tmp_path: Path, own_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("upscale", small, tmp_path / "out.png", "--model", "espcn", "--scale", 2, "--tile", 64) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  tile 64"]


def test_a_tile_out_of_range_is_told_before_gigabytes_are_asked_for(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("upscale", small, tmp_path / "out.png", "--model", "sd-x4", "--scale", 4, "--tile", 8) == 1
    assert capsys.readouterr().err == "A tile for Stable Diffusion x4 has 32 to 512 pixels a side, not 8.\n"


def test_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [catalog.as_dict(model) for model in catalog.MODELS]


def test_models_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [m.key for m in catalog.MODELS]


def test_weights_list_says_what_is_where(capsys: pytest.CaptureFixture[str], own_weights: Path) -> None:
    assert run("weights", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    keys = (*(row.key for row in catalog.MODELS), *catalog.METRIC_FILES)
    labels = [label for key in keys for label in catalog.list_weights(key)]
    assert [re.split("  +", line)[0].strip() for line in lines] == labels
    assert len({line.index(" MB") for line in lines}) == 1, "the columns stand below each other"
    (espcn,) = (line for line in lines if line.startswith("espcn x2"))
    (edsr,) = (line for line in lines if line.startswith("edsr x2"))
    assert "your folder" in espcn and "sha256" in espcn
    assert "not here" in edsr and "git blob" in edsr and "40.00 MB" in edsr


def test_weights_pull_and_verify_report_each_file(capsys: pytest.CaptureFixture[str], own_weights: Path) -> None:
    assert run("weights", "pull", "espcn") == 0
    assert capsys.readouterr().out.count("ESPCN_x") == 3
    assert run("weights", "verify") == 1
    told = capsys.readouterr()
    assert told.out.count("differs") == 3, "the tiny networks are not the published files"
    others = [key for key in list_keys() if key not in ("espcn", "supir", "supir-f")]  # whose licence nobody accepted
    lacking = [needed for _, needed in list_files(others) if needed.sources]
    assert told.out.count("HF_HUB_OFFLINE is set, so nothing was asked") == len(lacking)
    assert told.out.count("failed: ") == len(lacking), "one line for all files that fail alike"
    assert told.err == f"{sum(len(needed.files) for needed in lacking)} files could not be verified.\n"


def test_weights_verify_succeeds_though_nobody_offers_a_model(
    capsys: pytest.CaptureFixture[str], own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a folder of one's own has it; then its files are hashed as any others."""
    row = catalog.find("ldm-x4")
    needed = catalog.weights_for(row, 4)
    assert needed is not None
    row = replace(row, scales={4: replace(needed, sources=())})
    monkeypatch.setattr(catalog, "MODELS", tuple(row if each.key == row.key else each for each in catalog.MODELS))
    monkeypatch.setattr("pipelines.cli.weights.list_keys", lambda: ["espcn", "ldm-x4"])
    assert run("weights", "verify") == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[3:] == [
        f"{'ldm-x4 x4':<27} unavailable: nobody offers these files, and UPSCALE_WEIGHTS_DIR does not have them"
    ]
    needed = catalog.find("ldm-x4").scales[4]
    assert needed is not None and told.err == ""
    for file in needed.files:
        path = own_weights / "ldm-x4" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"_class_name": needed.pipeline}))
    assert run("weights", "verify") == 0
    lines = capsys.readouterr().out.splitlines()[3:]
    assert [line.split()[2] for line in lines] == [file.path for file in needed.files]
    assert all("sha256" in line and "(your folder)" in line for line in lines)


def test_weights_verify_says_once_what_holds_for_all_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an address where nobody listens: each file has a refusal of its own, in the same words."""
    monkeypatch.setattr("pipelines.cli.weights.list_keys", lambda: ["sd-x4"])
    use("http://127.0.0.1:9", tmp_path / "home", monkeypatch)
    assert run("weights", "verify") == 1
    told = capsys.readouterr()
    assert told.out.count("is unreachable") == 3 and told.out.count("failed: ") == 1
    assert told.err == "13 files could not be verified.\n"


def test_weights_pull_says_the_size_before_it_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "pull", "lpips") == 1
    told = capsys.readouterr()
    assert told.out == f"downloading 244 MB in all\n{'lpips heads':<27} is not here: downloading 6 kB\n"
    assert "these need no" not in told.err, "no model stands in for a metric"
    assert told.err.startswith("alex.pth (6 kB) is unavailable: ")


def test_weights_pull_of_many_files_says_their_size_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "pull", "sd-x4") == 1
    told = capsys.readouterr()
    assert told.out == f"{'sd-x4 x4':<27} is not here: downloading 3.5 GB\n"
    assert told.err.startswith("Stable Diffusion x4 (3.5 GB) is unavailable: HF_HUB_OFFLINE is set")
    assert "these need no download: Swift" in told.err and told.err.count("\n") == 1


def test_weights_pull_announces_only_what_lacks(capsys: pytest.CaptureFixture[str], own_weights: Path) -> None:
    (own_weights / "alex.pth").write_bytes(b"heads")
    assert run("weights", "pull", "lpips") == 1
    heads, backbone = capsys.readouterr().out.splitlines()
    assert heads.startswith("lpips heads") and heads.endswith("alex.pth (your folder, differs)")
    assert backbone == f"{'lpips backbone':<27} is not here: downloading 244 MB"


WRONG_USAGE = [
    ["upscale"],
    ["upscale", "in.png", "out.png", "--model", "bicubik", "--scale", "2"],
    ["upscale", "in.png", "out.png", "--model", "bicubic", "--scale", "17"],
    ["upscale", "in.png", "out.png", "--model", "bicubic", "--width", "0"],
    ["upscale", "in.png", "out.jpg", "--quality", "0"],
    ["upscale", "in.png", "out.jpg", "--quality", "high"],
    ["upscale", "in.png", "out.png", "--model", "bicubic", "--height", "many"],
    ["upscale", "in.png", "out.png", "--model", "espcn", "--scale", "2", "--tile", "many"],
    ["upscale", "in.png", "out.png", "--model", "sd-x4", "--scale", "4", "--colour-fix", "red"],
    ["chain", "in.png", "out.png", "--stages", "bicubic"],
    ["chain", "in.png", "out.png", "--stages", "bicubic:two"],
    ["chain", "in.png", "out.png", "--stages", "bicubic:5"],
    ["chain", "in.png", "out.png", "--stages", ""],
    ["weights", "pull", "nothing"],
    ["enlarge"],
    [],
]


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"[A-Z].*\. See python -m pipelines.* --help\.\n", told) and "usage" not in told


def test_the_defaults_are_the_pages(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("upscale", small, tmp_path / "out.png") == 0
    assert "out.png: 120 x 80, swift x4, " in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a_quality_is_that_of_the_file(
    suffix: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"out.{suffix}"
    assert run("upscale", small, out, "--model", "bicubic", "--scale", "2", "--quality", "7") == 0
    expected = finish(enlarge(images.read(small, 2), [load("bicubic", 2)])).picture
    assert out.read_bytes() == images.encode(expected, images.format_of(out), quality=7)
    assert "written at quality 7." in capsys.readouterr().out


def test_colours_are_spelled_either_way(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("upscale", small, tmp_path / "out.png", "--model", "bicubic", "--color-fix", "adain") == 1
    assert capsys.readouterr().err == "Bicubic cannot use the setting colour fix.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["{small}", "{out}", "--model", "sd-x2", "--scale", "8"],
            "Stable Diffusion x2 reaches at most x4.",
        ),
        (
            ["{small}", "{out}", "--model", "espcn", "--width", "20"],
            "A width of 20 pixels is smaller than the image (30 ×",
        ),
        (["{small}", "{out}", "--scale", "2", "--width", "60"], "Give either --scale, or --width and --height."),
        (["{small}", "{out}", "--model", "bicubic", "--scale", "2", "--seed", "1"], "Bicubic cannot use the setting"),
        (
            ["{small}", "{out}", "--model", "bicubic", "--scale", "2", "--weights", "{text}"],
            "Bicubic needs no weights.",
        ),
        (["{small}", "{out}", "--model", "espcn", "--scale", "2", "--tile", "3"], "A tile for ESPCN has 16 to 4096"),
        (["{small}.gif", "{out}", "--model", "bicubic", "--scale", "2"], "small.png.gif does not exist."),
        (["{small}", "{out}.gif", "--model", "bicubic", "--scale", "2"], "out.png.gif cannot be written"),
        (["{small}", "{folder}/no/out.png", "--model", "bicubic", "--scale", "2"], "the folder does not exist"),
        (
            ["{folder}", "{out}", "--model", "bicubic", "--scale", "2"],
            "out.png must be a folder, because there are many",
        ),
        (["{small}", "{out}", "--quality", "80"], "PNG is lossless and has no quality: choose JPEG or WebP."),
        (["{text}", "{out}", "--model", "bicubic", "--scale", "2"], "text.png is not an image"),
        (["{small}", "{out}", "--model", "edsr", "--scale", "2"], "EDSR_x2.pb (40 MB) is unavailable"),
        (["{small}", "{out}", "--model", "edsr", "--scale", "2", "--weights", "{text}.pb"], "There is no file"),
        (
            ["{small}", "{out}", "--model", "edsr", "--scale", "2", "--weights", "{text}"],
            "is damaged or not a file of weights",
        ),
    ],
)
def test_what_can_be_mended_is_1_and_one_line(
    arguments: list[str],
    sentence: str,
    small: Path,
    tmp_path: Path,
    own_weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, out = tmp_path / "text.png", tmp_path / "out.png"
    text.write_text("print('not a picture')\n" * 20)
    out.write_bytes(b"what was there before")
    names = {"small": small, "out": out, "folder": tmp_path, "text": text}
    assert run("upscale", *(each.format(**names) for each in arguments)) == 1
    told = capsys.readouterr()
    assert sentence in told.err and told.err.count("\n") == 1 and told.out == ""
    assert out.read_bytes() == b"what was there before"
    assert {each.name for each in tmp_path.iterdir()} == {"small.png", "text.png", "out.png"}


def test_a_picture_beyond_the_limits_is_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSCALE_MAX_OUTPUT_MEGAPIXELS", "0.03")
    assert run("upscale", small, tmp_path / "out.png", "--model", "bicubic", "--scale", 8) == 1
    assert capsys.readouterr().err == (
        "small.png at x8 would be 240 by 160 pixels, 0.04 megapixels: the limit is 0.03.\n"
    )


@pytest.mark.parametrize("how", ["before the command", "behind the command", "by the environment"])
def test_tracebacks_are_shown_to_those_who_ask(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the sentence still comes last."""
    arguments = ["upscale", tmp_path / "no.png", tmp_path / "out.png", "--model", "bicubic", "--scale", "2"]
    assert run(*arguments) == 1
    assert capsys.readouterr().err == "no.png does not exist.\n"
    if how == "by the environment":
        monkeypatch.setenv("UPSCALE_DEBUG", "1")
    else:
        arguments.insert(0 if how == "before the command" else len(arguments), "--debug")
    assert run(*arguments) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told and "BadPicture" in told and told.splitlines()[-1] == "no.png does not exist."


@pytest.mark.parametrize(
    "arguments",
    [
        ["--debug", "weights", "list"],
        ["weights", "--debug", "list"],
        ["weights", "list", "--debug"],
        ["weights", "pull", "lpips", "--debug"],
        ["weights", "verify", "--debug"],
    ],
    ids=" ".join,
)
def test_actions_take_it_too(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise UpscaleError("No.")

    for name in ("list_keys", "list_files"):
        monkeypatch.setattr(f"pipelines.cli.weights.{name}", fail)
    assert run(*arguments) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told and told.splitlines()[-1] == "No."


def test_what_should_not_happen_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback, though those who run the program see one sentence."""
    monkeypatch.setattr(catalog, "as_dict", lambda model: 1 / 0)
    assert run("models", "--json") == 1
    sentence = "Something unexpected went wrong: ZeroDivisionError: division by zero\n"
    assert capsys.readouterr().err == sentence
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert record.name == "pipelines.cli.main" and record.exc_info and record.exc_info[0] is ZeroDivisionError


def test_a_switch_that_is_neither_on_nor_off_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSCALE_DEBUG", "yes")
    assert run("models") == 1
    assert capsys.readouterr().err == "UPSCALE_DEBUG must be 0 or 1, not 'yes'.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_half_written(number: int, tmp_path: Path, own_weights: Path) -> None:
    """Interrupted among the tiles: exit code 130, one line, the old output as it was."""
    large, out = tmp_path / "large.png", tmp_path / "out.png"
    images.write(Picture(np.tile(smooth(500, 500), (6, 6, 1))), large)
    out.write_bytes(b"what was there before")
    code = (
        "import sys\nfrom pipelines.cli import main as cli\nfrom pipelines.networks import tiling\n"
        "write = tiling.write_tile\n"
        "def told(*given):\n    print('tile', flush=True)\n    write(*given)\n"
        "tiling.write_tile = told\nsys.exit(cli.main(sys.argv[1:]))"
    )
    arguments = ["upscale", large, out, "--model", "espcn", "--scale", "3"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None and process.stdout.readline() == "tile\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "Cancelled; nothing was written.\n")
    assert out.read_bytes() == b"what was there before"
    assert {each.name for each in tmp_path.iterdir()} == {"large.png", "out.png"}


@pytest.mark.parametrize("after", [0.2, 0.3, 0.45])
def test_an_interrupt_while_starting_is_no_traceback(after: float, small: Path, tmp_path: Path) -> None:
    arguments = ["upscale", small, tmp_path / "out.png", "--model", "lanczos", "--scale", "8"]
    code = "import runpy; print('up', flush=True); runpy.run_module('pipelines', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == "up\n"  # the interpreter's start is not ours
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130, 0) and "Traceback" not in err
    assert {each.name for each in tmp_path.iterdir()} <= {"small.png", "out.png"}


@pytest.mark.parametrize("stream", [">&-", "2>&-", ">/dev/full"])
def test_a_stream_that_cannot_be_printed_to_is_no_traceback(stream: str, small: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m pipelines upscale {small} {tmp_path}/out.png --model bicubic --scale 2 {stream}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" not in done.stderr and "should not" not in done.stderr
    assert images.read(tmp_path / "out.png").pixels.shape == (40, 60, 3)
    assert done.returncode == (1 if stream == ">/dev/full" else 0)


def test_what_a_format_loses_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.write(Picture(smooth(8, 8), alpha=smooth(8, 8)[..., 0], depth=16), tmp_path / "deep.png")
    assert run("upscale", tmp_path / "deep.png", tmp_path / "out.jpg", "--model", "bicubic", "--scale", 2) == 0
    said = capsys.readouterr().out
    assert "16 were rounded" in said and "laid over white" in said


def tall(path: Path, height: int) -> Path:
    images.write(Picture(np.zeros((height, 8, 3), np.float32)), path)
    return path


@pytest.mark.parametrize(("suffix", "height", "most"), [("webp", 4100, 16383), ("jpg", 16400, 65500)])
@pytest.mark.parametrize(
    "how", [["upscale", "--model", "edsr", "--scale", "4"], ["chain", "--stages", "edsr:2,bicubic:2"]]
)
def test_a_result_too_large_for_its_format_is_refused_before_anything_is_asked_for(
    suffix: str, height: int, most: int, how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EDSR is not here, and nothing can be downloaded: that is not what is told."""
    command, *options = how
    given = tall(tmp_path / "tall.png", height)
    assert run(command, given, tmp_path / f"out.{suffix}", *options) == 1
    name = {"webp": "WebP", "jpg": "JPEG"}[suffix]
    assert capsys.readouterr().err == (
        f"{name} holds at most {most} pixels a side, and the result would be 32 by {4 * height}: use PNG.\n"
    )


def test_the_image_itself_is_overwritten_only_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By whatever name: a link either way, or another way to the folder. A file that is not the image is replaced."""
    image, link, other = tmp_path / "a.png", tmp_path / "link.png", tmp_path / "other.png"
    images.write(Picture(smooth(20, 30)), image)
    link.symlink_to(image)
    before = image.read_bytes()
    (tmp_path / "folder").mkdir()
    options = ["--model", "bicubic", "--scale", "2"]
    for given, out in ((image, image), (image, link), (link, image), (image, tmp_path / "folder" / ".." / "a.png")):
        assert run("upscale", given, out, *options) == 1
        told = capsys.readouterr().err
        assert told == f"{out.name} cannot be written: it is the input image, which would be lost.\n"
        assert image.read_bytes() == before and link.is_symlink()
    assert run("chain", image, link, "--stages", "bicubic:2,bicubic:2") == 1
    other.write_bytes(b"what was there before")
    assert run("upscale", image, other, *options) == 0
    assert run("upscale", image, link, *options, "--overwrite") == 0
    assert image.read_bytes() == other.read_bytes() and link.is_symlink()


def test_what_a_format_loses_is_said_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Here EDSR is lacking: nothing was enlarged."""
    images.write(Picture(smooth(20, 30), np.full((20, 30), 0.5, np.float32), depth=16), tmp_path / "deep.png")
    assert run("upscale", tmp_path / "deep.png", tmp_path / "out.jpg", "--model", "edsr", "--scale", 2) == 1
    said = capsys.readouterr().out
    assert "16 were rounded" in said and "laid over white" in said


def test_a_result_larger_than_memory_is_refused_before_the_work(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 x 20 by 8: 600 pixels of 12 bytes, 38400 of 16 (docs/architecture.md)."""
    for left, code in ((621_599, 1), (621_600, 0)):
        monkeypatch.setattr("pipelines.machine.available_memory", lambda left=left: left)
        assert run("upscale", small, tmp_path / "out.png", "--model", "bicubic", "--scale", 8) == code
    assert capsys.readouterr().err == (
        "A result of 240 by 160 pixels takes at least 0.6 MB of memory, but only 0.6 MB are left here.\n"
    )


def test_a_name_that_the_terminal_cannot_show_is_spelled_out(tmp_path: Path) -> None:
    images.write(Picture(smooth(8, 8)), tmp_path / "in.png")
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "upscale",
        "in.png",
        "größer.png",
        "--model",
        "bicubic",
        "--scale",
        "2",
    ]
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "") and "gr\\xf6\\xdfer.png" in done.stdout


def test_progress_and_the_time_left_on_a_terminal(tmp_path: Path, own_weights: Path) -> None:
    """How many tiles are done and of how many, and how long the rest will take."""
    large, out = tmp_path / "large.png", tmp_path / "out.png"
    images.write(Picture(smooth(1000, 1000)), large)
    arguments = ["upscale", large, out, "--model", "espcn", "--scale", 3, "--tile", 48]
    leader, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 120))
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, cwd=ROOT) as process:
        os.close(terminal)
        shown = read_terminal(leader)
    os.close(leader)
    assert process.returncode == 0, shown
    tiles = re.search(r"\b(\d+) tiles", shown)
    assert tiles and re.search(rf"tiles.*\b[1-9]\d*\D{{1,4}}{tiles[1]}\b", shown), "tiles that are done, of all"
    assert re.search(r"<\d\d:\d\d|\d s left", shown), "the time that the rest will take"
    assert out.is_file()


def read_terminal(leader: int) -> str:
    """All that is written to a terminal until its last writer closes it, which Linux tells as an error."""
    shown = b""
    with suppress(OSError):
        while chunk := os.read(leader, 1 << 16):
            shown += chunk
    return shown.decode()


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """As in `models | head -1`."""
    command = f"{sys.executable} -m pipelines models --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[", "")


@pytest.mark.parametrize(
    ("key", "scale", "expected"),
    [
        *[("bicubic", 2, 33.67), ("bicubic", 3, 30.40), ("bicubic", 4, 28.43), ("bicubic", 8, 24.40)],
        *[("espcn", 2, 34.76), ("espcn", 3, 30.53), ("espcn", 4, 28.38)],
        *[("fsrcnn", 2, 34.85), ("fsrcnn", 3, 30.59), ("fsrcnn", 4, 28.40)],
        *[("lapsrn", 2, 34.48), ("lapsrn", 4, 28.75), ("lapsrn", 8, 24.43)],
        *[("swift", 2, 37.41), ("swift", 3, 33.70), ("swift", 4, 31.50)],
        *[("srcnn", 2, 36.70), ("srcnn", 3, 32.65), ("srcnn", 4, 30.27)],
    ],
)
def test_set5_scores(
    key: str, scale: int, expected: float, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean Y PSNR over Set5 from MATLAB's low-resolution files, through the command line's own path."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(assets / "weights" / "opencv"))
    set5 = assets / "images" / "Set5"
    scores = []
    for high in sorted((set5 / "HR").iterdir()):
        low = set5 / "LR_bicubic" / f"X{scale}" / f"{high.stem}x{scale}.png"
        clean = ["--artifacts", "none"] if key == "swift" else []  # the network that these figures are of
        assert run("upscale", low, tmp_path / "out.png", "--model", key, "--scale", scale, *clean) == 0
        scores.append(psnr_y(images.read(high), images.read(tmp_path / "out.png"), border=scale))
    assert len(scores) == 5
    assert np.mean(scores) == pytest.approx(expected, abs=0.02)


def psnr_y(truth: Picture, result: Picture, border: int) -> float:
    """PSNR in dB on BT.601 luma (16..235, unrounded), cropped to the result and by `border` on each side."""
    height, width, _ = result.pixels.shape
    weights = np.array([65.481, 128.553, 24.966])
    lumas = [each.pixels[:height, :width].astype(np.float64) @ weights for each in (truth, result)]
    inner = slice(border, -border)
    return float(10 * np.log10(255**2 / np.mean((lumas[0] - lumas[1])[inner, inner] ** 2)))


def test_it_starts_on_windows_which_has_no_hangup() -> None:
    code = "import signal; del signal.SIGHUP\nfrom pipelines.cli.main import main; raise SystemExit(main(['models']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("nearest")
