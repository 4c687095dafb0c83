"""The founding comparison's table: a row a model, by both protocols."""

from pathlib import Path

import pytest

import pipelines
from pipelines.images.picture import Picture
from tests.conftest import smooth
from tools import founding


def test_the_table_has_both_protocols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a model that lacks a scale what it has."""
    image, table = tmp_path / "image.png", tmp_path / "table.md"
    pipelines.write(Picture(smooth(96, 96)), image)
    assert founding.main([str(image), "--models", "bicubic,nearest,disp", "--output", str(table)]) == 0
    heads, _, bicubic, nearest, disp = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.read_text().splitlines()
    )
    assert heads[:4] == ["model", "x2 MSE", "x2 SSIM", "x2 PSNR Y"] and heads[7] == "x4, x2 MSE" and len(heads) == 13
    (row,) = pipelines.benchmark([image], ["bicubic"], 2, repeats=0).rows
    assert bicubic[:2] == ["Bicubic", f"{row.as_dict()['mse']:.1f}"]
    assert float(nearest[1]) > float(bicubic[1]) and float(nearest[7]) > float(bicubic[7]) > float(bicubic[1])
    assert disp == ["DISP", *[""] * 12]


def test_what_cannot_be_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert founding.main(["nowhere.png", "--models", "bicubik"]) == 1
    assert "did you mean bicubic?" in capsys.readouterr().err
