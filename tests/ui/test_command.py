"""The program `upscale-bench`: the command line under its name, with the page as one command more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import serving

ROOT = Path(__file__).parents[2]
LIGHT = "; assert not {'torch', 'gradio', 'cv2'} & sys.modules.keys(), sys.modules.keys()"


def run(*arguments: str, after: str = "") -> subprocess.CompletedProcess[str]:
    """The program, and then a line of Python."""
    code = f"import sys; sys.argv[0] = 'upscale-bench'\nfrom ui.command import main\ntry: main()\nfinally: pass{after}"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_it_is_the_command_line_with_a_page() -> None:
    by_module = subprocess.run([sys.executable, "-m", "pipelines", "models"], capture_output=True, text=True, cwd=ROOT)
    done = run("models", after=LIGHT)
    assert (done.returncode, done.stdout, done.stderr) == (0, by_module.stdout, "")
    told = run("--help").stdout
    assert told.startswith("usage: upscale-bench ") and "page" in told


@pytest.mark.parametrize("arguments", [[], ["pages"], ["page", "7860"]], ids=" ".join)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.startswith("usage: upscale-bench ")


@pytest.mark.slow
def test_visitors_files_are_deleted_when_it_ends(tmp_path: Path) -> None:
    """By SIGTERM, as a service is stopped, and though a visitor is still there."""
    from gradio_client import Client, handle_file

    with serving(tmp_path, "-c", "from ui.command import open_page; raise SystemExit(open_page())") as url:
        client = Client(url, verbose=False, download_files=str(tmp_path / "client"))
        image = handle_file(str(ROOT / "ui" / "pictures" / "drawing.png"))
        client.predict(image=image, model="bicubic", scale="x2", api_name="/upscale")
        assert [*(tmp_path / "gradio").rglob("drawing*.png")]
    assert not [*(tmp_path / "gradio").rglob("drawing*.png")]
