"""Training on made pictures: the loss falls, a killed run goes on, what is exported computes what was trained."""

# ruff: noqa: E402 -- torch comes first: without it there is nothing to test

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
load_file = pytest.importorskip("safetensors.torch").load_file

from pipelines.errors import BadSetting, BadWeights, TrainingStopped
from pipelines.networks.archs.swift import Swift
from pipelines.networks.checkpoints import build_network, read_network
from training import checkpoint, data
from training.__main__ import main
from training.branches import BranchedConv, collapse
from training.checkpoint import Config
from training.export import Story, export
from training.losses import psnr_y
from training.score import score_files
from training.trainer import Trained, build_for_training, rate_at, train

TINY = Config("swift", 2, width=8, depth=2, steps=20, batch=4, patch=8, rate=3e-3, seed=1, data="4 files")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of soft stripes and edges."""
    down, across = np.mgrid[:48, :64]
    made = tmp_path / "made"
    made.mkdir()
    for turn in range(4):
        waves = np.sin((across * np.cos(turn) + down * np.sin(turn)) / 3)
        colours = np.stack([waves, np.sign(waves), -waves], -1) * 100 + 128
        Image.fromarray(colours.astype(np.uint8)).save(made / f"{turn}.png")
    return made


def command(folder: Path, *more: str) -> list[str]:
    """A tiny run below the folder."""
    small = ["--steps", "20", "--every", "10", "--batch", "4", "--patch", "8", "--rate", "3e-3"]
    places = ["--data", str(folder), "--runs", str(folder.parent / "runs"), "--out", str(folder.parent / "out")]
    return ["swift", "--scale", "2", "--width", "8", "--depth", "2", *small, *places, *more]


def test_loss_falls_and_what_is_written_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder)) == 0
    losses = [float(found) for found in re.findall(r"loss (\S+)", capsys.readouterr().out)]
    assert losses[-1] < 0.9 * losses[0]
    path = folder.parent / "out" / "swift-x2.safetensors"
    network = read_network(path)
    assert network(torch.rand(1, 3, 5, 9)).shape == (1, 3, 10, 18)
    score_files([path], [folder])
    score_files([path], [folder])
    document = path.with_suffix(".md").read_text()
    assert (
        document.count("## Scores") == 1
        and "made (4)" in document
        and "python -m training swift" in document
        and "--out" not in document
    )


def test_killed_run_goes_on_to_the_same_result(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patches, held_out, _ = data.load(data.find_pictures([folder]), 2, 8)
    whole = train(TINY, patches, held_out, tmp_path / "whole.pt", every=5)

    def killed(line: str) -> None:
        if line.startswith("step 15"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, patches, held_out, tmp_path / "killed.pt", every=5, log=killed)
    assert checkpoint.read(tmp_path / "killed.pt").step == 10
    resumed = train(TINY, patches, held_out, tmp_path / "killed.pt", every=5)
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_branches_collapse_to_the_same_function() -> None:
    torch.manual_seed(0)
    trained = Swift(3, 12, 3, BranchedConv)
    picture = torch.rand(2, 3, 20, 17)
    with torch.no_grad():
        plain = build_network(collapse(trained), "made")
        torch.testing.assert_close(plain(picture), trained(picture), rtol=0, atol=1e-5)


def test_patches_are_where_they_should_be(folder: Path) -> None:
    """A patch of the large picture, shrunk, is the small one's, up to what lies beyond its border."""
    patches, _, _ = data.load(data.find_pictures([folder]), 2, 8)
    low, high = patches.batch(6, 16, seed=3)
    again = torch.nn.functional.interpolate(high, size=(16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(again[..., 3:-3, 3:-3], low[..., 3:-3, 3:-3], rtol=0, atol=1.5 / 255)


def test_psnr_of_a_constant_error() -> None:
    """An error of 10 in each channel is one of 10 * 219 / 255 in luma."""
    original = torch.full((1, 3, 12, 12), 100 / 255)
    assert psnr_y(original + 10 / 255, original, 2) == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)), abs=1e-4)


