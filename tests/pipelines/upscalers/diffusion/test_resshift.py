"""ResShift with a small network: its authors' own results, from files as they released them, in tiles, at any size."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import MODELS, Options, find, resolve_options
from pipelines.catalog.schema import Hub, Model, Url
from pipelines.catalog.settings import Settings
from pipelines.errors import BadWeights, UpscaleError
from pipelines.images.picture import Pixels
from pipelines.images.resample import shrink_to
from pipelines.networks.devices import Device
from pipelines.runs import Preview, Step, finish
from pipelines.upscalers import loading
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler, build
from pipelines.upscalers.diffusion.swin_unet import SwinUnet
from pipelines.weights import fetch as store
from tests.conftest import smooth
from tests.support.denoisers import (
    assert_any_size,
    assert_cannot_use,
    assert_near_whole,
    run,
    use,
)
from tests.support.hub import LoopbackHub
from tests.support.hub import use as use_hub
from tests.support.released_parts import golden, save_resshift, speckled

VERSIONS = [model for model in MODELS if model.key.startswith("resshift")]
KEYS = {"resshift": 4, "resshift-bicsr": 4, "resshift-v1": 15, "resshift-v2": 15}
AUTOENCODER = "autoencoder_vq_f4.pth"
CPU = Device("cpu")


def load(folder: Path, key: str = "resshift", scale: int = 4) -> DiffusionUpscaler:
    """By the row as it is, from a folder of one's own."""
    weights = find(key).scales[scale]
    assert weights is not None
    return build(find(key), scale, store.from_user(weights, folder))


def prefixed(*prefixes: str, around: str = "") -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    """Names with these before them, in a table of that name if there is one."""

    def wrap(state: dict[str, Tensor]) -> dict[str, Any]:
        named = {"".join(prefixes) + key: tensor for key, tensor in state.items()}
        return {around: named, "iterations": 500_000} if around else named

    return wrap


def assert_official(made: Pixels, name: str) -> None:
    """What the authors' code makes, but where rounding has made another entry of the codebook the nearest."""
    expected = golden()[name] / 65535
    difference = np.abs(made[1::5, 2::5] - expected)
    assert difference.mean() < 1e-4 and np.quantile(difference, 0.999) < 0.5 / 255
    assert expected.std() > 0.15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = save_resshift(tmp_path_factory.mktemp("resshift"))
    for model in VERSIONS:
        (weights,) = set(model.scales.values())
        assert weights is not None
        target = made / weights.files[0].path
        if not target.exists():
            shutil.copyfile(made / "resshift_realsrx4_s4_v3.pth", target)
    return made


@pytest.fixture(scope="module")
def resshift(folder: Path) -> DiffusionUpscaler:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(CPU, monkeypatch)
        return load(folder)


@pytest.mark.parametrize(
    ("key", "size"), [("resshift", (64, 64)), ("resshift-bicsr", (40, 50)), ("resshift-v1", (64, 64))]
)
def test_one_tile_equals_the_authors_own_code(key: str, size: tuple[int, int], folder: Path) -> None:
    """By default as by their settings; 40 by 50 pixels are mirrored to fill 64."""
    done = run(load(folder, key), speckled(*size), seed=7, steps=None)
    assert_official(done.pixels, f"{KEYS[key]} steps, {size[0]} x {size[1]}")
    assert done.settings == {"steps": KEYS[key], "seed": 7, "colour_fix": "none", "tile": 128, "scheduler": "ResShift"}
    assert done.tiles == 1 and not done.notes


@pytest.mark.parametrize(
    "wrap",
    [prefixed(around="state_dict"), prefixed("module."), prefixed("module.", "_orig_mod.", around="state_dict")],
    ids=["state_dict", "module", "all"],
)
def test_files_are_read_however_they_are_wrapped(
    wrap: Callable[[dict[str, Tensor]], dict[str, Any]], tmp_path: Path, resshift: DiffusionUpscaler
) -> None:
    read = load(save_resshift(tmp_path, wrap=wrap)).parts(CPU)
    for ours, usual in zip(read.networks(), resshift.parts(CPU).networks(), strict=True):
        assert all(map(torch.equal, ours.state_dict().values(), usual.state_dict().values()))


def test_files_in_half_precision_are_read(tmp_path: Path) -> None:
    half = load(save_resshift(tmp_path, wrap=lambda state: {key: tensor.half() for key, tensor in state.items()}))
    assert {parameter.dtype for network in half.parts(CPU).networks() for parameter in network.parameters()} == {
        torch.float32
    }


def test_by_two_is_by_four_shrunk(folder: Path, resshift: DiffusionUpscaler) -> None:
    """More steps than it knows are not taken either: both are said, and estimates know it."""
    pixels = speckled(21, 30)
    by_two, by_four = run(load(folder, scale=2), pixels, steps=20), run(resshift, pixels)
    np.testing.assert_array_equal(by_two.pixels, shrink_to(by_four.pixels, 42, 60))
    assert by_two.notes == (
        "the network upscales by 4: shrunk to 2 by antialiased bicubic",
        "ResShift takes 4 steps at the most, not 20: 4 were taken",
    )
    assert by_two.settings["steps"] == 4 and resolve_options(find("resshift"), Settings(steps=20)).passes == 4


@pytest.mark.parametrize("model", VERSIONS, ids=lambda model: model.key)
def test_what_it_does_by_itself(model: Model) -> None:
    assert resolve_options(model, Settings()) == Options("", "", KEYS[model.key], 1.0, 0, 0, "none")
    assert not model.commercial and "Not for commercial use." in model.note and model.shrunk_from == 4


