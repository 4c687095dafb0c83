"""What steers diffusion models: each value is of its type and in its range, or is refused in one sentence."""

import math
from typing import Any

import pytest

from pipelines.catalog.rows import find
from pipelines.catalog.settings import Settings, check_settings
from pipelines.errors import BadSetting
from tests.support.diffusion_parts import MODEL

HALF = "\ud83d"  # of an emoji


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        *[("sd-x4", 32, 512), ("sd-x2", 128, 2048), ("ldm-x4", 32, 512), ("resshift", 64, 512), ("diffbir", 64, 512)],
        *[("espcn", 16, 4096), ("lapsrn", 36, 4096)],
    ],
)
def test_a_tile_is_known_to_be_out_of_range_before_the_model_is_there(key: str, least: int, most: int) -> None:
    """In a chain by each model that takes one."""
    for side in (least, most, None):
        check_settings([find(key)], Settings(tile=side))
    sentence = rf"^A tile for .* has {least} to {most} pixels a side, not "
    for tile in (least - 1, most + 1, True, "abc", float(most)):
        shown = '"abc"' if tile == "abc" else tile
        for chain in ([find(key)], [find("bicubic"), find(key)]):
            with pytest.raises(BadSetting, match=f"{sentence}{shown}"):
                check_settings(chain, Settings(tile=tile))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"steps": 1},
        {"steps": 200},
        {"guidance": 1},
        {"guidance": 30.0},
        {"noise_level": 0},
        {"noise_level": 350},
        {"seed": 0},
        {"seed": 2**32 - 1},
        {"prompt": ""},
        {"prompt": "x" * 2000},
        {"negative_prompt": "犬 🐕 \x00"},
        {"colour_fix": "adain"},
        {"creativity": "high"},
    ],
    ids=str,
)
def test_a_value_in_its_range_is_taken(given: dict[str, Any]) -> None:
    check_settings([MODEL], Settings(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "Steps are a whole number from 1 to 200, not 0."),
        ({"steps": 10_000}, "Steps are a whole number from 1 to 200, not 10000."),
        ({"steps": True}, "Steps are a whole number from 1 to 200, not True."),
        ({"steps": 20.0}, "Steps are a whole number from 1 to 200, not 20.0."),
        ({"steps": "20"}, 'Steps are a whole number from 1 to 200, not "20".'),
        ({"guidance": 0.5}, "Guidance is a number from 1 to 30, not 0.5."),
        ({"guidance": math.nan}, "Guidance is a number from 1 to 30, not nan."),
        ({"guidance": math.inf}, "Guidance is a number from 1 to 30, not inf."),
        ({"guidance": 10**400}, "Guidance is a number from 1 to 30, not a number of about 400 digits."),
        ({"guidance": "0.5"}, 'Guidance is a number from 1 to 30, not "0.5".'),
        ({"guidance": 123456.7890123456}, "Guidance is a number from 1 to 30, not 123456.7890123456."),
        ({"guidance": -1.2345678901234567e-100}, "Guidance is a number from 1 to 30, not -1.2345678901234567e-100."),
        ({"guidance": False}, "Guidance is a number from 1 to 30, not False."),
        ({"noise_level": 351}, "The noise level is a whole number from 0 to 350, not 351."),
        ({"noise_level": -1}, "The noise level is a whole number from 0 to 350, not -1."),
        ({"seed": -1}, "The seed is a whole number from 0 to 4294967295, not -1."),
        ({"seed": 2**32}, "The seed is a whole number from 0 to 4294967295, not 4294967296."),
        ({"seed": "abc\n"}, 'The seed is a whole number from 0 to 4294967295, not "abc?".'),
        ({"seed": "7" * 21}, f'The seed is a whole number from 0 to 4294967295, not "{"7" * 20}…".'),
        ({"seed": 9 * 10**29}, f"The seed is a whole number from 0 to 4294967295, not 9{'0' * 29}."),
        ({"seed": ""}, "The seed is a whole number from 0 to 4294967295, not nothing."),
        ({"prompt": "x" * 10_000}, "The prompt has at most 2000 characters, not 10000."),
        ({"prompt": ["a cat"]}, "The prompt is text, not ['a cat']."),
        ({"prompt": ["a cat", "and a dog"]}, "The prompt is text, not ['a cat', 'and a dog…."),
        ({"negative_prompt": 7}, "The negative prompt is text, not 7."),
        ({"prompt": HALF}, "The prompt contains half a character, such as part of a cut emoji."),
        ({"colour_fix": "green"}, 'The colour fix is wavelet, adain or none, not "green".'),
        ({"colour_fix": {}}, "The colour fix is wavelet, adain or none, not {}."),
        ({"creativity": 100}, "Creativity is low, medium or high, not 100."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_any_other_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as refused:
        check_settings([MODEL], Settings(**given))
    assert str(refused.value) == said


def test_a_number_that_python_writes_no_text_of_is_refused_too() -> None:
    with pytest.raises(BadSetting, match=r"^The seed is .*, not a number of about 5000 digits\.$"):
        check_settings([MODEL], Settings(seed=-(10**5000)))


def test_artifacts_are_for_a_model_that_has_two_networks() -> None:
    for value in ("auto", "none", "remove", None):
        check_settings([find("swift")], Settings(artifacts=value))
    for other, shown in (("all", '"all"'), (True, "True"), ([1], "[1]")):
        with pytest.raises(BadSetting) as refused:
            check_settings([find("swift")], Settings(artifacts=other))  # type: ignore[arg-type]
        assert str(refused.value) == f"The setting artifacts is auto, none or remove, not {shown}."
    with pytest.raises(BadSetting, match="SRCNN cannot use the setting artifacts"):
        check_settings([find("srcnn")], Settings(artifacts="none"))
