"""The recipes of docs/extending.md: carried out in a copy of the sources exactly as they say, or name by name."""

import ast
import json
import keyword
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

EXTENDING = (ROOT / "docs" / "extending.md").read_text()
LONGEST_RECIPE = 15  # lines, its code and its heading apart
CODE = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
USED = """
import runpy, sys
from pathlib import Path
from typing import Any

import numpy as np, torch
from PIL import Image
from safetensors.torch import save_file

from pipelines.networks.archs.subpixel import Subpixel
from pipelines.networks.checkpoints import read_network

torch.manual_seed(0)
made = Subpixel(3)
save_file(made.state_dict(), "own.safetensors")
network = read_network(Path("own.safetensors"))
assert type(network) is Subpixel and network.scale == 3
pixels = torch.from_numpy(np.asarray(Image.open("in.png")) / np.float32(255)).permute(2, 0, 1)[None]
with torch.inference_mode():
    np.save("expected.npy", network(pixels)[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().numpy())
sys.argv = ["upscale", *"upscale in.png out.png --model swift --scale 3 --weights own.safetensors --tile 24".split()]
runpy.run_module("pipelines", run_name="__main__")
"""


def recipe(title: str) -> str:
    """The text under a heading of the second level."""
    return re.split(r"^## ", EXTENDING.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def copy_of_pipelines(folder: Path) -> Path:
    """The sources without the included weights."""
    return Path(
        shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns("*.safetensors"))
    )


def run(script: str, folder: Path, **settings: str) -> str:
    """What a Python program in this folder prints, which has to end well."""
    environment = clean_environment() | {"UPSCALE_PRECISION": "exact"} | settings
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipe_of_an_architecture(tmp_path: Path) -> None:
    """One file and one line, and a file of that architecture is read and run, by OpenVINO where that is installed."""
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
        assert "cpu (OpenVINO)" in printed and "does not know" not in printed


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
    assert [*row][place + 1 : place + 3] == ["niqe", "dists"], "in the order in which they came"
    assert {*[*row][place + 3 : place + 5]} == {"mae", "contrast"}, "after the scores that were there"
    assert 0 < row["mae"] < 20 < row["contrast"] and summary["mae"]["mean"] == row["mae"]
    page = (tmp_path / "report.html").read_text()
    assert "Mean absolute error" in page and "Flipped at x2: the original is turned upside down" in page
    (row,) = benchmarked(tmp_path, "--protocol", "no-original")["rows"]
    assert row["mae"] is None and row["contrast"] > 20
    assert "no original is known: nothing but consistency and contrast can be measured" in row["notes"]
    found = benchmarked(tmp_path, "--protocol", "no-original", "--models", "bicubic,nearest")["verdicts"]
    assert found["natural"]["text"].startswith("Most natural (Contrast): ") and found["ranked_by"] == "contrast"


# --- a tab --------------------------------------------------------------------------------------------------------


def test_the_tab_runs(tmp_path: Path) -> None:
    (code,) = CODE.findall(recipe("A tab"))
    (tmp_path / "twice.py").write_text(code)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "small.png")
    script = """
import gradio as gr, json, twice
from pathlib import Path
with gr.Blocks() as page, gr.Tab("Twice"):
    tab = twice.build(page)
first, *_, last = tab.run(Path("small.png"))
print(json.dumps([last[tab.result], last[tab.button.progress]]))
print(sum(event["targets"][0][0] == tab.button.run._id for event in page.config["dependencies"]))
"""
    result, clicks = run(script, tmp_path, PYTHONPATH=str(ROOT)).splitlines()
    facts, line = json.loads(result)
    assert "60 × 40" in facts and "Done." in line and int(clicks) >= 1


# --- names --------------------------------------------------------------------------------------------------------

MADE = {"NAME", "Store", "StoreSource", "sharpness", "store.py", "subpixel.py", "Twice"}  # what the recipes add
SPAN = re.compile(r"`([^`]+)`")
IN_A_FILE = re.compile(r"((?:`[^`]+`(?:, | and ))*`[^`]+`) (?:of|in) `([^`]+\.py)`")
IDENTIFIER = re.compile(r"(?<![\w.\"'-])[A-Za-z_]\w+(?:\.\w+)*(?![\w-])")
FILE = re.compile(r"[\w./-]+\.(?:py|md|json)")
PROSE = re.sub(r"^ *```.*?^ *```\n", "", EXTENDING, flags=re.DOTALL | re.MULTILINE)
ONE_LINE = re.sub(r"\s+", " ", PROSE)


def names_in(*paths: Path) -> set[str]:
    """Every name that these sources define, import or use."""
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            for field in ("id", "attr", "arg", "name"):
                found = getattr(node, field, None)
                names |= {found} if isinstance(found, str) else set()
    return names


def test_names_are_those_of_the_sources() -> None:
    """Those of a test's file are looked up there, by the next test."""
    sources = [path for folder in ("pipelines", "ui") for path in (ROOT / folder).rglob("*.py")]
    known = names_in(*sources) | {path.stem for path in sources} | {"pipelines", "ui"} | MADE | {*keyword.kwlist}
    of_tests = {span for names, file in IN_A_FILE.findall(ONE_LINE) if "tests/" in file for span in SPAN.findall(names)}
    unknown = []
    for span in SPAN.findall(ONE_LINE):
        if not FILE.fullmatch(span) and not span.startswith("python -m") and span not in of_tests:
            names = IDENTIFIER.findall(re.sub(r'"[^"]*"', "", span))
            unknown += [name for name in names if not {*name.split(".")} <= known]
    assert unknown == []


def test_names_are_in_the_files_that_are_said_to_have_them() -> None:
    checked = 0
    for names, file in IN_A_FILE.findall(ONE_LINE):
        if "NAME" in file or Path(file).name in MADE:
            continue
        known = names_in(ROOT / file)
        for span in SPAN.findall(names):
            assert re.split(r"\W", span)[0] in known, (span, file)
            checked += 1
    assert checked > 15


def test_files_that_are_named_exist() -> None:
    for span in SPAN.findall(ONE_LINE):
        if FILE.fullmatch(span) and "NAME" not in span and Path(span).name not in MADE:
            assert (ROOT / span).is_file() or any(ROOT.rglob(f"tests/**/{span}")), span


def test_the_examples_import_what_there_is() -> None:
    """From modules of the sources; those that a recipe makes itself are run by the tests above."""
    checked = 0
    for code in re.findall(r"^(?:\+|)(from (?:pipelines|ui)\S* import .*)$", EXTENDING, re.MULTILINE):
        (node,) = ast.parse(code).body
        assert isinstance(node, ast.ImportFrom) and node.module
        path = ROOT.joinpath(*node.module.split("."))
        for alias in node.names:
            module = path / f"{alias.name}.py"
            if f"# {module.relative_to(ROOT)}\n" in EXTENDING or f"{module.relative_to(ROOT)}`" in EXTENDING:
                continue
            if f"# {path.relative_to(ROOT)}.py\n" not in EXTENDING:
                assert module.is_file() or alias.name in names_in(path.with_suffix(".py")), code
                checked += 1
    assert checked > 10
