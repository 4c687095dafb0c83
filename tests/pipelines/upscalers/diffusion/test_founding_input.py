"""What people give to the founding comparison's models: any image, wrong files, a publisher that is gone."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pipelines.catalog import diffbir, supir
from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Stage, check_settings, find
from pipelines.catalog.schema import Hub, Url, Weights
from pipelines.catalog.settings import Settings
from pipelines.cli.main import main
from pipelines.enlarge import enlarge_by
from pipelines.errors import BadSetting, WeightsUnavailable
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import finish
from pipelines.upscalers import loading
from tests.conftest import smooth
from tests.support.diffbir_parts import SHORTEST, save_diffbir
from tests.support.hub import LoopbackHub, use
from tests.support.released_parts import save_resshift
from tests.support.supir_parts import save_supir

SAVE: Mapping[str, Callable[[Path], Path]] = {"resshift": save_resshift, "diffbir": save_diffbir, "supir": save_supir}


@pytest.fixture(autouse=True)
def _small_and_accepted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(diffbir, "SHORTEST", SHORTEST)
    monkeypatch.setattr(supir, "SHORTEST", SHORTEST)
    monkeypatch.setenv("UPSCALE_ACCEPT", "supir")
    yield
    loading._kept.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("founding")
    for save in SAVE.values():
        save(made)
    return made


@pytest.mark.parametrize("key", ["resshift", "diffbir"])
def test_transparency_in_grey_and_of_16_bits(key: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SUPIR does the same in a chain."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    grey = smooth(6, 8).mean(axis=2, keepdims=True).repeat(3, axis=2)
    picture = Picture(grey, alpha=smooth(6, 8)[..., 0], grey=True, depth=16)
    made = finish(enlarge_by(picture, [Stage(key, 4)], Settings(steps=1))).picture
    assert made.pixels.shape == (24, 32, 3) and made.depth == 16 and np.ptp(made.pixels, axis=2).max() == 0
    assert made.alpha is not None and made.alpha.shape == (24, 32) and made.pixels.std() > 0.01


@pytest.mark.parametrize("key", SAVE)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "Steps are a whole number from 1 to 200, not 0."),
        ({"seed": -1}, "The seed is a whole number from 0 to 4294967295, not -1."),
        ({"tile": 32}, r"A tile for \w+ has 64 to \d+ pixels a side, not 32\."),
        ({"prompt": "x" * 10_000}, "at most 2000 characters, not 10000|ResShift cannot use the setting prompt"),
    ],
)
def test_settings_out_of_range_are_refused(key: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting, match=said) as refused:
        check_settings([find(key)], Settings(**given))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "lies", "needed"),
    [
        ("resshift", "resshift_realsrx4_s15_v1.pth", "resshift_realsrx4_s4_v3.pth"),
        ("resshift-bicsr", "resshift_realsrx4_s4_v3.pth", "resshift_bicsrx4_s4.pth"),
        ("diffbir", "v2.pth", "DiffBIR_v2.1.pt"),
        ("supir", "SUPIR-v0F_fp16.safetensors", "SUPIR-v0Q_fp16.safetensors"),
    ],
)
def test_another_versions_file_is_not_taken(key: str, lies: str, needed: str, folder: Path, tmp_path: Path) -> None:
    """Each has the shapes of the other: the names alone tell them apart."""
    own = shutil.copytree(folder, tmp_path / "own", copy_function=lambda a, b: Path(b).symlink_to(a))
    source = own / needed if (own / needed).exists() else own / "resshift_realsrx4_s4_v3.pth"
    source.rename(own / lies)
    with pytest.raises(WeightsUnavailable, match=needed) as refused:
        loading.load(key, 4, own)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", SAVE)
def test_a_strip_is_upscaled_whatever_its_length(
    key: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as many tiles as it takes, and from a palette with one transparent colour as from any file."""
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    strip = Image.fromarray(np.indices((3, 261)).sum(0).astype(np.uint8) % 8 * 30).convert("P")
    strip.save(tmp_path / "in.png", transparency=1)
    made = finish(enlarge_by(images.read(tmp_path / "in.png"), [Stage(key, 2)], Settings(steps=1))).picture
    assert made.pixels.shape == (6, 522, 3) and np.isfinite(made.pixels).all() and made.pixels.std() > 0.01
    assert made.alpha is not None and made.alpha.shape == (6, 522)


def _of_another_network(own: Path, needed: str) -> None:
    (own / needed).unlink()
    save = save_file if needed.endswith(".safetensors") else torch.save
    save({"body.0.weight": torch.ones(3)}, own / needed)


def _of_another_version(own: Path, needed: str) -> None:
    """As it lies in a folder of that version: its names alone tell it from the one that is needed."""
    others = {"resshift_realsrx4_s4_v3.pth": "resshift_realsrx4_s15_v1.pth", "DiffBIR_v2.1.pt": "v2.pth"}
    (own / needed).rename(own / others.get(needed, "SUPIR-v0F_fp16.safetensors"))


NEEDED = {"resshift": "resshift_realsrx4_s4_v3.pth", "diffbir": "DiffBIR_v2.1.pt", "supir": supir.OWN_FILES[0].path}


