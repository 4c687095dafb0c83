"""Mixed degradations: each kernel does what its name says, and small patches lie where the large ones do."""

# ruff: noqa: E402 -- torch comes first: without it there is nothing to test

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from pipelines.networks.checkpoints import read_network
from tests.training.test_training import command
from training import checkpoint, mixed
from training.__main__ import main
from training.checkpoint import Config
from training.data import find_pictures
from training.degradations import (
    AS_IT_IS,
    SHRINK_BY_KERNEL,
    Degradation,
    Pixels8,
    compress_jpeg,
    degrade,
    draw_damage,
    draw_degradation,
)
from training.trainer import train

TINY = Config(
    "swift", 2, width=8, depth=2, steps=10, batch=4, patch=8, rate=3e-3, seed=1, data="4 files", degradations="mixed"
)
CENTRED = [kernel for kernel in SHRINK_BY_KERNEL if not kernel.startswith("nearest")]


def soft(height: int, width: int) -> Pixels8:
    """A picture of slow waves, which every kernel shrinks nearly alike."""
    down, across = np.mgrid[:height, :width]
    waves = [np.sin(down / 19 + across / 23 + turn) for turn in range(3)]
    return (np.stack(waves, -1) * 100 + 128).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four soft pictures."""
    made = tmp_path / "made"
    made.mkdir()
    for number in range(4):
        Image.fromarray(soft(112 + 16 * number, 96)).save(made / f"{number}.png")
    return made


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel", CENTRED)
def test_a_centred_kernel_gives_back_a_ramp(kernel: str, scale: int) -> None:
    """What rises by one a pixel has, after shrinking, the mean of each block: no kernel moves the picture."""
    ramp = np.tile(np.arange(0, 240, dtype=np.uint8)[:, None, None], (1, 48, 3))
    low = degrade(ramp, scale, Degradation(kernel))[4:-4, 4:-4].astype(float)
    means = (np.arange(240 // scale) * scale + (scale - 1) / 2)[4:-4]
    assert np.abs(low[:, 0, 0] - means).max() <= 1


@pytest.mark.parametrize(("kernel", "row"), [("nearest", 0), ("nearest-behind", 1)])
def test_the_nearest_pixel_is_one_of_the_middle_two(kernel: str, row: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(degrade(picture, 2, Degradation(kernel)), picture[row::2, row::2])


def test_antialiased_kernels_leave_nothing_of_what_is_too_fine() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8)[None, :, None], (64, 32, 3))[:, 1:-1]
    seen = {
        kernel: np.ptp(degrade(stripes, 2, Degradation(kernel))[8:-8, 8:-8].astype(float))
        for kernel in SHRINK_BY_KERNEL
    }
    assert max(seen[kernel] for kernel in ("bicubic", "lanczos", "bilinear", "area")) <= 2
    picture = np.kron(np.random.default_rng(0).integers(0, 2, (32, 32, 1)), np.ones((1, 1, 3))).astype(np.uint8) * 255
    spread = {kernel: degrade(picture, 4, Degradation(kernel)).std() for kernel in SHRINK_BY_KERNEL}
    assert spread["opencv-cubic"] > 1.5 * spread["bicubic"] and spread["blur"] < spread["opencv-linear"]


def test_jpeg_loses_more_the_lower_its_quality() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    lost = [np.abs(compress_jpeg(picture, quality).astype(int) - picture).mean() for quality in (40, 70, 97)]
    assert lost[0] > lost[1] > lost[2] > 0
    assert np.abs(compress_jpeg(picture, 97, 0).astype(int) - picture).mean() < lost[2]
    assert Degradation("area", 80).name == "area, JPEG 80" and Degradation("area").name == "area"


def test_all_kernels_and_qualities_are_drawn() -> None:
    random = np.random.default_rng(0)
    drawn = [draw_degradation(random) for _ in range(2000)]
    assert {each.kernel for each in drawn} == set(SHRINK_BY_KERNEL)
    qualities = [each.quality for each in drawn if each.quality is not None]
    assert (min(qualities), max(qualities)) == (40, 97) and 0.45 < len(qualities) / len(drawn) < 0.55


def test_noise_is_as_strong_as_it_says_and_before_jpeg() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = degrade(grey, 1, Degradation(AS_IT_IS, noise=25, seed=1)).astype(float) - 128
    assert (
        noisy.std() == pytest.approx(25, rel=0.02)
        and abs(np.corrcoef(noisy[..., 0].flat, noisy[..., 1].flat)[0, 1]) < 0.02
    )
    same = degrade(grey, 1, Degradation(AS_IT_IS, noise=25, grey_noise=True))
    np.testing.assert_array_equal(same[..., 0], same[..., 2])
    compressed = degrade(grey, 1, Degradation(AS_IT_IS, 10, noise=25, seed=1)).astype(float) - 128
    assert compressed.std() < 0.8 * noisy.std()
    assert Degradation(AS_IT_IS, 40, noise=25).name == "noise 25, JPEG 40" and Degradation(AS_IT_IS).name == "as it is"


def test_every_kind_of_damage_is_drawn() -> None:
    random = np.random.default_rng(0)
    drawn = [draw_damage(random) for _ in range(2000)]
    kinds = {(each.noise > 0, each.quality is not None) for each in drawn}
    assert len(kinds) == 4 and {each.kernel for each in drawn} == {AS_IT_IS}
    noises, qualities = [each.noise for each in drawn], [each.quality for each in drawn if each.quality]
    assert 50 < max(noises) <= 55 and (min(qualities), max(qualities)) == (10, 97)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_small_patches_lie_where_the_large_ones_do(folder: Path, scale: int) -> None:
    """Whatever its turn, a small patch of slow waves is the means of its large one, up to what JPEG loses."""
    patches, _, _ = mixed.load(find_pictures([folder]), scale, 12)
    patches = replace(patches, draw=lambda random: Degradation("area", 95, subsampling=0))
    low, high = patches.batch(64, 12, seed=5)
    assert low.shape == (64, 3, 12, 12) and high.shape == (64, 3, 12 * scale, 12 * scale)
    means = torch.nn.functional.avg_pool2d(high, scale)
    assert (low - means).abs().mean((1, 2, 3)).max() < 0.01


def test_a_seed_decides_the_batch(folder: Path) -> None:
    patches, _, _ = mixed.load(find_pictures([folder]), 2, 8)
    one, same, other = (patches.batch(8, 8, seed)[0] for seed in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("kernel", CENTRED)
def test_a_patch_is_degraded_as_the_whole_picture_is(folder: Path, kernel: str) -> None:
    """What lies around a patch is there when it is shrunk: no border is seen inside the picture."""
    by = Degradation(kernel)
    patches, _, _ = mixed.load(find_pictures([folder]), 2, 8)
    patches = replace(patches, draw=lambda random: by)
    wholes = [degrade(picture, 2, by) for picture in patches.pictures]
    low, _ = patches.batch(16, 8, seed=1)
    turned = [_turns(patch) for patch in (low * 255).round().byte().permute(0, 2, 3, 1).numpy()]
    assert all(any(_holds(whole, patch) for whole in wholes for patch in each) for each in turned)


def _turns(patch: Pixels8) -> list[Pixels8]:
    flips = [patch, patch[::-1], patch[:, ::-1], patch[::-1, ::-1]]
    return [*flips, *(each.swapaxes(0, 1) for each in flips)]


def _holds(whole: Pixels8, patch: Pixels8) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(whole.astype(int), patch.shape)
    return bool((np.abs(windows - patch) <= 1).all(axis=(2, 3, 4, 5)).any())  # turned, a sum may round otherwise


def test_killed_run_goes_on_to_the_same_result(folder: Path, tmp_path: Path) -> None:
    patches, held_out, _ = mixed.load(find_pictures([folder]), 2, 8)
    assert len(held_out) == 2
    whole = train(TINY, patches, held_out, tmp_path / "whole.pt", every=5, log=lambda _: None)

    def killed(line: str) -> None:
        if line.startswith("step 10"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, patches, held_out, tmp_path / "killed.pt", every=5, log=killed)
    assert checkpoint.read(tmp_path / "killed.pt").step == 5
    resumed = train(TINY, patches, held_out, tmp_path / "killed.pt", every=5, log=lambda _: None)
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_command_writes_files_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "--degradations", "mixed")) == 0
    path = folder.parent / "out" / "swift-mixed-x2.safetensors"
    assert read_network(path).scale == 2 and (folder.parent / "runs" / "swift-mixed-x2.pt").exists()
    card = path.with_suffix(".md").read_text()
    assert "9 kernels; 50% as JPEG of quality 40 to 97" in card and "--degradations mixed" in card