def test_rate_warms_up_and_falls() -> None:
    long = replace(TINY, steps=10_000)
    assert rate_at(long, 0) < rate_at(long, 150) < rate_at(long, 250) > rate_at(long, 9_999)


def test_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path)) == 1
    assert "No images" in capsys.readouterr().err
    assert main(command(tmp_path / "nowhere")) == 1
    assert "no folder" in capsys.readouterr().err


def test_broken_and_small_pictures_are_left_out_and_named(folder: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:200])
    Image.new("RGB", (15, 40)).save(folder / "small.png")
    patches, held_out, notes = data.load(data.find_pictures([folder]), 2, 8)
    assert len(held_out) == 1 and patches.largest == 24
    assert any("broken.png" in note for note in notes) and any("small.png" in note for note in notes)
    with pytest.raises(BadSetting, match=r"smaller than a patch of 400"):
        data.load(data.find_pictures([folder]), 2, 200)


def test_checkpoint_of_another_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder)) == 0
    assert main(command(folder, "--seed", "5")) == 1
    assert "seed 0 there, 5 here" in capsys.readouterr().err


def test_start_takes_equal_layers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder)) == 0
    start = folder.parent / "runs" / "swift-x2.pt"
    assert main(command(folder, "--scale", "3", "--start", str(start))) == 0
    assert "12 of 16 tensors taken" in capsys.readouterr().out
    start.write_bytes(b"no checkpoint")
    assert main(command(folder, "--scale", "4", "--start", str(start))) == 1
    assert "not a checkpoint" in capsys.readouterr().err


def test_what_starts_from_another_scale_keeps_its_own(folder: Path) -> None:
    """Nothing but a number in SRCNN's file tells its scale."""
    places = ["--data", str(folder), "--runs", str(folder.parent / "runs"), "--out", str(folder.parent / "out")]
    small = ["--steps", "2", "--batch", "2", "--patch", "8", *places]
    assert main(["srcnn", "--scale", "2", *small]) == 0
    start = str(folder.parent / "runs" / "srcnn-x2.pt")
    assert main(["srcnn", "--scale", "3", "--start", start, *small]) == 0
    assert read_network(folder.parent / "out" / "srcnn-x3.safetensors").scale == 3
    card = (folder.parent / "out" / "srcnn-x3.md").read_text()
    assert "Round 1" in card and "Round 2" in card and card.count("python -m training srcnn --scale 2") == 1


