"""What `pip install .` gives: away from the checkout it finds all that it needs, and gives the same bytes."""

import json
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import NOWHERE, clean_environment, free_port, smooth

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PARTS = (
    "pipelines",
    "ui",
    "pyproject.toml",
    "LICENSE",
    "requirements.txt",
    "requirements-cpu.txt",
    "requirements-any.txt",
    "requirements-mcp.txt",
    "requirements-ray.txt",
)
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by pip from a copy of the checkout as from a clone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (*PARTS, "requirements-dev.txt"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", out, folder)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with nothing but the wheel in it; the libraries are those of this one, which are large."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (packages(folder) / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/*/site-packages")
    return found


def environment(folder: Path) -> dict[str, str]:
    """Without what would make the checkout importable; offline."""
    own = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": NOWHERE, "HF_HOME": str(folder / "hub")}
    return {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"} | own


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is not the checkout, with an image in it."""
    images.write(Picture(smooth(40, 50)), tmp_path / "in.png")
    return tmp_path


def run(program: Path, folder: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """`upscale-bench` of the environment, run in the folder."""
    command = [str(program / "bin" / "upscale-bench"), *map(str, arguments)]
    env = environment(folder) | settings
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)


def from_checkout(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The same by the checkout's own sources."""
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    env = environment(folder) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, check=True)


@contextmanager
def without(path: Path, instead: bytes | None = None) -> Iterator[None]:
    """The file gone, or another in its place, for a while."""
    content = path.read_bytes()
    if instead is None:
        path.unlink()
    else:
        path.write_bytes(instead)
    try:
        yield
    finally:
        path.write_bytes(content)


def test_the_wheel_is_small_and_holds_the_program_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        entries = file.infolist()
        text = file.read(next(each for each in entries if each.filename.endswith("METADATA"))).decode()
    weights = sum(each.compress_size for each in entries if each.filename.endswith(".safetensors"))
    assert wheel.stat().st_size < 12 * MEGABYTE and wheel.stat().st_size - weights < 3 * MEGABYTE
    assert {each.filename.split("/")[0] for each in entries if ".dist-info" not in each.filename} == {"pipelines", "ui"}
    assert {"pipelines/py.typed", "ui/py.typed"} <= {each.filename for each in entries}
    needed = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert text.count("Requires-Dist: ") - text.count("; extra ==") == len(needed)


def test_the_extras_bring_what_their_names_say(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        name = next(each for each in file.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(file.read(name))
    assert set(metadata.get_all("Provides-Extra", [])) == {"any", "cpu", "dev", "mcp", "ray"}
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    always, more, cpu, dev, mcp, ray = (
        {each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": extra})}
        for extra in ("", "any", "cpu", "dev", "mcp", "ray")
    )
    assert more - always == {"spandrel", "einops"}
    assert cpu - always == {"openvino"}
    assert ray - always == {"ray"} and mcp - always == {"mcp"}
    assert dev - always >= {"pytest", "ruff", "mypy", "playwright", "openvino"}


def test_it_is_the_same_program_with_a_page(installed: Path, elsewhere: Path) -> None:
    assert run(installed, elsewhere, "models", "--json").stdout == from_checkout(elsewhere, "models", "--json").stdout
    told = run(installed, elsewhere, "--help").stdout
    assert told.startswith("usage: upscale-bench ") and "open the page" in told
    usage = run(installed, elsewhere, "upscale")
    assert usage.returncode == 2 and usage.stderr.endswith("See upscale-bench upscale --help.\n")
    assert "open the page" not in from_checkout(elsewhere, "--help").stdout


def test_it_is_this_installation_that_runs(installed: Path, elsewhere: Path) -> None:
    code = "import pipelines, ui; print(pipelines.__file__, ui.__file__)"
    command = [str(installed / "bin" / "python"), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, env=environment(elsewhere))
    assert all(Path(each).is_relative_to(installed) for each in done.stdout.split()), done.stdout


def test_the_same_bytes(installed: Path, elsewhere: Path) -> None:
    """By a network whose parameters come with it."""
    arguments = ["--model", "swift", "--scale", 2]
    done = run(installed, elsewhere, "upscale", "in.png", "installed.png", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    from_checkout(elsewhere, "upscale", "in.png", "checkout.png", *arguments)
    assert (elsewhere / "installed.png").read_bytes() == (elsewhere / "checkout.png").read_bytes()


def test_the_same_scores_and_a_report_to_read(installed: Path, elsewhere: Path) -> None:
    arguments = ["benchmark", "in.png", "--scale", 2, "--models", "bicubic,swift", "--repeats", 0]
    done = run(installed, elsewhere, *arguments, "--html", "report.html", "--json", "installed.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Closest to the original" in done.stdout and "<svg" in (elsewhere / "report.html").read_text()
    from_checkout(elsewhere, *arguments, "--json", "checkout.json")
    both = [json.loads((elsewhere / f"{name}.json").read_bytes()) for name in ("installed", "checkout")]
    scores = ("model", "psnr", "psnr_y", "ssim", "consistency_psnr", "weights_sha256", "error")
    installed_rows, checkout_rows = ([[row[name] for name in scores] for row in each["rows"]] for each in both)
    assert installed_rows == checkout_rows and len(installed_rows) == 2
    assert both[0]["versions"] == both[1]["versions"]


@contextmanager
def page(program: Path, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The line that `upscale-bench page` prints, and its process."""
    own = {"PORT": str(free_port()), "GRADIO_TEMP_DIR": str(folder / "gradio"), "GRADIO_ANALYTICS_ENABLED": "False"}
    command, env = [str(program / "bin" / "upscale-bench"), "page"], environment(folder) | own
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=env) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline(), process
        finally:
            process.terminate()


def test_the_page(installed: Path, elsewhere: Path) -> None:
    """One line is printed, with the address; behind that are the page, its example pictures, and its API."""
    with page(installed, elsewhere) as (line, process):
        url = line.split()[-4]
        assert line == f"Upscale Bench is open at {url} (Ctrl-C stops it)\n"
        assert "Upscale Bench" in fetch(url).decode()
        example = packages(installed) / "ui" / "pictures" / "face.png"
        assert fetch(f"{url}/gradio_api/file={example}") == example.read_bytes()
        command = [sys.executable, "-W", "ignore", "-c", CALL, url, "in.png", "page.png"]
        subprocess.run(command, check=True, cwd=elsewhere, env=environment(elsewhere))
        process.terminate()
        assert process.stdout is not None and process.stdout.read() == ""
        assert process.wait() == 0
    from_checkout(elsewhere, "upscale", "in.png", "checkout.png", "--model", "bicubic", "--scale", 2)
    pictures = [images.read(elsewhere / f"{name}.png").pixels for name in ("page", "checkout")]
    assert (pictures[0] == pictures[1]).all()


CALL = """
import shutil, sys
from gradio_client import Client, handle_file
url, image, out = sys.argv[1:]
client = Client(url, verbose=False)
file, details = client.predict(image=handle_file(image), model="bicubic", scale="x2", api_name="/upscale")
shutil.copy(file, out)
"""


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


def test_a_damaged_network_is_said(installed: Path, elsewhere: Path) -> None:
    """Or a foreign one; a file that nobody knows harms nothing."""
    bundled = packages(installed) / "pipelines" / "networks" / "bundled"
    arguments = ["upscale", "in.png", "out.png", "--model", "swift", "--scale", 4]
    for content in (b"", b"damaged" * 99, (bundled / "swift-x2.safetensors").read_bytes()):
        with without(bundled / "swift-x4.safetensors", content):
            done = run(installed, elsewhere, *arguments)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("swift-x4.safetensors"), done.stderr
    with without(bundled / "swift-x4.safetensors"):
        done = run(installed, elsewhere, *arguments)
    assert done.returncode == 1 and "it should be included with the program" in done.stderr, done.stderr
    (bundled / "unknown.safetensors").write_bytes(b"nobody knows")
    assert run(installed, elsewhere, *arguments).returncode == 0


def test_a_missing_template_is_said(installed: Path, elsewhere: Path) -> None:
    with without(packages(installed) / "pipelines" / "report" / "templates" / "report.html"):
        given = ["benchmark", "in.png", "--scale", 2, "--models", "bicubic", "--repeats", 0, "--html", "report.html"]
        done = run(installed, elsewhere, *given)
    sentence = "The template report.html is missing from this program's files: install the program again.\n"
    assert (done.returncode, done.stderr) == (1, sentence) and not (elsewhere / "report.html").exists()
    with without(packages(installed) / "ui" / "static" / "page.css"):
        done = run(installed, elsewhere, "page", PORT=str(free_port()))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "page.css" in done.stderr, done.stderr


HIDDEN = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *given: None if name == "openvino" else find(name, *given)
"""


def test_without_the_extra_it_is_slower_and_says_so(installed: Path, elsewhere: Path) -> None:
    (elsewhere / "sitecustomize.py").write_text(HIDDEN)
    arguments = ["upscale", "in.png", "out.png", "--model", "swift", "--scale", 4]
    done = run(installed, elsewhere, *arguments, PYTHONPATH=str(elsewhere))
    assert (done.returncode, done.stderr) == (0, "") and "OpenVINO is not installed" in done.stdout
