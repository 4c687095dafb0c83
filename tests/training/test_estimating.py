"""Training what cleans and what judges, on made pictures: what is told of a patch is what was done to it."""

# ruff: noqa: E402 -- torch comes first: without it there is nothing to test

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from pipelines.networks.archs import estimate
from pipelines.networks.archs.estimate import CLASSES
from pipelines.networks.checkpoints import read_network
from pipelines.networks.file import read_tensors
from training.__main__ import main
from training.degradations import AS_IT_IS, SHRINK_BY_KERNEL, Degradation
from training.estimating import CLASS_OF, UNKNOWN, JudgedPatches, describe, estimate_loss


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures with room for a patch of 24 px at x4."""
    random = np.random.default_rng(0)
    made = tmp_path / "made"
    made.mkdir()
    for number in range(2):
        small = random.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(small).resize((147, 121), Image.Resampling.BICUBIC).save(made / f"{number}.png")
    return made


def command(name: str, folder: Path, *more: str) -> list[str]:
    small = ["--steps", "8", "--every", "4", "--batch", "2", "--patch", "24", "--exact"]
    places = ["--data", str(folder), "--runs", str(folder.parent / "runs"), "--out", str(folder.parent / "out")]
    return [name, *small, *places, *more]


def test_every_kernel_has_a_class() -> None:
    assert CLASS_OF.keys() == SHRINK_BY_KERNEL.keys() and set(CLASS_OF.values()) == set(CLASSES)


def test_what_was_done_is_told() -> None:
    assert describe(Degradation("area", 80)) == (CLASSES.index("averaged"), 0.8, 0)
    kind, quality, noise = describe(Degradation(AS_IT_IS, noise=9))
    assert (kind, quality, noise) == (UNKNOWN, 1, pytest.approx(np.log(10)))


def test_patches_have_every_kind() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (144, 144, 3), np.uint8)
    low, told = JudgedPatches([picture]).batch(60, 24, seed=0)
    assert low.shape == (60, 1, 24, 24) and told.shape == (60, 3)
    assert set(told[:, 0].int().tolist()) == {UNKNOWN, *range(len(CLASSES))}
    assert (told[:, 1] < 1).any() and (told[:, 2] > 0).any()
    assert torch.equal(low, JudgedPatches([picture]).batch(60, 24, seed=0)[0])


def test_what_was_not_shrunk_teaches_no_class() -> None:
    truth = torch.tensor([[UNKNOWN, 0.8, 1.0], [1, 1.0, 0.0]])
    right = torch.tensor([[5.0, 0, 0, 0, 0, 0.8, 1.0], [0, 50.0, 0, 0, 0, 1.0, 0.0]])
    assert estimate_loss(right, truth) == pytest.approx(0, abs=1e-6)
    right[1, :2] = torch.tensor([50.0, 0.0])
    assert estimate_loss(right, truth) == pytest.approx(25)


def test_the_judge_is_trained_and_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("estimate", folder)) == 0
    assert re.search(r"step 8/8  loss \S+  careful or not told right 0\.\d+", capsys.readouterr().out)
    path = folder.parent / "out" / "swift-estimate.safetensors"
    network = estimate.build({key: value.float() for key, value in read_tensors(path).items()})
    assert network(torch.rand(1, 1, 40, 50)).isfinite().all()
    assert "python -m training estimate --steps 8" in path.with_suffix(".md").read_text()


def test_the_cleaner_is_trained_and_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("autoencoder", folder, "--width", "6", "--depth", "1", "--steps", "16", "--rate", "5e-2")) == 0
    scores = [float(found) for found in re.findall(r"PSNR-Y (\S+) dB", capsys.readouterr().out)]
    assert len(set(scores)) > 1, "it learns, for good or bad"
    path = folder.parent / "out" / "cleaner.safetensors"
    network = read_network(path)
    assert network.scale == 1 and network(torch.rand(1, 3, 8, 12)).shape == (1, 3, 8, 12)
    assert "35% with Gaussian noise" in path.with_suffix(".md").read_text()
