"""SRGAN whole, on made pictures: both losses move, what is written computes what was trained; and other networks."""

# ruff: noqa: E402 -- torch comes first: without it there is nothing to test

import math
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pipelines.errors import BadSetting, BadWeights
from pipelines.measuring.metrics import pixelwise
from pipelines.networks.archs import srgan
from pipelines.networks.checkpoints import build_network, read_network
from tests.support.networks import drawn
from tests.training.test_training import folder as folder  # the made pictures
from training import checkpoint, losses, perceptual
from training.__main__ import main
from training.adversary import Adversary, Discriminator
from training.losses import add_up, ms_ssim_loss, parse_losses
from training.perceptual import Vgg19, perceptual_loss, read_vgg
from training.srresnet import NormedSrgan, as_published

TINY_VGG = (2, 3, 4, 4, 4)


def command(name: str, folder: Path, *more: str) -> list[str]:
    small = ["--steps", "12", "--every", "4", "--batch", "4", "--patch", "8", "--rate", "2e-3", "--exact"]
    places = ["--data", str(folder), "--runs", str(folder.parent / "runs"), "--out", str(folder.parent / "out")]
    return [name, "--scale", "2", "--width", "8", "--depth", "1", *small, *places, *more]


@pytest.fixture
def tiny_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG19 of the true class with a few channels, in the place of the download."""
    torch.manual_seed(0)
    network = Vgg19(TINY_VGG)
    monkeypatch.setattr(perceptual, "read_vgg", lambda path=None: network)


@pytest.mark.usefixtures("tiny_vgg")
def test_both_losses_move_and_a_killed_run_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("srgan", folder)) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    told = [[float(each) for each in re.findall(r"(?:loss|adversary) (\S+)", line)] for line in lines]
    (loss, adversary), (_, later), (last, end) = told
    assert (
        last < loss and len({adversary, later, end}) == 3 and all(math.isfinite(each) for pair in told for each in pair)
    )
    path = folder.parent / "out" / "srgan-x2.safetensors"
    network = read_network(path)
    assert network.arch == "srgan" and network(torch.rand(1, 3, 5, 9)).shape == (1, 3, 10, 18)
    assert "| loss | vgg=1,adversarial=0.001 |" in path.with_suffix(".md").read_text()
    saved = checkpoint.read(folder.parent / "runs" / "srgan-x2.pt")
    assert saved.critic is not None and saved.critic["optimizer"]["state"]
    assert main(command("srgan", folder)) == 0
    assert "going on from step 12" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny_vgg")
def test_srgan_starts_from_srresnet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command("srresnet", folder)) == 0
    start = str(folder.parent / "runs" / "srresnet-x2.pt")
    assert main(command("srgan", folder, "--start", start, "--loss", "vgg=1,adversarial=0.001,tv=0.1")) == 0
    assert "21 of 21 tensors taken from srresnet-x2.pt" in capsys.readouterr().out
    card = (folder.parent / "out" / "srgan-x2.md").read_text()
    assert "--loss vgg=1,adversarial=0.001,tv=0.1" in card and "Round 2" in card


@pytest.mark.parametrize("name", ["rcan", "edsr-base"])
def test_other_networks_are_trained_too(name: str, folder: Path) -> None:
    assert main(command(name, folder, "--steps", "2")) == 0
    network = read_network(folder.parent / "out" / f"{name}-x2.safetensors")
    assert network.arch == name.removesuffix("-base") and network.scale == 2
    assert network(torch.rand(1, 3, 6, 5)).isfinite().all()


def test_folded_normalisation_computes_the_same() -> None:
    network = NormedSrgan(4, width=8, depth=2).eval()
    shapes = {key: tuple(value.shape) for key, value in plain_parts(network).items()}
    state = {key: value.abs() if key.endswith("running_var") else value for key, value in drawn(shapes).items()}
    network.load_state_dict(state, strict=False)
    plain = build_network(srgan.adapt(as_published(plain_parts(network), 2)), "made")
    picture = torch.rand(1, 3, 7, 6)
    with torch.no_grad():
        torch.testing.assert_close(plain(picture), network(picture), rtol=0, atol=1e-5)


def plain_parts(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}


def test_the_discriminator_is_the_papers() -> None:
    """Eight convolutions from 64 to 512 channels, 1024 in the dense layer, and any patch."""
    network = Discriminator()
    kernels = [value for value in network.parameters() if value.ndim == 4]
    assert [len(each) for each in kernels] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert network.head[0].in_features == 512 * 36 and network.head[0].out_features == 1024
    small = Discriminator(share=1 / 16).eval()
    assert all(small(torch.rand(2, 3, side, side + 8)).shape == (2, 1) for side in (16, 33, 96))


def test_the_adversary_learns_to_tell_apart_and_blames() -> None:
    adversary = Adversary(2e-3, seed=0, share=1 / 16)
    random = torch.Generator().manual_seed(0)
    made = torch.rand(8, 3, 16, 16, generator=random)
    originals = torch.rand(8, 3, 2, 2, generator=random).repeat_interleave(8, 2).repeat_interleave(8, 3)
    seen = [float(adversary.learn(made, originals)) for _ in range(20)]
    assert seen[0] == pytest.approx(2 * math.log(2), abs=0.5) and seen[-1] < 0.5 * seen[0]
    assert adversary.blame(made) > adversary.blame(originals)
    output = made.clone().requires_grad_()
    adversary.blame(output).backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None and output.grad.abs().max() > 0


def test_vgg_is_read_by_the_zoos_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Vgg19()
    names = [key for key in full.state_dict() if key.endswith("weight")]
    assert names[0] == "features.0.weight" and names[-1] == "features.34.weight" and len(names) == 16
    monkeypatch.setattr(perceptual, "WIDTHS", TINY_VGG)
    monkeypatch.setattr(perceptual.Vgg19.__init__, "__defaults__", (TINY_VGG,))
    torch.save(Vgg19().state_dict() | {"classifier.0.weight": torch.ones(3)}, tmp_path / "vgg.pth")
    network = read_vgg(tmp_path / "vgg.pth")
    loss, picture = perceptual_loss(network), torch.rand(1, 3, 32, 32)
    assert loss(picture, picture) == 0 < loss(picture, 1 - picture)
    torch.save({"features.0.weight": torch.ones(3)}, tmp_path / "vgg.pth")
    with pytest.raises(BadWeights, match=r"vgg\.pth does not hold VGG19"):
        read_vgg(tmp_path / "vgg.pth")


def test_losses_by_name() -> None:
    assert parse_losses("vgg=1,adversarial=1e-3") == {"vgg": 1, "adversarial": 0.001} and parse_losses("l1") == {
        "l1": 1
    }
    for wrong in ("", "l3", "l1=0", "l1=-1", "l1=nan", "l1=inf", "l1=much", "l1,l1"):
        with pytest.raises(BadSetting, match="is not a loss with its weight"):
            parse_losses(wrong)
    one, other = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.1)
    assert add_up({"l1": 2, "l2": 3}, {})(one, other) == pytest.approx(2 * 0.1 + 3 * 0.01)
    assert losses.negative_psnr(one, other) == pytest.approx(-20, abs=0.02)
    step = torch.zeros(1, 3, 4, 4)
    step[..., 2:, :] = 1
    assert losses.total_variation(step, step) == pytest.approx(1 / 3)


def test_a_loss_that_there_is_not_is_told_before_the_pictures_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("srresnet", folder, "--loss", "l3=2")) == 1
    assert capsys.readouterr().err.startswith("'l3=2' is not a loss with its weight")


def test_ms_ssim_is_the_metrics() -> None:
    """Of one channel and all five scales, as the benchmark computes it."""
    random = torch.Generator().manual_seed(0)
    one = torch.nn.functional.interpolate(torch.rand(1, 1, 24, 24, generator=random), (192, 192), mode="bilinear")
    other = (one + 0.1 * torch.rand(one.shape, generator=random)).clamp(0, 1)
    expected = pixelwise.ms_ssim(*(255 * each[0, 0].numpy().astype(float) for each in (one, other)))
    assert float(1 - ms_ssim_loss(one, other)) == pytest.approx(expected, abs=2e-3)
    small = torch.rand(1, 3, 8, 16, generator=random)
    assert 0 <= float(ms_ssim_loss(small.expand(1, 3, 8, 16), small)) < 1e-6
