"""The Space: what the README's front matter says of it, and what `make space` uploads."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import SpaceHardware, constants

from pipelines.catalog.rows import MODELS
from pipelines.catalog.schema import Hub
from tests.support.hub import MAY_READ, MAY_WRITE, LoopbackHub, use
from tools import space

# huggingface_hub 2.4 hands large files to httpx2 in a way that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FRONT = yaml.safe_load(README.split("---\n")[1])
REPO = "owner/bench"
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # what the Hub knows


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        use(server.url, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", MAY_WRITE)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # as make space has it
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder to upload in place of the repository."""
    files = {
        "app.py": b"print()\n",
        "README.md": README.encode(),
        "ui/static/page.css": b"",
        "examples/face.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 99,
        "pipelines/deep/er/file.py": b"pass\n",
        "pipelines/__pycache__/file.pyc": b"\0",
        "tests/test_app.py": b"pass\n",
        ".venv/bin/python": b"\0",
        "token.txt": b"secret",
    }
    for path, content in files.items():
        (tmp_path / "here" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / path).write_bytes(content)
    monkeypatch.setattr(space, "ROOT", tmp_path / "here")
    return tmp_path / "here"


def test_front_matter_is_what_a_space_needs() -> None:
    assert README.startswith("---\n")
    assert {FRONT["colorFrom"], FRONT["colorTo"]} <= COLOURS
    assert len(FRONT["short_description"]) <= 60, "the Hub refuses more"
    assert (ROOT / FRONT["app_file"]).is_file() and FRONT["sdk"] == "gradio"
    assert SpaceHardware(FRONT["suggested_hardware"]) == SpaceHardware.ZERO_A10G
    assert FRONT["python_version"] == "3.12", "one of the two that ZeroGPU has, as a string"
    assert f'license = "{FRONT["license"]}"' in (ROOT / "pyproject.toml").read_text().lower()


def test_the_space_has_the_gradio_of_the_requirements() -> None:
    assert f"gradio=={FRONT['sdk_version']}\n" in (ROOT / "requirements.txt").read_text()


def test_the_space_names_the_hub_repositories_of_the_catalog() -> None:
    weights = [each for model in MODELS for each in (*model.scales.values(), *model.more) if each]
    repos = {source.repo for each in weights for source in each.sources if isinstance(source, Hub)}
    assert set(FRONT.get("models", [])) == repos


def test_a_torch_that_is_needed_is_one_that_zero_gpu_has() -> None:
    needed = re.search(r"^torch\b", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    pinned = re.search(
        r"^torch==(2\.8\.0|2\.9\.1|2\.10\.0|2\.11\.0)$", (ROOT / "pre-requirements.txt").read_text(), re.M
    )
    assert bool(needed) == bool(pinned)


def test_a_new_space_gets_what_it_needs_and_nothing_else(
    hub: LoopbackHub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert space.main([REPO]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{hub.url}/spaces/{REPO}"
    there = {path: content for path, content in hub.spaces[REPO].items() if path != ".gitattributes"}
    names = {"app.py", "README.md", "ui/static/page.css", "examples/face.png", "pipelines/deep/er/file.py"}
    assert there == {name: (folder / name).read_bytes() for name in names}
    assert list(hub.large.values()) == [there["examples/face.png"]], "a binary file is refused as part of a commit"
    assert {"sdk": "gradio", "type": "space", "hardware": "zero-a10g"}.items() <= hub.created[REPO].items()


def test_a_space_that_exists_is_made_equal_in_one_commit(hub: LoopbackHub, folder: Path) -> None:
    hub.spaces[REPO] = {".gitattributes": b"kept", "old.py": b"", "ui/old/page.css": b"", "app.py": b"old"}
    assert space.main([REPO]) == 0
    assert not {"old.py", "ui/old/page.css"} & set(hub.spaces[REPO])
    assert hub.spaces[REPO][".gitattributes"] == b"kept" and hub.spaces[REPO]["app.py"] == b"print()\n"
    assert hub.commits == [REPO], "a Space is built anew for each commit"
    assert not hub.created, "its hardware is left alone"


def test_a_space_that_is_equal_already_is_left_alone(hub: LoopbackHub, folder: Path) -> None:
    assert (space.main([REPO]), space.main([REPO])) == (0, 0)
    assert hub.commits == [REPO]


def test_what_is_uploaded_runs(hub: LoopbackHub, tmp_path: Path) -> None:
    """The real files, in a folder of their own: nothing they need stayed behind."""
    assert space.main([REPO]) == 0
    for path, content in hub.spaces[REPO].items():
        (tmp_path / "space" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "space" / path).write_bytes(content)
    code = "from ui import page; page.build(); page.launch_options()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path / "space")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links and all((tmp_path / "space" / link).is_file() for link in links)


@pytest.mark.parametrize(
    ("repo", "token", "sentence"),
    [
        (REPO, None, "Set HF_TOKEN to a token that may write"),
        (REPO, MAY_READ, f"The token may not write to {REPO}"),
        (REPO, "hf_old", "The Hub does not know the token"),
        ("own er/bench", MAY_WRITE, "A Space is named OWNER/NAME, which 'own er/bench' is not."),
        ("bench", MAY_WRITE, "A Space is named OWNER/NAME, which 'bench' is not."),
    ],
)
def test_what_keeps_it_from_going_up_is_said(
    repo: str,
    token: str | None,
    sentence: str,
    hub: LoopbackHub,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    assert space.main([repo]) == 1
    error = capsys.readouterr().err
    assert error.startswith(sentence) and error.count("\n") == 1
    assert not hub.commits


def test_a_token_that_may_only_read_an_existing_space_changes_nothing(
    hub: LoopbackHub, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.spaces[REPO] = {"app.py": b"old"}
    monkeypatch.setenv("HF_TOKEN", MAY_READ)
    assert space.main([REPO]) == 1
    assert capsys.readouterr().err.startswith(f"The token may not write to {REPO}")
    assert hub.spaces[REPO] == {"app.py": b"old"}


def test_a_hub_out_of_reach_is_said(tmp_path: Path) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": MAY_WRITE, "HF_HOME": str(tmp_path), "NO_PROXY": "*"}
    command = [sys.executable, "-m", "tools.space", REPO]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | nowhere)
    assert (done.returncode, done.stderr) == (1, "The Hub cannot be reached at http://127.0.0.1:9.\n")