@pytest.mark.parametrize("key", SAVE)
@pytest.mark.parametrize(
    ("spoil", "more", "said"),
    [
        (_of_another_network, [], "it has body.0.weight"),
        (_of_another_version, [], "NEEDED"),
        (lambda own, needed: (own / needed).unlink(), [], "NEEDED"),
        (lambda own, needed: (own / needed).write_bytes((own / needed).read_bytes()[:5000]), [], "NEEDED"),
        (lambda own, needed: None, ["--steps", "0"], "Steps are a whole number from 1 to 200, not 0."),
        (lambda own, needed: None, ["--prompt", "x" * 10_000], "at most 2000 characters|cannot use the setting prompt"),
        (lambda own, needed: None, ["--creativity", "high", "--noise-level", "999"], "setting|from 0 to 350, not 999"),
    ],
    ids=["another network", "another version", "half a folder", "cut short", "0 steps", "10000 characters", "level"],
)
def test_what_is_refused_is_one_sentence_and_leaves_nothing(
    key: str,
    spoil: Callable[[Path, str], object],
    more: list[str],
    said: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither a file, in the place of the result or beside the network's, nor anything that is held."""
    own = shutil.copytree(folder, tmp_path / "own")
    spoil(own, NEEDED[key])
    images.write(Picture(smooth(6, 8)), tmp_path / "in.png")
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    command = ["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", key, "--weights", str(own)]
    assert main([*command, *more]) == 1
    told = capsys.readouterr().err.strip()
    assert re.search(said.replace("NEEDED", re.escape(NEEDED[key])), told), told
    assert "\n" not in told and told.endswith(".") and len(told) < 400 and "Traceback" not in told
    assert sorted(tmp_path.rglob("*")) == before and not loading._kept


@pytest.mark.parametrize(
    ("key", "base"),
    [("resshift", False), ("resshift-v1", False), ("diffbir", False), ("supir", False), ("supir", True)],
)
def test_where_every_source_is_gone_all_are_asked_in_order_and_one_sentence_says_so(
    key: str, base: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of SUPIR's own file, and of Stable Diffusion XL."""
    row, home = find(key), tmp_path / "home"
    needed = row.more[0] if base else row.scales[4]
    assert needed is not None
    sources = [each for each in needed.sources if isinstance(each, Hub)]
    with LoopbackHub() as hub:
        use(hub.url, home, monkeypatch)
        monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", "")
        gone = replace(
            needed, sources=tuple(s if isinstance(s, Hub) else Url(f"{hub.url}/gone") for s in needed.sources)
        )
        small = replace(row, scales=dict.fromkeys(row.scales, gone))
        monkeypatch.setattr(catalog, "MODELS", tuple(small if each.key == key else each for each in catalog.MODELS))
        with pytest.raises(WeightsUnavailable) as refused:
            finish(loading.fetch([Stage(key, 4)]))
        asked = [*dict.fromkeys(each.path.split("/resolve")[0].strip("/").partition("/gone")[0] for each in hub.asked)]
    told = str(refused.value)
    assert row.name in told and "\n" not in told and told.endswith(".") and len(told) < 600
    assert [each for each in asked if not each.startswith("gone")] == [each.repo for each in sources]
    left = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size]
    assert left == [], "nothing but empty locks is left of what was tried"


def test_a_publisher_that_is_gone_has_mirrors_and_then_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stable Diffusion 2.1 was taken off the Hub once. Of its mirrors the first that answers gives it."""
    parts, row = save_diffbir(tmp_path / "parts", "diffbir-v2"), find("diffbir-v2")
    checkpoint = parts / diffbir.CHECKPOINT_V2.or_else
    first, second = diffbir.MIRRORS_OF_V2
    with LoopbackHub() as hub:
        use(hub.url, tmp_path / "home", monkeypatch)
        small = _shrunk(row, parts, hub.url)
        monkeypatch.setattr(catalog, "MODELS", tuple(small if each.key == row.key else each for each in catalog.MODELS))
        with pytest.raises(WeightsUnavailable) as gone:
            finish(loading.fetch([Stage(row.key, 4)]))
        assert checkpoint.stem in str(gone.value) and "\n" not in str(gone.value)
        asked = [each.path.split("/resolve")[0].strip("/") for each in hub.asked]
        assert [*dict.fromkeys(asked)] == [first.repo, second.repo]
        for path, content in (
            (f"{second.repo}/resolve/{second.revision}/{diffbir.CHECKPOINT_V2.path}", checkpoint.read_bytes()),
            (f"{diffbir.AUTHORS.repo}/resolve/main/v2.pth", (parts / "v2.pth").read_bytes()),
            ("kair/BSRNet.pth", (parts / "BSRNet.pth").read_bytes()),
        ):
            hub.serve(f"/{path}", content)
        (found,) = finish(loading.fetch([Stage(row.key, 4)]))
    assert [each.path.name for each in found.files] == [diffbir.CHECKPOINT_V2.path, "v2.pth", "BSRNet.pth"]


def _shrunk(row: catalog.Model, parts: Path, hub: str) -> catalog.Model:
    """The row with the sizes of what lies in the folder, and BSRNet's release at the hub's address."""

    def change(weights: Weights) -> Weights:
        files = tuple(
            replace(file, size=(parts / (file.or_else or file.path)).stat().st_size) for file in weights.files
        )
        sources: tuple[Hub | Url, ...] = (
            (Url(f"{hub}/kair"),) if weights.sources == (diffbir.BSRNET_RELEASE,) else weights.sources
        )
        return replace(weights, files=files, sources=sources)

    own = row.scales[4]
    assert own is not None
    scales = dict.fromkeys(row.scales, change(own))
    return replace(row, scales=scales, more=tuple(change(each) for each in row.more))
