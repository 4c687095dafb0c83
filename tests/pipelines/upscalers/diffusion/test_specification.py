"""Specifications of diffusion models: what they name is there, and what they say is what a run does."""

import importlib
import inspect

import diffusers
import pytest

from pipelines.catalog.diffusion import SPECIFICATIONS
from pipelines.catalog.rows import (
    CREATIVITY,
    MODELS,
    Options,
    Settings,
    Specification,
    find,
    find_specification,
    resolve_options,
)
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
def test_a_creativity_is_settings_and_the_least_is_what_a_model_does_by_itself(each: Specification) -> None:
    assert ("creativity" in each.model.takes) == bool(each.creativity) and each.model.arch == each.model.key
    for level, values in each.creativity.items():
        assert level in CREATIVITY and values.keys() <= each.model.takes | each.schedule.keys()
    if each.creativity:
        own = resolve_options(each.model, Settings())
        assert resolve_options(each.model, Settings(creativity="low")) == own
        assert not each.rescheduled("low") and not each.rescheduled(None) and [*each.creativity] == [*CREATIVITY]
        assert each.steered("high") != each.steered("medium") != each.steered("low")


def test_a_creativity_stands_for_each_models_own() -> None:
    """For SUPIR its authors' settings for quality; what is given itself counts more."""

    def resolved(key: str, level: str, **given: float) -> tuple[float, float, float]:
        options = resolve_options(find(key), Settings(creativity=level, **given))  # type: ignore[arg-type]
        return options.noise_level, options.guidance, options.strength

    assert resolved("sd-x4", "high") == (200, 9.0, 1.0) and resolved("sd-x4", "high", noise_level=50) == (50, 9.0, 1.0)
    assert resolved("diffbir", "medium") == (100, 8.0, 1.0) and resolved("diffbir-v2", "low") == (0, 4.0, 1.0)
    assert resolved("supir", "high") == (0, 6.0, 0.93) and resolved("supir-f", "medium") == (0, 5.0, 0.97)
    assert resolved("supir", "high", guidance=3.0) == (0, 3.0, 0.93)
    changed = {"first_guidance": 3.0, "noise": 1.02}
    assert find_specification(find("supir")).rescheduled("high") == changed


@pytest.mark.parametrize("level", CREATIVITY)
@EACH
def test_the_same_choice_has_the_same_options_however_it_was_made(each: Specification, level: str) -> None:
    """By the level alone, or beside all that it stands for, as the tab Prompt has both."""
    by_level, steered = resolve_options(each.model, Settings(creativity=level)), each.steered(level)
    beside = Settings(creativity=level, **steered)  # type: ignore[arg-type]
    assert resolve_options(each.model, beside) == by_level
    without = resolve_options(each.model, Settings(**steered))  # type: ignore[arg-type]
    assert (without == by_level) == (by_level.creativity is None) == (not each.rescheduled(level))


@EACH
def test_the_usual_tile_is_one_that_may_be_asked_for(each: Specification) -> None:
    assert each.model.tiles is not None and each.model.tiles[0] <= each.tiling.side <= each.model.tiles[1]
    rates = each.rate(on_gpu=False), each.rate(on_gpu=False, bfloat16=True), each.rate(on_gpu=True)
    assert rates[0].seconds > rates[1].seconds > rates[2].seconds and {rate.tiling for rate in rates} == {each.tiling}


@pytest.mark.parametrize("name", ["x4", "x2", "ldm"])
def test_a_run_is_tiled_as_specified(name: str, request: pytest.FixtureRequest) -> None:
    upscaler: DiffusionUpscaler = request.getfixturevalue(name)
    assert run(upscaler, smooth(4, 4), steps=1).tiling == upscaler.specification.tiling
