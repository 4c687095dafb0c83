"""Specifications of diffusion models: what they name is there, and what they say is what a run does."""

import importlib
import inspect

import diffusers
import pytest

from pipelines.catalog.diffusion import SPECIFICATIONS
from pipelines.catalog.rows import MODELS, Options, Specification, find, find_specification
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.conftest import smooth
from tests.support.denoisers import run

EACH = pytest.mark.parametrize("each", SPECIFICATIONS, ids=lambda each: each.model.key)


@EACH
def test_what_is_named_is_there(each: Specification) -> None:
    read_parts = importlib.import_module(each.module).read_parts
    assert [*inspect.signature(read_parts).parameters] == ["specification", "files", "device", "dtype"]
    for name in filter(None, (*each.schedulers, each.better_scheduler)):
        assert hasattr(getattr(diffusers, name), "set_timesteps")


@EACH
def test_a_model_has_one_specification(each: Specification) -> None:
    """Which is found by its row, and by that of any other files for the same network."""
    assert find_specification(find(each.model.key)) is each
    assert [row for row in MODELS if row.engine == "diffusion" and row.arch == each.model.arch] == [each.model]


@EACH
def test_what_a_model_does_not_take_changes_nothing(each: Specification) -> None:
    untaken = set(Options.__dataclass_fields__) - each.model.takes
    assert all(getattr(each.options, name) == getattr(Options(), name) for name in untaken)


@EACH
def test_the_usual_tile_is_one_that_may_be_asked_for(each: Specification) -> None:
    assert each.model.tiles is not None and each.model.tiles[0] <= each.tiling.side <= each.model.tiles[1]
    rates = each.rate(on_gpu=False), each.rate(on_gpu=False, amx=True), each.rate(on_gpu=True)
    assert rates[0].seconds > rates[1].seconds > rates[2].seconds and {rate.tiling for rate in rates} == {each.tiling}


@pytest.mark.parametrize("name", ["x4", "x2", "ldm"])
def test_a_run_is_tiled_as_specified(name: str, request: pytest.FixtureRequest) -> None:
    upscaler: DiffusionUpscaler = request.getfixturevalue(name)
    assert run(upscaler, smooth(4, 4), steps=1).tiling == upscaler.specification.tiling
