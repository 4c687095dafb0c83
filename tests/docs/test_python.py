"""docs/python.md: its examples run, one after another as a reader would run them, and it names what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pipelines
from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "python.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_examples_run(tmp_path: Path) -> None:
    images.write(Picture(smooth(48, 64)), tmp_path / "in.jpg")
    (tmp_path / "all.py").write_text("\n".join(EXAMPLES))
    command = [sys.executable, "-W", "error", "all.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} >= {"out.png", "larger.webp", "report.json", "report.html"}
    said = set(re.findall(r"print\(error\)  # (.*)", TEXT))
    assert said and said <= set(done.stdout.splitlines())


def environment(folder: Path) -> dict[str, str]:
    """No network, and the sources where Python finds them."""
    return os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "hub")}


def test_all_functions_errors_and_settings_are_named() -> None:
    errors = {name for name in pipelines.__all__ if is_error(name)} - {"NobodyOffers"}
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) | {"UpscaleError"} == errors
    for name in ("upscale", "benchmark", "read", "write", "models"):
        assert f"pipelines.{name}(" in TEXT


def is_error(name: str) -> bool:
    each = getattr(pipelines, name)
    return isinstance(each, type) and issubclass(each, pipelines.UpscaleError)
