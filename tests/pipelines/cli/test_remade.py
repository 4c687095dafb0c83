"""A picture of a diffusion model is made again from what its own file tells, by the command line and by the library."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.cli.main import main
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.networks import devices
from pipelines.networks.devices import Device
from pipelines.runs import finish
from tests.conftest import smooth, tiny_networks
from tests.support.diffusion_parts import saved

GREY = np.repeat(smooth(12, 16)[..., :1], 3, axis=2)
ALPHA = smooth(12, 16)[..., 1]
PICTURES = {
    "colour": Picture(smooth(12, 16)),
    "16-bit": Picture(smooth(12, 16) ** 2, depth=16),
    "grey": Picture(GREY, grey=True),
    "16-bit grey": Picture(GREY**2, grey=True, depth=16),
    "transparent": Picture(smooth(12, 16), alpha=ALPHA),
    "1x1": Picture(smooth(1, 1)),
}
GIVEN = {
    "nothing": [],
    "words": ["--prompt", " a cat 🐈\n\x1b“x” ", "--seed", 7, "--steps", 2],
    "all": [
        *(
            "--prompt",
            "a",
            "--negative",
            "dog",
            "--steps",
            3,
            "--guidance",
            2.5,
            "--noise-level",
            40,
            "--seed",
            2**32 - 1,
        ),
        *("--colour-fix", "adain", "--tile", 100),
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own weights with a tiny Stable Diffusion x4, and tiny networks beside it."""
    folder = tmp_path_factory.mktemp("own")
    saved(folder / "sd-x4")
    (folder / "sd-x4" / "tokenizer" / "special_tokens_map.json").write_text("{}")
    tiny_networks(folder)
    return folder


@pytest.fixture(autouse=True)
def _at_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    monkeypatch.setattr(devices, "choose_device", lambda light=False: Device("cpu"))


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def told(path: Path) -> dict[str, Any]:
    """What is written in the file of how it was made."""
    with Image.open(path) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        found: dict[str, Any] = json.loads(image.text["upscale-bench"])
    return found


def options(settings: dict[str, Any]) -> list[str]:
    """The settings as the command line takes them, each one that it has. `=`, because words may begin with a dash."""
    names = {"negative_prompt": "negative"}
    flags = {names.get(name, name.replace("_", "-")): value for name, value in settings.items() if name != "scheduler"}
    return [f"--{flag}={value}" for flag, value in flags.items()]


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_the_file_suffices(picture: Picture, given: list[object], tmp_path: Path) -> None:
    """Byte for byte, so it tells the same of itself; and what it is, is kept: grey stays grey, and 16 bits 16."""
    images.write(picture, tmp_path / "in.png")
    run("upscale", tmp_path / "in.png", tmp_path / "once.png", "--model", "sd-x4", "--scale", 4, *given)
    made = told(tmp_path / "once.png")
    assert made["settings"].keys() == {
        *("prompt", "negative_prompt", "steps", "guidance", "noise_level", "seed", "colour_fix", "tile", "scheduler")
    }
    again = ["--model", made["model"], "--scale", made["scale"], *options(made["settings"])]
    run("upscale", tmp_path / "in.png", tmp_path / "again.png", *again)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "once.png").read_bytes()
    settings = Settings(**{name: value for name, value in made["settings"].items() if name != "scheduler"})
    by_library = finish(enlarge_by(images.read(tmp_path / "in.png"), [Stage(made["model"], made["scale"])], settings))
    assert images.encode(by_library.picture) == (tmp_path / "once.png").read_bytes()
    kept = images.read(tmp_path / "once.png")
    assert (kept.grey, kept.depth, kept.alpha is None) == (picture.grey, picture.depth, picture.alpha is None)


def test_of_a_chain_each_stage_tells_its_own(tmp_path: Path) -> None:
    """And those are what to make it again by."""
    images.write(Picture(smooth(6, 5)), tmp_path / "in.png")
    chain = ["chain", tmp_path / "in.png", tmp_path / "once.png", "--stages"]
    run(*chain, "sd-x4:4,espcn:2", "--tile", 64, "--prompt", "a cat", "--steps", 2)
    first, second = told(tmp_path / "once.png")["settings"].items()
    assert second == ("espcn:2", {"tile": 64})
    name, settings = first
    assert name == "sd-x4:4" and (settings["tile"], settings["steps"], settings["seed"]) == (64, 2, 0)
    chain[2] = tmp_path / "again.png"
    run(*chain, "sd-x4:4,espcn:2", *options(settings))
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "once.png").read_bytes()


def test_a_creativity_is_told_with_what_it_stands_for(tmp_path: Path) -> None:
    images.write(Picture(smooth(6, 5)), tmp_path / "in.png")
    command = "upscale", tmp_path / "in.png", tmp_path / "once.png", "--model", "sd-x4", "--scale", 4, "--steps", 2
    written = []
    for given in (["--noise-level", 20], ["--creativity", "low"], [], ["--noise-level", 100]):
        run(*command, *given)
        written.append((tmp_path / "once.png").read_bytes())
    run(*command, "--creativity", "medium")
    made = told(tmp_path / "once.png")["settings"]
    assert made["noise_level"] == 100 and "creativity" not in made, "the noise level says all of it"
    assert written[0] == written[1] == written[2] != written[3] == (tmp_path / "once.png").read_bytes()
    again = tmp_path / "again.png"
    run("upscale", tmp_path / "in.png", again, "--model", "sd-x4", "--scale", 4, *options(made))
    assert again.read_bytes() == (tmp_path / "once.png").read_bytes()


def test_what_is_told_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.write(Picture(smooth(6, 5)), tmp_path / "in.png")
    run("upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", "sd-x4", "--scale", 4, "--steps", 2)
    _, *said = capsys.readouterr().out.splitlines()
    settings = "tile 128, seed 0, steps 2, guidance 9, noise level 20, colour fix wavelet, scheduler DPM++ 2M"
    assert said == [f"  {settings}", "  no words, so no guidance"]
