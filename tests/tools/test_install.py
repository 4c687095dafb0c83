"""Where torch comes from, and what is said meanwhile: pip itself, against package indexes served on loopback."""

import base64
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import NOWHERE
from tools import install

ROOT = Path(__file__).parents[2]
RANGE = "torch>=2.8,<=2.13.0"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL under which lie the usual index, at /usual, one of builds for CPUs, at /cpu, and an empty one, /empty.

    The usual one has a newer torch, as it has for some days after each release.
    """
    folder = tmp_path_factory.mktemp("indexes")
    publish(folder / "usual", "torch", "2.13.0")
    publish(folder / "usual", "torch", "2.14.0")
    publish(folder / "usual", "gradio", "6.31.0", "torch")
    publish(folder / "usual", "openvino", "2026.4")
    publish(folder / "usual", "spandrel", "0.4.2", "torchvision")  # which is on no index here: nobody needs it
    publish(folder / "cpu", "torch", "2.12.0+cpu")
    publish(folder / "cpu", "torch", "2.14.0+cpu")
    publish(folder / "cpu", "gradio", "99.0")
    publish(folder / "empty", "torch", "2.7.0+cpu")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def publish(index: Path, name: str, version: str, *needs: str) -> None:
    """Put a wheel with nothing in it on an index."""
    folder, info = index / name, f"{name}-{version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {each}\n" for each in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={digest(content)},{len(content)}\n" for path, content in files.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}).items():
            wheel.writestr(path, content)
    links = (f'<a href="{path.name}">{path.name}</a>' for path in sorted(folder.glob("*.whl")))
    (folder / "index.html").write_text(f"<!doctype html><title>{name}</title>{''.join(links)}")


def digest(content: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with pip alone."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout of few requirements."""
    (tmp_path / "requirements.txt").write_text(f"# the page\ngradio==6.31.0\n{RANGE}  # a range\n")
    (tmp_path / "requirements-cpu.txt").write_text("openvino>=2026.2,<2027\n")
    (tmp_path / "requirements-any.txt").write_text("spandrel>=0.4.2,<0.5\n")
    return tmp_path


def run(python: Path, folder: Path, indexes: str, cpu: str, gpu: bool = False, **settings: str) -> tuple[int, str, str]:
    """`python -m tools.install page` on a machine with or without a GPU; exit code, stdout, stderr.

    Afterwards nothing is installed as before.
    """
    code = (
        "import sys\nfrom tools import install\n"
        f"install.CPU_INDEX = {cpu!r}\ninstall.has_nvidia = lambda: {gpu}\ninstall.shutil.which = lambda name: None\n"
        "sys.exit(install.main(['page']))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UPSCALE_"))}
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{indexes}/usual", "PYTHONPATH": str(ROOT)}
    env = clean | own | {"PIP_NO_CACHE_DIR": "1", "NO_PROXY": "*"} | settings
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=folder, env=env)
    return done.returncode, done.stdout, done.stderr


