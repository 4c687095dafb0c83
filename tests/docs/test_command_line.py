"""docs/command-line.md: each option of the commands that it has tables for is in the command's table."""

import re
from pathlib import Path

import pytest

from pipelines.cli.main import main

TEXT = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


@pytest.mark.parametrize(
    ("command", "heading"),
    [("upscale", "upscale and chain"), ("chain", "upscale and chain"), ("benchmark", "benchmark")],
)
def test_every_option_is_explained(command: str, heading: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)) - {"--debug"}
    table = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    explained = set(re.findall(r"--[a-z-]+", "".join(re.findall(r"^\| ([^|]*)", table, re.MULTILINE))))
    assert options and options <= explained
