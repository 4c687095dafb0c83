"""--accept-licence: for one command, and without it nothing is done."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.catalog import supir as rows
from pipelines.cli import weights
from pipelines.cli.main import main
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.upscalers import loading
from tests.conftest import smooth
from tests.support.supir_parts import SHORTEST, save_supir


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("UPSCALE_ACCEPT", raising=False)
    monkeypatch.setattr(rows, "SHORTEST", SHORTEST)
    images.write(Picture(smooth(8, 12)), tmp_path / "in.png")
    yield
    loading._kept.clear()


def test_a_command_accepts_it_for_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(save_supir(tmp_path / "parts")))
    command = ["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", "supir", "--scale", "2"]
    command += ["--steps", "1", "--strength", "0.9"]
    capsys.readouterr()  # saving them tells how far it is
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.err.startswith("SUPIR is not for commercial use, and its licence") and told.err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()
    assert main([*command, "--accept-licence"]) == 0
    told = capsys.readouterr()
    assert "strength 0.9" in told.out and "licence" not in told.out + told.err
    assert images.read(tmp_path / "out.png").pixels.shape == (16, 24, 3)
    assert not os.environ.get("UPSCALE_ACCEPT") and main(command) == 1


def test_no_file_is_asked_for_without(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "pull", "bicubic", "supir"]) == 1
    assert "its licence must be accepted first" in capsys.readouterr().err
    monkeypatch.setattr(weights, "list_keys", lambda: ["bicubic", "supir-f"])
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out.startswith("supir-f                     left out: SUPIR F is not for commercial use")
