"""What a run starts from and learns from: a written file computes the same in training, a teacher is heeded."""

# ruff: noqa: E402 -- torch comes first: without it there is nothing to test

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file

from pipelines.errors import BadSetting
from pipelines.networks.archs.swift import Swift
from pipelines.networks.checkpoints import read_network
from tests.support.networks import drawn
from tests.training.test_training import TINY, command
from tests.training.test_training import folder as folder  # the made images
from training import data
from training.__main__ import main
from training.branches import collapse
from training.starting import take_layers
from training.teaching import teach
from training.trainer import build_for_training


def with_drawn(network: Swift) -> Swift:
    network.load_state_dict(drawn({name: tuple(value.shape) for name, value in network.state_dict().items()}))
    return network


def write(path: Path, network: torch.nn.Module) -> Path:
    save_file({name: value.clone() for name, value in network.state_dict().items()}, path)
    return path


def test_a_written_file_computes_the_same_in_its_training_form(tmp_path: Path) -> None:
    written = with_drawn(Swift(2, 8, 2))
    network = build_for_training(TINY)
    told, rounds = take_layers(network, write(tmp_path / "swift.safetensors", written))
    assert told == "16 of 16 tensors taken from swift.safetensors" and rounds == ()
    plain = collapse(network)
    for name, value in written.state_dict().items():
        torch.testing.assert_close(plain[name], value)


def test_layers_of_another_size_are_not_half_taken(tmp_path: Path) -> None:
    """The last layer's bias would be taken at x3 from x2 where the two have as many outputs by chance."""
    network = build_for_training(TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    told, _ = take_layers(network, write(tmp_path / "swift.safetensors", with_drawn(Swift(3, 8, 1))))
    assert told == "8 of 16 tensors taken from swift.safetensors"
    for name, value in network.state_dict().items():
        if name.endswith(("straight", "bias")):
            assert torch.equal(value, before[name]) == name.startswith(("last", "body.1")), name


def test_a_written_file_brings_the_rounds_of_its_card(folder: Path) -> None:
    assert main(command(folder)) == 0
    start = folder.parent / "out" / "swift-x2.safetensors"
    again = command(folder, "--start", str(start), "--seed", "3", "--runs", str(folder.parent / "second"))
    assert main([*again, "--out", str(folder.parent / "again")]) == 0
    card = (folder.parent / "again" / "swift-x2.md").read_text()
    assert card.count("python -m training swift") == 2 and "Round 2" in card
    assert "--seed 3 --start swift-x2.safetensors --data made" in card and "distilled" not in card


@pytest.mark.parametrize("content", [None, b"", b"no such thing"], ids=["missing", "empty", "other"])
def test_a_start_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "swift.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSetting, match=r"swift\.safetensors"):
        take_layers(build_for_training(TINY), path)


def test_the_teachers_share_is_in_what_is_learned(folder: Path, tmp_path: Path) -> None:
    patches, _, _ = data.load(data.find_pictures([folder]), 2, 8)
    path = write(tmp_path / "teacher.safetensors", with_drawn(Swift(2, 8, 1)))
    taught = teach(patches, path, 0.25, log=lambda line: None)
    assert torch.equal(taught.low, patches.low)
    number = len(patches.size) - 1  # the last image: its place is right only if all before it are
    (height, width), start = patches.size[number].tolist(), int(patches.start[number])
    low = patches.low[start : start + height * width].numpy().reshape(height, width, 3)
    with torch.inference_mode():
        output = read_network(path)(torch.from_numpy(low.transpose(2, 0, 1)[None].astype(np.float32)) / 255)
    theirs = output[0].clamp(0, 1).mul(255).permute(1, 2, 0).reshape(-1, 3)
    expected = (0.25 * theirs + 0.75 * patches.high[start * 4 :].float()).round()
    assert (taught.high[start * 4 :].float() - expected).abs().max() <= 1


def test_a_run_with_a_teacher_says_so_in_the_card(folder: Path, tmp_path: Path) -> None:
    teacher = write(tmp_path / "large.safetensors", with_drawn(Swift(2, 12, 2)))
    assert main(command(folder, "--teacher", str(teacher), "--teacher-share", "0.75")) == 0
    card = (folder.parent / "out" / "swift-x2.md").read_text()
    assert "| distilled from | large.safetensors, whose output is 75% of the target |" in card
    assert "--teacher large.safetensors --teacher-share 0.75 --data made" in card


def test_a_teacher_that_cannot_teach_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write(folder.parent / "other.safetensors", with_drawn(Swift(3, 8, 1)))
    assert main(command(folder, "--teacher", str(other))) == 1
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("other.safetensors upscales by 3: it cannot teach a network that does by 2.")
    )
    assert main(command(folder, "--teacher", str(folder / "nothing.pth"))) == 1
    assert "nothing.pth" in capsys.readouterr().err
    assert main(command(folder, "--teacher", str(other), "--degradations", "mixed")) == 1
    assert "A teacher works on clean small images" in capsys.readouterr().err
    monkeypatch.setattr(Swift, "multiple", 2)
    unfit = write(folder.parent / "unfit.safetensors", with_drawn(Swift(2, 8, 1)))
    assert main(command(folder, "--teacher", str(unfit))) == 1
    assert "unfit.safetensors takes no images of odd sizes: it cannot teach." in capsys.readouterr().err
    for wrong in ("0", "1.5", "nan"):
        with pytest.raises(SystemExit):
            main(command(folder, "--teacher", str(other), "--teacher-share", wrong))
        assert "must be above 0 and at most 1" in capsys.readouterr().err
