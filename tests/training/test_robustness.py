"""The table over kernels and JPEG qualities, on made pictures: what is in it is what the product makes."""

# ruff: noqa: E402 -- torch comes first: without it there is nothing to test

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

torch = pytest.importorskip("torch")

from performance import measuring, robustness
from pipelines.networks.archs.swift import Swift
from training.degradations import SHRINK_BY_KERNEL, Degradation, degrade


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small pictures of soft waves, one of them no multiple of the scale."""
    for number, (height, width) in enumerate([(48, 64), (50, 57)]):
        down, across = np.mgrid[:height, :width]
        waves = np.stack([np.sin(down / 3 + across / 5 + turn) for turn in range(3)], -1)
        Image.fromarray((waves * 100 + 128).astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_every_kernel_is_in_the_table() -> None:
    assert {by.kernel for by in robustness.CASES} == set(SHRINK_BY_KERNEL)
    assert len({by.name for by in robustness.CASES}) == len(robustness.CASES)


def test_table_is_of_what_the_product_makes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = tmp_path / "RESULTS.md"
    monkeypatch.setattr(measuring, "RESULTS", results)
    monkeypatch.setattr(robustness, "CASES", [Degradation("area"), Degradation("opencv-cubic", 80)])
    robustness.main([str(folder), "--scale", "2", "--models", "nearest", "--most", "2", "--crop", "40"])
    text = results.read_text()
    assert "## Pictures as people have them, x2" in text and "| shrunk by | bicubic | lanczos | nearest |" in text
    assert "| area | " in text and "| opencv-cubic, JPEG 80 | " in text
    first = np.asarray(Image.open(folder / "0.png"))[4:44, 12:52]
    low = degrade(first, 2, Degradation("area"))
    nearest = low.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(robustness.enlarge_by_model("nearest", 2, low), nearest)


def test_a_file_that_is_in_no_table_is_only_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = Swift(2, 8, 2)
    save_file(network.state_dict(), folder / "tried.safetensors")
    monkeypatch.setattr(robustness, "write_section", lambda *_: pytest.fail("written"))
    monkeypatch.setattr(robustness, "CASES", [Degradation("area")])
    file = str(folder / "tried.safetensors")
    robustness.main([str(folder), "--scale", "2", "--models", "bicubic", "--files", file, "--crop", "40"])
    assert "| shrunk by | bicubic | lanczos | tried |" in capsys.readouterr().out
    low = np.random.default_rng(0).integers(0, 256, (12, 15, 3), np.uint8)
    _, enlarge = robustness.read_candidate(folder / "tried.safetensors")
    with torch.no_grad():
        plain = network(torch.from_numpy(low).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0).numpy()
    assert np.abs(enlarge(low) - plain.clip(0, 1) * 255).max() <= 2


def test_distance_is_to_the_better_kernel() -> None:
    scores = {"bicubic": 30.0, "lanczos": 30.5, "swift": 31.25}
    assert robustness.describe_case("area", scores) == ["area", "30.00", "30.50", "31.25 (+0.75)"]
