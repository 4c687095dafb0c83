"""Models that look at the picture first: which network runs, how much is cleaned, and that tiles follow the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage
from pipelines.catalog.schema import File
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge, enlarge_by
from pipelines.errors import BadSetting, BadWeights
from pipelines.images.picture import Picture, Pixels
from pipelines.networks.archs.autoencoder import Autoencoder
from pipelines.networks.archs.estimate import Estimate
from pipelines.networks.estimating import Judged
from pipelines.networks.network import Network
from pipelines.runs import finish
from pipelines.upscalers import judging
from pipelines.upscalers.base import Judging, Upscaled
from pipelines.upscalers.judging import JudgingUpscaler, choose_strength
from pipelines.upscalers.loading import load
from pipelines.upscalers.network import NetworkUpscaler
from pipelines.weights.local import Found
from tests.conftest import smooth
from tests.support.networks import fill, swift
from tests.support.telling import Telling

CLEAN, JPEG = Telling("antialiased", 0, 100), Telling("not antialiased", 0, 78)


def file_of(name: str) -> Found:
    return Found(File(name, 1), Path(name), name, "bundled", "sha256")


CLEANER = replace(
    catalog.find("swift"), key="cleaner", name="Cleaner", scales={1: None}, takes=frozenset({"tile", "cleanup"})
)


def plain(key: str, network: Network, name: str) -> NetworkUpscaler:
    return NetworkUpscaler(
        CLEANER if key == "cleaner" else catalog.find(key), 1 if key == "cleaner" else 2, network, (file_of(name),), 10
    )


def choosing(told: Telling) -> JudgingUpscaler:
    """Swift x2 with two tiny networks, for pictures of which that is told."""
    usual, robust = plain("swift", swift(2), "usual"), plain("swift", swift(2, seed=1), "robust")
    return JudgingUpscaler(usual, robust, told, (*usual.files, *robust.files, file_of("estimate")), 30)  # type: ignore[arg-type]


def cleaning(told: Telling) -> JudgingUpscaler:
    network = Autoencoder(6, 1)
    fill(network)
    network.last.weight.data.mul_(0.1)
    network.last.bias.data.zero_()
    usual = plain("cleaner", network, "usual")
    return JudgingUpscaler(usual, None, told, (*usual.files, file_of("estimate")), 20)  # type: ignore[arg-type]


def run(upscaler: JudgingUpscaler | NetworkUpscaler, pixels: Pixels, settings: Settings | None = None) -> Upscaled:
    return finish(upscaler.run(pixels, settings or Settings()))


@pytest.mark.parametrize(("told", "chosen"), [(CLEAN, "none"), (JPEG, "remove")])
def test_what_is_told_chooses_the_network(told: Telling, chosen: str) -> None:
    upscaler, pixels = choosing(told), smooth(60, 50)
    assert isinstance(upscaler, Judging) and upscaler.robust is not None
    by = upscaler.usual if chosen == "none" else upscaler.robust
    for settings in (None, Settings(artifacts="auto")):
        done = run(upscaler, pixels, settings)
        np.testing.assert_array_equal(done.pixels, run(by, pixels).pixels)
        assert done.settings == {"artifacts": chosen}
    note = {"none": "antialiased: nothing to remove", "remove": "JPEG 78, not antialiased: artifacts are removed"}
    assert done.notes[0] == note[chosen]
    assert upscaler.weights_sha256 == ("usual", "robust", "estimate") and upscaler.weights_bytes == 30


@pytest.mark.parametrize("chosen", ["none", "remove"])
def test_a_setting_overrides_what_is_told(chosen: str) -> None:
    upscaler, pixels = choosing(JPEG if chosen == "none" else CLEAN), smooth(40, 50)
    done = run(upscaler, pixels, Settings(artifacts=chosen))
    assert upscaler.robust is not None
    by = upscaler.usual if chosen == "none" else upscaler.robust
    np.testing.assert_array_equal(done.pixels, run(by, pixels).pixels)
    assert done.settings == {"artifacts": chosen} and not done.notes


def test_the_choice_is_one_for_all_tiles() -> None:
    """Half of the picture alone would be judged otherwise."""
    pixels = np.concatenate([smooth(100, 60) * np.float32(0.2), smooth(100, 60)], axis=1)
    upscaler = choosing(Telling("antialiased", 0))  # the quality is how bright it is
    whole, tiled = (run(upscaler, pixels, Settings(tile=tile)) for tile in (None, 24))
    assert tiled.tiles > 4 and whole.settings == tiled.settings
    np.testing.assert_allclose(tiled.pixels, whole.pixels, atol=1 / 255)


def test_a_file_that_is_a_jpeg_is_believed() -> None:
    picture = Picture(smooth(60, 50), jpeg=60)
    done = finish(enlarge(picture, [choosing(CLEAN)]))
    assert done.details.settings == {"artifacts": "remove"}
    assert done.details.notes == ("JPEG 60, antialiased: artifacts are removed",)
    assert done.picture.jpeg is None
    again = finish(enlarge(picture, [choosing(CLEAN)], Settings(artifacts="remove")))
    np.testing.assert_array_equal(again.picture.pixels, done.picture.pixels)


def test_alpha_takes_what_the_colours_chose() -> None:
    """The opacity of itself would be told to be dark, which is JPEG 20 here; the colours are bright."""
    alpha = np.ones((60, 60), np.float32) * 0.1
    alpha[20:40, 20:40] = 0.3
    picture = Picture(np.clip(smooth(60, 60) * 0.1 + 0.9, 0, 1).astype(np.float32), alpha=alpha)
    upscaler = choosing(Telling("antialiased", 0))
    done = finish(enlarge(picture, [upscaler]))
    assert done.details.settings == {"artifacts": "none"} and len(done.details.notes) == 1
    usual = finish(enlarge(picture, [upscaler.usual]))
    assert done.picture.alpha is not None and usual.picture.alpha is not None
    np.testing.assert_array_equal(done.picture.alpha, usual.picture.alpha)


def test_only_the_first_stage_is_told_of_the_file() -> None:
    """What two equal stages found differs: the record leaves it to them, and the same comes out again."""
    upscaler = choosing(CLEAN)
    done = finish(enlarge(Picture(smooth(30, 30), jpeg=50), [upscaler, upscaler]))
    assert [stage.settings["artifacts"] for stage in done.stages] == ["remove", "none"]
    assert done.details.settings == {"swift:2": {"artifacts": "auto"}}


@pytest.mark.parametrize("strength", [0, 0.25, 1])
def test_a_strength_is_how_much_is_taken(strength: float) -> None:
    upscaler, pixels = cleaning(JPEG), smooth(33, 50)
    cleaned = run(upscaler.usual, pixels).pixels
    assert np.abs(cleaned - pixels).max() > 0.02
    done = run(upscaler, pixels, Settings(cleanup=strength))
    np.testing.assert_allclose(done.pixels, pixels + strength * (cleaned - pixels), atol=1e-6)
    assert done.settings == {"cleanup": strength} and done.pixels is not pixels


def test_cleaning_by_what_is_told() -> None:
    pixels = smooth(48, 48)
    done = run(cleaning(CLEAN), pixels)
    np.testing.assert_array_equal(done.pixels, pixels)
    assert done.settings == {"cleanup": 0} and done.notes == ("antialiased: nothing to clean up",)
    noisy = run(cleaning(Telling("soft", 14.9, 100)), pixels)
    assert noisy.settings == {"cleanup": 1} and noisy.notes[0] == "soft, noise of 15 levels: cleaned up by 1"


def test_the_strength_rises_with_what_is_to_be_removed() -> None:
    noises = [choose_strength(Judged("soft", 100, noise)) for noise in (0, 3.6, 4.6, 5.6, 40)]
    assert noises == [0, 0, 0.5, 1, 1]
    assert [choose_strength(Judged("soft", quality, 0)) for quality in (100, 92, 86, 80, 5)] == [0, 0, 0.5, 1, 1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with another network under the name of Swift's x2."""
    save_file(swift(2).state_dict(), tmp_path / "swift-x2.safetensors")
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def test_a_file_of_ones_own_runs_as_it_is(folder: Path) -> None:
    """There is nothing to choose between: the bundled robust network is not its other half."""
    for upscaler in (load("swift", 2), load("swift", 2, folder / "swift-x2.safetensors")):
        assert isinstance(upscaler, NetworkUpscaler)
    picture = Picture(smooth(20, 20))
    finish(enlarge_by(picture, [Stage("swift", 2)], Settings(artifacts="auto")))
    with pytest.raises(BadSetting, match="does not apply to a file of your own"):
        finish(enlarge_by(picture, [Stage("swift", 2)], Settings(artifacts="remove")))


def test_a_folder_that_has_both_is_chosen_from(folder: Path) -> None:
    save_file(swift(2, seed=1).state_dict(), folder / "swift-mixed-x2.safetensors")
    torch.manual_seed(0)
    save_file(Estimate().state_dict(), folder / "swift-estimate.safetensors")
    upscaler = load("swift", 2)
    assert isinstance(upscaler, JudgingUpscaler) and {file.origin for file in upscaler.files} == {"your folder"}
    pixels = smooth(50, 40)
    done = finish(enlarge_by(Picture(pixels), [Stage("swift", 2)], Settings(artifacts="remove")))
    np.testing.assert_allclose(done.picture.pixels, run(plain("swift", swift(2, seed=1), ""), pixels).pixels, atol=0.01)
    save_file(swift(2).state_dict(), folder / "swift-estimate.safetensors")
    with pytest.raises(BadWeights, match=r"^swift-estimate\.safetensors is not the network that tells"):
        judging.build(upscaler.model, 2, tuple(replace(file) for file in upscaler.files))