def installed(python: Path) -> dict[str, str]:
    """The versions of what is there; then it is removed, for the next test."""
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    lines = subprocess.run([*pip, "freeze"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = dict(line.split("==") for line in lines)
    if found:
        subprocess.run([*pip, "uninstall", "--yes", "--quiet", *found], check=True)
    return found


OTHERS = {"gradio": "6.31.0", "openvino": "2026.4", "spandrel": "0.4.2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "cpu", "wish", "version", "said"),
    [
        (False, "/cpu", "", "2.12.0+cpu", "because there is no NVIDIA GPU"),
        (True, "/cpu", "", "2.13.0", "because there is an NVIDIA GPU"),
        (False, "/none", "", "2.13.0", "/none cannot be reached"),
        (False, NOWHERE, "", "2.13.0", f"{NOWHERE} cannot be reached"),
        (False, "/empty", "", "2.13.0", "It has no torch that fits"),
        (True, "/cpu", "cpu", "2.12.0+cpu", "as UPSCALE_TORCH says"),
        (False, "/cpu", "default", "2.13.0", "as UPSCALE_TORCH says"),
        (False, NOWHERE, "{indexes}/cpu/", "2.12.0+cpu", "as UPSCALE_TORCH says"),
    ],
)
def test_where_torch_comes_from(
    gpu: bool, cpu: str, wish: str, version: str, said: str, fresh: Path, folder: Path, indexes: str
) -> None:
    """All else comes from the usual index in any case."""
    cpu = indexes + cpu if cpu.startswith("/") else cpu
    code, out, _ = run(fresh, folder, indexes, cpu, gpu, UPSCALE_TORCH=wish.format(indexes=indexes))
    assert installed(fresh) == OTHERS | {"torch": version}
    assert code == 0 and out.startswith("Installing what the page needs: ") and said in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ("cpu", f"{NOWHERE}, which UPSCALE_TORCH asks for, cannot be reached."),
        ("rocm", "UPSCALE_TORCH is cpu, default or the URL of a package index, not 'rocm'."),
        ("{indexes}/empty", f"{{indexes}}/empty gives no {RANGE}, which UPSCALE_TORCH asks for."),
    ],
)
def test_a_wish_that_cannot_be_had_is_said(wish: str, sentence: str, fresh: Path, folder: Path, indexes: str) -> None:
    code, _, err = run(fresh, folder, indexes, NOWHERE, UPSCALE_TORCH=wish.format(indexes=indexes))
    assert code == 1 and err.splitlines()[-1] == sentence.format(indexes=indexes)
    assert installed(fresh) == {}


@pytest.mark.slow
def test_what_pip_cannot_install_is_said_after_its_own_words(fresh: Path, folder: Path, indexes: str) -> None:
    (folder / "requirements-cpu.txt").write_text("openvino>=2027\n")
    code, _, err = run(fresh, folder, indexes, f"{indexes}/cpu")
    assert code == 1 and "openvino>=2027" in err
    assert err.splitlines()[-1] == "pip could not install what the page needs. Its message above says why."
    assert installed(fresh) == {"torch": "2.12.0+cpu"}


@pytest.mark.slow
def test_what_is_optional_does_not_stop_the_rest(fresh: Path, folder: Path, indexes: str) -> None:
    (folder / "requirements-any.txt").write_text("spandrel>=9\n")
    code, out, _ = run(fresh, folder, indexes, f"{indexes}/cpu")
    assert code == 0 and out.splitlines()[-1].startswith("requirements-any.txt could not be installed. ")
    assert "spandrel" not in installed(fresh)


def test_large_downloads_are_named() -> None:
    lines = [
        "Collecting torch==2.13.0\n",
        "  Downloading torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl (190.4 MB)\n",
        "Downloading nvidia_cudnn_cu13-9.1-py3-none-manylinux1_x86_64.whl (1.1 GB)\n",
        "Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)\n",
        "Downloading idna-3.11-py3-none-any.whl (1.2 MB)\n",
        "Installing collected packages: six, idna, torch\n",
    ]
    assert list(install.describe_progress(iter(lines))) == [
        "  torch 2.13.0+cpu, 190 MB",
        "  nvidia_cudnn_cu13 9.1, 1100 MB",
        "  unpacking 3 packages",
    ]


def test_the_range_of_the_requirements_is_found() -> None:
    assert install.torch_requirement([str(ROOT / "requirements.txt")]).startswith("torch>=")
    assert install.torch_requirement([str(ROOT / "requirements-cpu.txt")]) == ""


def test_other_systems_have_the_right_torch_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert install.choose_torch().url is None


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert install.main(["all"]) == 2
    assert capsys.readouterr().err == "usage: python -m tools.install page|tools\n"


def test_all_files_that_are_named_exist() -> None:
    assert all((ROOT / file).is_file() for group in install.GROUPS.values() for file in (*group.files, *group.alone))