def test_loss_that_is_no_number_keeps_the_last_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches, held_out, _ = data.load(data.find_pictures([folder]), 2, 8)
    real = data.Patches.batch

    def poisoned(self: data.Patches, count: int, patch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        low, high = real(self, count, patch, seed)
        return low, high * (torch.nan if seed % 1_000_003 >= 12 else 1)

    monkeypatch.setattr(data.Patches, "batch", poisoned)
    with pytest.raises(TrainingStopped, match="before step 15"):
        train(TINY, patches, held_out, tmp_path / "run.pt", every=5)
    saved = checkpoint.read(tmp_path / "run.pt")
    assert saved.step == 10
    assert all(value.isfinite().all() for value in saved.network.values())


def test_weights_that_are_no_numbers_are_neither_kept_nor_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last loss was still one: it is measured before the step that breaks the network."""
    assert main(command(folder, "--steps", "1", "--rate", "1e38")) == 1
    assert capsys.readouterr().err.startswith(
        "The loss or the network stopped being numbers before step 1. Try a lower"
    )
    assert not list((folder.parent / "runs").iterdir()) and not list((folder.parent / "out").iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        *(["--steps", "0"], ["--steps", "-5"], ["--steps", "many"], ["--every", "0"], ["--batch", "0"]),
        *(["--patch", "-4"], ["--rate", "0"], ["--rate", "nan"], ["--rate", "inf"], ["--rate", "-1"], ["--seed", "-1"]),
        *(["--seed", "9" * 20], ["--width", "0"], ["--depth", "0"], ["--depth", "257"], ["--batch", "1000000"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_at_once(folder: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(command(folder, *wrong))
    assert left.value.code == 2 and f"argument {wrong[0]}" in capsys.readouterr().err
    assert not (folder.parent / "runs").exists()


@pytest.mark.parametrize("place", ["--out", "--runs"])
def test_a_folder_that_cannot_be_written_is_told_before_training(
    folder: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "file").write_bytes(b"")
    assert main(command(folder, place, str(folder.parent / "file" / "below"))) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("Nothing can be written to ") and shown.err.count("\n") == 1 and "step" not in shown.out


DAMAGED = {
    "config": {"config": [1]},
    "steps": {"step": "some"},
    "rounds": {"rounds": [{"hours": 1}]},
    "network": {"network": {"first.bias": 3}},
    "shapes": {"average": {"first.bias": torch.ones(3)}},
    "optimizer": {"optimizer": {"state": {}}},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_checkpoint_is_one_sentence(folder: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder)) == 0
    path = folder.parent / "runs" / "swift-x2.pt"
    torch.save(torch.load(path, weights_only=True) | DAMAGED[damage], path)
    capsys.readouterr()
    assert main(command(folder)) == 1
    shown = capsys.readouterr().err
    assert "swift-x2.pt is damaged" in shown and shown.count("\n") == 1


def test_rounds_are_remembered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is gone on with still tells what it started from, which need not be there any more."""
    assert main(command(folder)) == 0
    start = folder.parent / "runs" / "swift-x2.pt"
    again = command(folder, "--start", str(start), "--seed", "3", "--runs", str(folder.parent / "second"))
    assert main(again) == 0
    start.unlink()
    card = folder.parent / "out" / "swift-x2.md"
    first = card.read_text()
    assert main(again) == 0
    assert "going on from step 20" in capsys.readouterr().out
    assert card.read_text() == first and first.count("python -m training swift") == 2
    assert "started from | swift-x2" in first and "--seed 3 --start swift-x2.pt --data made" in first


def test_a_start_that_is_not_there_or_of_another_kind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "--start", str(folder / "nothing.pt"))) == 1
    assert "There is no checkpoint" in capsys.readouterr().err
    assert main(command(folder)) == 0
    start = folder.parent / "runs" / "swift-x2.pt"
    assert (
        main(["srcnn", *command(folder, "--start", str(start))[1:3], *command(folder, "--start", str(start))[7:]]) == 1
    )
    assert "has no layer that this network could take over" in capsys.readouterr().err


def test_pictures_are_read_as_everywhere_here(tmp_path: Path) -> None:
    """Sixteen bits as what they mean, turned upright, transparency left out; each file once."""
    ramp = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "fine.png")
    assert np.abs(np.asarray(data.read_picture(tmp_path / "fine.png"))[..., 0] - ramp / 257).max() <= 0.51
    turned = Image.new("RGBA", (30, 40), (10, 20, 30, 0))
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=turned.getexif())
    picture = data.read_picture(tmp_path / "turned.png")
    assert picture.size == (40, 30) and picture.getpixel((3, 3)) == (10, 20, 30)
    (tmp_path / "below").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "below" / "small.png")
    assert len(data.find_pictures([tmp_path, tmp_path / "below", tmp_path])) == 3


def test_half_precision_only_where_it_costs_nothing(folder: Path, tmp_path: Path) -> None:
    """A kernel too large for float16 makes the file float32; an ordinary one is halved."""
    _, held_out, _ = data.load(data.find_pictures([folder]), 2, 8)
    story = Story("made", "")
    network = build_for_training(TINY)
    assert read_type(export(Trained(network, ()), TINY, held_out, story, tmp_path)) == torch.float16
    with torch.no_grad():
        network.first.bias.fill_(1e5)
    assert read_type(export(Trained(network, ()), TINY, held_out, story, tmp_path)) == torch.float32


def read_type(path: Path) -> torch.dtype:
    return load_file(path)["first.weight"].dtype


def test_not_a_network_of_ours(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadWeights):
        read_network(tmp_path / "x.safetensors")


def test_seed_decides_the_start() -> None:
    one, other, third = (build_for_training(replace(TINY, seed=seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(one["first.straight"], third["first.straight"])
