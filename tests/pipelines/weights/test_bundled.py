"""The included files: small together, each with a card, and better than bicubic."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import Weights
from pipelines.catalog.settings import Settings
from pipelines.images.door import read
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import Plan, list_subjects, no_judges, resolve_contenders
from pipelines.runs import finish
from pipelines.upscalers.loading import load
from pipelines.weights.local import BUNDLED, Found, find
from tests.conftest import smooth
from ui.examples import EXAMPLES

ROWS = [
    (model.key, scale)
    for model in catalog.MODELS
    for scale, weights in model.scales.items()
    if weights and weights.bundled
]


FILES = {
    file.name: Weights((file,), ())
    for key, scale in ROWS
    for weights in (catalog.find(key).scales[scale], catalog.find(key).companions.get(scale))
    for file in (weights.files if weights else ())
}


def found(name: str) -> Found:
    here = find(FILES[name])
    assert here is not None and len(here) == 1
    return here[0]


def test_all_files_are_rows_and_small_together() -> None:
    assert {path.name for path in BUNDLED.glob("*.safetensors")} == FILES.keys()
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 12_000_000
    assert sum(path.stat().st_size for path in BUNDLED.glob("swift*")) < 4_000_000


@pytest.mark.parametrize("name", FILES)
def test_row_and_card_say_what_the_file_is(name: str) -> None:
    file = found(name)
    content, card = file.path.read_bytes(), file.path.with_suffix(".md").read_text()
    assert (file.origin, file.proof, len(content)) == ("bundled", "sha256", file.file.size)
    assert hashlib.sha256(content).hexdigest() in card and f"{len(content):,} bytes" in card
    assert "python -m training " in card and " h on " in card and "T91" in card


@pytest.mark.parametrize(("key", "scale"), ROWS)
def test_the_row_counts_all_that_was_learned(key: str, scale: int) -> None:
    model = catalog.find(key)
    weights = [each for each in (model.scales[scale], model.companions.get(scale)) if each]
    tables = [load_file(found(file.name).path) for each in weights for file in each.files]
    learned = [sum(value.numel() for name, value in table.items() if name != "enlarges") for table in tables]
    assert model.params[scale] == sum(learned) and max(learned) <= 400_000


@pytest.mark.parametrize(("key", "scale"), ROWS)
def test_a_ramp_stays_a_ramp(key: str, scale: int) -> None:
    """No shift, no tint: each large pixel lies where it should between the small ones."""
    slope, side, margin = 0.01, 60, 20
    ramp = np.broadcast_to((0.2 + slope * np.arange(side, dtype=np.float32))[None, :, None], (side, side, 3))
    made = finish(load(key, scale).run(np.ascontiguousarray(ramp), Settings())).pixels
    place = (np.arange(side * scale) + 0.5) / scale - 0.5
    inside = slice(margin * scale, -margin * scale)
    expected = np.broadcast_to((0.2 + slope * place)[None, :, None], made.shape)
    np.testing.assert_allclose(made[inside, inside], expected[inside, inside], atol=1 / 255)


@pytest.mark.parametrize(("key", "scale"), ROWS)
def test_tiles_equal_the_whole(key: str, scale: int) -> None:
    pixels = smooth(120, 131)
    strength = 1.0 if catalog.find(key).cleans else None  # it would find nothing to clean
    whole, tiled = (finish(load(key, scale).run(pixels, Settings(tile=tile, cleanup=strength))) for tile in (None, 96))
    assert whole.tiles == 1 and tiled.tiles > 3 and tiled.seam is None
    np.testing.assert_allclose(tiled.pixels, whole.pixels, atol=1 / 255)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_swift_beats_srcnn_and_srcnn_beats_bicubic(scale: int, tmp_path: Path) -> None:
    """On the example photographs, none of which they were trained on."""
    models = resolve_contenders("round-trip", scale, ["bicubic", "srcnn", "swift"], [])
    pictures, _ = list_subjects([each.path for each in EXAMPLES if each.name in ("face", "building")])
    rows = finish(
        benchmark.run(Plan("round-trip", scale, "bicubic", models, repeats=0), pictures, no_judges("not asked for"))
    )
    scores = {
        key: np.mean([row.scores["psnr_y"] for row in rows if row.model == key])
        for key in ("bicubic", "srcnn", "swift")
    }
    assert scores["swift"] > scores["srcnn"] + 0.1 > scores["bicubic"] + 0.5, scores


@pytest.mark.parametrize("name", ["face", "building"])
def test_the_cleaner_takes_noise_off_and_leaves_what_is_clean(name: str) -> None:
    """By what it finds itself, on photographs that it was not trained on."""
    clean = read(next(each.path for each in EXAMPLES if each.name == name)).pixels
    noise = np.random.default_rng(1).normal(0, 15 / 255, clean.shape).astype(np.float32)
    noisy = np.clip(clean + noise, 0, 1)
    cleaned = finish(load("cleaner", 1).run(noisy, Settings()))
    assert cleaned.settings == {"cleanup": 1}
    gained = 10 * np.log10(np.mean((noisy - clean) ** 2) / np.mean((cleaned.pixels - clean) ** 2))
    assert gained > 5, gained
    untouched = finish(load("cleaner", 1).run(clean, Settings()))
    np.testing.assert_allclose(untouched.pixels, clean, atol=2 / 255)
