"""The recipes of docs/extending.md, carried out in a copy of the sources exactly as they say."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.conftest import ROOT, clean_environment

LONGEST_RECIPE = 15  # lines, its code and its heading apart
CODE = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
USED = """
import runpy, sys
from pathlib import Path
from typing import Any

import numpy as np, torch
from PIL import Image
from safetensors.torch import save_file

from pipelines.networks.archs.espcn import Espcn
from pipelines.networks.checkpoints import read_network

torch.manual_seed(0)
made = Espcn(3)
save_file(made.state_dict(), "own.safetensors")
network = read_network(Path("own.safetensors"))
assert type(network) is Espcn and network.scale == 3
pixels = torch.from_numpy(np.asarray(Image.open("in.png")) / np.float32(255)).permute(2, 0, 1)[None]
with torch.inference_mode():
    np.save("expected.npy", network(pixels)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().numpy())
sys.argv = ["upscale", *"upscale in.png out.png --model swift --scale 3 --weights own.safetensors --tile 24".split()]
runpy.run_module("pipelines", run_name="__main__")
"""


def recipe(title: str) -> str:
    """The text under a heading of the second level."""
    text = (ROOT / "docs" / "extending.md").read_text()
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def copy_of_pipelines(folder: Path) -> Path:
    """The sources without the weights that come along."""
    return Path(
        shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns("*.safetensors"))
    )


def run(script: str, folder: Path) -> str:
    """What a Python program in this folder prints, which has to end well."""
    environment = clean_environment() | {"UPSCALE_PRECISION": "exact"}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipe_of_an_architecture(tmp_path: Path) -> None:
    """One file and one line, and a file of that architecture is read and run, whatever OpenVINO lacks for it."""
    text = recipe("An architecture")
    assert len([line for line in CODE.sub("", text).splitlines() if line]) <= LONGEST_RECIPE
    code, lines = CODE.findall(text)
    (file,) = re.findall(r"`(pipelines/networks/archs/[a-z]+\.py)`", text)
    checkpoints = copy_of_pipelines(tmp_path) / "networks" / "checkpoints.py"
    (tmp_path / file).write_text(code)
    at_the_top, of_archs = lines.splitlines()
    with_import = checkpoints.read_text().replace("\nfrom pipelines", f"\n{at_the_top}\nfrom pipelines", 1)
    checkpoints.write_text(with_import.replace("\nARCHS = (\n", f"\nARCHS = (\n{of_archs}\n"))
    picture = np.random.default_rng(1).integers(0, 256, (31, 40, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "in.png")
    printed = run(USED, tmp_path)
    with Image.open(tmp_path / "out.png") as image:
        difference = np.abs(np.asarray(image).astype(float) - np.load(tmp_path / "expected.npy"))
    assert difference.shape == (93, 120, 3) and difference.max() <= 1
    if find_spec("openvino") is not None and " on cpu" in printed:
        assert "OpenVINO does not know tanh: torch ran that part" in printed


# --- metrics and protocols ----------------------------------------------------------------------------------------

MEASURING = ("A metric with a reference", "A metric without a reference", "A protocol")
BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def carry_out(recipe: str, copy: Path) -> None:
    """Write each file that the recipe shows, and add what its diffs add, each line after the one before it.

    What comes first in a diff is an import.
    """
    for kind, name, text in BLOCK.findall(recipe):
        path = copy / name
        if kind == "python":
            assert not path.exists()
            path.write_text(text)
            continue
        lines, before = path.read_text().splitlines(), ""
        for line in text.splitlines():
            if line.startswith("+"):
                imports = next(number for number, each in enumerate(lines) if each.startswith("from pipelines"))
                lines.insert(lines.index(before) + 1 if before else imports, line[1:])
            else:
                before = line[1:]
        path.write_text("\n".join(lines) + "\n")


def benchmarked(copy: Path, *options: object) -> dict[str, Any]:
    """The report of the copy's own command, of one picture and model."""
    picture, report = ROOT / "ui" / "pictures" / "face.png", copy / "report.json"
    report.unlink(missing_ok=True)
    given = ["benchmark", str(picture), "--scale", "2", "--models", "bicubic", "--repeats", "0", *options]
    given += ["--json", str(report), "--html", "report.html"]
    run(f"import runpy, sys; sys.argv[1:] = {given!r}; runpy.run_module('pipelines', run_name='__main__')", copy)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def test_the_recipes_of_metrics_and_protocols(tmp_path: Path) -> None:
    """One file and one line each, and they are measured, written down and shown."""
    copy_of_pipelines(tmp_path)
    for title in MEASURING:
        assert len([line for line in BLOCK.sub("", recipe(title)).splitlines() if line]) <= LONGEST_RECIPE, title
        carry_out(recipe(title), tmp_path)
    report = benchmarked(tmp_path, "--protocol", "flipped")
    (row,), (summary,) = report["rows"], report["summary"]
    place = [*row].index("consistency_psnr")
    assert {*[*row][place + 1 : place + 3]} == {"mae", "contrast"}, "after the scores that were there"
    assert 0 < row["mae"] < 20 < row["contrast"] and summary["mae"]["mean"] == row["mae"]
    page = (tmp_path / "report.html").read_text()
    assert "Mean absolute error" in page and "Flipped at x2: the original upside down" in page
    (row,) = benchmarked(tmp_path, "--protocol", "no-original")["rows"]
    assert row["mae"] is None and row["contrast"] > 20
    assert "no original is known: nothing but consistency and contrast can be measured" in row["notes"]
