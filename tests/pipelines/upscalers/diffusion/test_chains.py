"""Diffusion models in chains and beside others: tiny ones by the real keys, found in a folder of one's own."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.catalog.rows import Stage
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge, run_chain
from pipelines.errors import BadSetting
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.measuring import run as benchmark
from pipelines.measuring.run import Plan, Scored, no_judges, resolve_contenders
from pipelines.runs import Step, finish
from pipelines.upscalers.loading import load
from tests.conftest import smooth
from tests.support.networks import put_tiny

TWO = Settings(steps=2, prompt="a cat", seed=3)


@pytest.fixture(scope="module")
def folder(x4_folder: Path, x2_folder: Path, ldm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    for key, whole in (("sd-x4", x4_folder), ("sd-x2", x2_folder)):
        shutil.copytree(whole, folder / key)
        (folder / key / "tokenizer" / "special_tokens_map.json").write_text("{}")
    shutil.copytree(ldm_folder, folder / "ldm-x4")
    put_tiny(folder)
    return folder


@pytest.fixture(autouse=True)
def _own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))


@pytest.mark.parametrize("second", ["sd-x2", "real-esrgan"])
@pytest.mark.parametrize("first", ["sd-x4", "ldm-x4"])
def test_an_x4_and_then_an_x2(first: str, second: str) -> None:
    """Each stage by the settings that it takes, and told by its name."""
    steps: list[Step] = []
    settings = TWO if "sd-x2" in (first, second) or first == "sd-x4" else TWO.only({"steps", "seed"})
    done = finish(run_chain(smooth(5, 9), [load(first, 4), load(second, 2)], settings), steps.append)
    assert [stage.pixels.shape for stage in done] == [(20, 36, 3), (40, 72, 3)]
    assert all(np.isfinite(stage.pixels).all() and stage.pixels.std() > 0.01 for stage in done)
    assert steps[-1].note.startswith("stage 2 of 2")


def test_a_setting_that_no_stage_takes_is_refused() -> None:
    stages = [load("sd-x2", 2), load("real-esrgan", 2)]
    with pytest.raises(BadSetting, match="cannot use the setting noise level"):
        next(enlarge(Picture(smooth(5, 9)), stages, Settings(noise_level=20)))


def test_they_are_compared_with_others(tmp_path: Path) -> None:
    """Without words, by the seed 0; and what was measured once is not measured again."""
    images.write(Picture(smooth(64, 72)), tmp_path / "one.png")
    pictures, _ = benchmark.list_subjects([tmp_path])
    chains = [[Stage("sd-x4", 4), Stage(second, 2)] for second in ("sd-x2", "real-esrgan")]
    plan = Plan("chained-8x", 8, "bicubic", resolve_contenders("chained-8x", 8, [], chains), repeats=1)
    rows = finish(benchmark.run(plan, pictures, no_judges("lpips is left out")))
    assert [row.model for row in rows] == ["bicubic", "sd-x4:4,sd-x2:2", "sd-x4:4,real-esrgan:2"]
    assert all(row.error is None and row.scores["psnr"] is not None for row in rows)
    assert [len((row.weights_sha256 or "").split(",")) for row in rows] == [1, 6, 4]
    again: list[Step] = []
    assert finish(benchmark.run(plan, pictures, no_judges("lpips is left out"), rows), again.append) == rows
    assert not any(isinstance(step, Scored) for step in again)
