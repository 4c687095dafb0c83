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


def test_both_protocols_have_the_benchmarks_own_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two images the means."""
    for name, sides in (("a.png", (96, 96)), ("b.png", (64, 96))):
        pipelines.write(Picture(smooth(*sides)), tmp_path / name)
    assert founding.main([str(tmp_path), "--models", "bicubic,swift"]) == 0
    printed = capsys.readouterr()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.out.splitlines()[2:]]
    chains = ["bicubic:4,bicubic:2", "swift:4,swift:2"]
    by_two = pipelines.benchmark(tmp_path, ["bicubic", "swift"], 2, repeats=0).rows
    by_eight = pipelines.benchmark(tmp_path, [], stages=chains, protocol="chained-8x", repeats=0).rows
    for first, rows, models in ((1, by_two, ["bicubic", "swift"]), (7, by_eight, chains)):
        for cells, model in zip(lines, models, strict=True):
            own = [row.as_dict() for row in rows if row.model == model]
            means = [sum(row[score] for row in own) / len(own) for score in ("mse", "ssim", "psnr_y", "ssim_y")]
            assert cells[first : first + 4] == [
                f"{mean:.{places}f}" for mean, places in zip(means, (1, 4, 2, 4), strict=True)
            ]
    assert printed.err == "", "nobody failed, and this is no terminal"


def test_who_failed_is_told_in_a_line_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    image = tmp_path / "image.png"
    pipelines.write(Picture(smooth(96, 96)), image)
    (tmp_path / "RealESRGAN_x2.pth").write_bytes(b"no weights")
    assert founding.main([str(image), "--models", "bicubic,real-esrgan"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[3].split("|")[1:8] == [" Real-ESRGAN ", *["  "] * 6]
    first, second = printed.err.splitlines()
    assert first.startswith("Real-ESRGAN at x2 failed on image.png: RealESRGAN_x2.pth ")
    assert second.startswith("Real-ESRGAN x4 then Real-ESRGAN x2 at x8 failed on image.png: RealESRGAN_x")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--models", "bicubik"], "did you mean bicubic?"),
        (["--models", "bicubic,supir"], "SUPIR is not for commercial use, and its licence must be accepted first"),
        (["--models", "bicubic", "--output", "nowhere/table.md"], "table.md cannot be written: the folder does not"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_anything_is_measured(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image.png"
    pipelines.write(Picture(smooth(96, 96)), image)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPSCALE_ACCEPT", raising=False)
    monkeypatch.setattr(founding.pipelines, "benchmark", lambda *images, **how: pytest.fail("it measures"))
    assert founding.main([str(image), *given]) == 1
    assert said in capsys.readouterr().err
