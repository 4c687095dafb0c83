"""Every environment variable is read in one place, and told in docs/deploy.md."""

import re
from pathlib import Path

from pipelines import settings

ROOT = Path(__file__).parents[1]
SOURCE = Path(settings.__file__).read_text()
TOLD = dict(re.findall(r"^\| `([A-Z_]+)` .* (\S+) \|$", (ROOT / "docs" / "deploy.md").read_text(), re.MULTILINE))


def test_every_environment_variable_is_told() -> None:
    assert set(TOLD) == set(re.findall(r'(?:get|_positive)\("([A-Z_]+)"', SOURCE))


def test_the_defaults_told_are_those_that_hold() -> None:
    defaults = dict(re.findall(r'_positive\("([A-Z_]+)", (\d+)\)', SOURCE))
    assert {name: default for name, default in TOLD.items() if default != "none"} == defaults


def test_settings_are_read_nowhere_else() -> None:
    for path in [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        assert path.name == "settings.py" or not re.search(r"environ|getenv|UPSCALE_[A-Z_]+\"", path.read_text()), path