@pytest.mark.parametrize("given", [{"prompt": "a cat"}, {"guidance": 2.0}, {"noise_level": 20}], ids=str)
def test_what_it_does_not_take_is_refused(given: dict[str, Any], resshift: DiffusionUpscaler) -> None:
    assert_cannot_use(resshift, given)


@pytest.mark.parametrize("size", [(1, 1), (3, 65)])
def test_any_size_gives_exactly_four_times_it(size: tuple[int, int], resshift: DiffusionUpscaler) -> None:
    """Sides of 32 and less too, which the authors' code refuses: they are mirrored again and again."""
    assert_any_size(resshift, size)


def test_tiles_are_near_the_whole(resshift: DiffusionUpscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """As near as random numbers let them be. The sides of all that the network sees are multiples of 64."""
    seen, unet = list[tuple[int, ...]](), resshift.parts(CPU).unet
    assert isinstance(unet, SwinUnet)
    forward = unet.forward
    monkeypatch.setattr(unet, "forward", lambda tiles, *a, **k: seen.append(tiles.shape) or forward(tiles, *a, **k))
    assert_near_whole(resshift, smooth(60, 100), 64, 0.9, seam=1.0, steps=1, colour_fix="adain")
    assert seen == [(1, 6, 64, 128), *[(1, 6, 64, 64)] * 3]


def test_a_run_counts_all_it_does(resshift: DiffusionUpscaler) -> None:
    """Encoding, steps and decoding, in one count that only grows."""
    steps = list[Step]()
    finish(resshift.run(speckled(12, 20), Settings(steps=2)), steps.append)
    assert {step.total for step in steps} == {4 + 2 + 7}
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[0].note == "upscaling plainly" and (steps[-1].done, steps[-1].note) == (13, "decoding, tile 1 of 1")
    assert any(isinstance(step, Preview) for step in steps)


def broken(network: str, change: Callable[[dict[str, Tensor]], dict[str, Any]], folder: Path) -> Path:
    """A folder with one of both files changed."""
    save_resshift(folder)
    path = folder / network
    torch.save(change(torch.load(path, weights_only=True)), path)
    return folder


def without(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name}


NETWORK = "resshift_realsrx4_s4_v3.pth"


@pytest.mark.parametrize(
    ("network", "change", "said"),
    [
        (NETWORK, lambda state: {"body.0.weight": torch.ones(3)}, "is not of the network of ResShift: it has body"),
        (NETWORK, partial(without, "out.2.weight"), r"is not a whole network: it lacks out\.2\.weight"),
        (NETWORK, partial(without, "time_embed.2.bias"), r"is not of the network of ResShift: it lacks time_embed"),
        (NETWORK, lambda state: state | {"more.weight": torch.ones(3)}, "it has more.weight too"),
        (NETWORK, lambda state: state | {"out.2.bias": torch.full((3,), torch.nan)}, "no numbers or too large"),
        (NETWORK, lambda state: state | {"out.2.bias": torch.ones(4)}, "out.2.bias differs"),
        (AUTOENCODER, lambda state: {"input.weight": torch.ones(3)}, "is not of an autoencoder with a codebook"),
        (AUTOENCODER, partial(without, "quantize.embedding.weight"), "lacks quantize.embedding.weight"),
        (AUTOENCODER, lambda state: state | {"loss.weight": torch.ones(3)}, "it has more than that"),
        (AUTOENCODER, partial(without, "decoder.conv_out.bias"), r"it lacks decoder\.conv_out\.bias"),
    ],
)
def test_files_of_another_network_are_refused(
    network: str, change: Callable[[dict[str, Tensor]], dict[str, Any]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadWeights, match=said) as refused:
        load(broken(network, change, tmp_path))
    assert network in str(refused.value) and "\n" not in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize("name", [NETWORK, AUTOENCODER])
def test_what_lacks_is_named(name: str, tmp_path: Path) -> None:
    (save_resshift(tmp_path) / name).unlink()
    with pytest.raises(UpscaleError, match=name):
        load(tmp_path)


def test_files_come_from_a_mirror_where_the_release_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them; by the row as it is but for the release's address, and sizes that are others here."""
    published, row = save_resshift(tmp_path / "published"), find("resshift")
    weights = row.scales[2]
    assert weights is not None
    _, mirror, *_ = weights.sources
    assert isinstance(mirror, Hub)
    files = tuple(replace(file, size=(published / file.path).stat().st_size) for file in weights.files)
    with LoopbackHub() as hub:
        use_hub(hub.url, tmp_path / "home", monkeypatch)
        small = replace(weights, files=files, sources=(Url(f"{hub.url}/gone"), mirror))
        tiny = replace(row, scales=dict.fromkeys(row.scales, small))
        monkeypatch.setattr(catalog, "MODELS", tuple(tiny if each.key == tiny.key else each for each in MODELS))
        for file in files:
            hub.serve(f"/{mirror.repo}/resolve/main/{file.path}", (published / file.path).read_bytes())
        upscaler = loading.load("resshift", 2)
    expected = tuple(hashlib.sha256((published / file.path).read_bytes()).hexdigest() for file in files)
    assert upscaler.weights_sha256 == expected
    assert {asked.path.split("/")[1] for asked in hub.asked} == {"gone", "OwlMaster"}
