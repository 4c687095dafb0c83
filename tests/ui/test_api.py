"""The API is a promise: its signature is kept in api.json, and the examples of docs/api.md are run.

python -m tests.ui.test_api    writes api.json anew, after something was added
"""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import ROOT, smooth
from ui import page

SIGNATURE = Path(__file__).with_name("api.json")
NODE = ROOT / ".venv" / "node" / "node_modules"
EXAMPLES = dict(
    re.findall(r"^```(python|js|sh)\n(.*?)^```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL | re.MULTILINE)
)


def signature(info: dict[str, Any]) -> dict[str, Any]:
    """What a caller relies on: names, parameters and results, each with its type and choices."""

    def types(each: list[dict[str, Any]], name: str) -> dict[str, str]:
        return {one[name]: one["python_type"]["type"] for one in each}

    return {
        endpoint: {
            "parameters": types(told["parameters"], "parameter_name"),
            "returns": types(told["returns"], "label"),
        }
        for endpoint, told in info["named_endpoints"].items()
    }


def told(served: str, path: str) -> Any:
    with urllib.request.urlopen(f"{served}/gradio_api/{path}") as answer:
        return json.load(answer)


def test_the_signature_is_the_promised_one(served: str) -> None:
    given = signature(told(served, "info"))
    assert given == json.loads(SIGNATURE.read_text()), "if something was only added: python -m tests.ui.test_api"


def test_no_default_tells_of_the_server(served: str) -> None:
    (image, model, scale, *optional) = told(served, "info")["named_endpoints"]["/upscale"]["parameters"]
    assert not image["parameter_has_default"] and image["parameter_default"] is None
    assert (model["parameter_default"], scale["parameter_default"]) == ("swift", "x4")
    assert all(each["parameter_has_default"] and each["parameter_default"] in (None, False) for each in optional)


def test_the_openapi_page_lists_the_api(served: str) -> None:
    paths = told(served, "openapi.json")["paths"]
    assert {"/gradio_api/call/v2/upscale", "/gradio_api/call/v2/models"} <= paths.keys()


@pytest.mark.parametrize("language", ["python", "js", "sh"])
def test_the_example_in_the_documentation_runs(language: str, served: str, tmp_path: Path) -> None:
    """As it stands there, but for the address."""
    commands = {"python": [sys.executable, "x.py"], "js": ["node", "x.mjs"], "sh": ["sh", "x.sh"]}
    if language == "js":
        if shutil.which("node") is None or not NODE.is_dir():
            pytest.skip("node or @gradio/client is not installed")
        (tmp_path / "node_modules").symlink_to(NODE)
    command = commands[language]
    (tmp_path / command[1]).write_text(EXAMPLES[language].replace("http://127.0.0.1:7860", served))
    images.write(Picture(smooth(20, 30)), tmp_path / "in.jpg")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert images.read(tmp_path / "out.png").pixels.shape == (40, 60, 3)


if __name__ == "__main__":
    SIGNATURE.write_text(json.dumps(signature(page.build().get_api_info()), indent=4) + "\n")
