"""What the page says before a run."""

import re

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import File, Settings, Weights
from pipelines.estimates import Estimate
from ui.widgets.plans import lacks_prompt, upscale_plan


def text(markup: str) -> str:
    return re.sub("<[^>]+>", " ", markup)


def test_a_plan_of_diffusion_says_that_there_is_no_gpu_and_that_words_cost_time() -> None:
    row = catalog.find("sd-x4")
    for on_cpu, settings, said, unsaid in (
        (True, Settings(prompt="a cat"), "about 9.0 h without a GPU · 3.5 GB memory", "guidance off"),
        (
            False,
            Settings(prompt=" "),
            "about 9.0 h · 3.5 GB memory · guidance off: the prompt is empty",
            "without a GPU",
        ),
        (True, None, "about 9.0 h without a GPU", "guidance off"),
    ):
        told = text(upscale_plan(row, (9, 9), 4, Estimate(32_400, 3_500, on_cpu), [], settings))
        assert said in told and unsaid not in told


def test_a_plan_adds_up_what_it_downloads_and_says_where_a_size_is_unknown() -> None:
    expected = Estimate(None, 0.5)
    one, other = (Weights((File(name, 3_000_000),), ()) for name in "ab")
    unknown, bicubic = Weights((File("c", 0),), ()), catalog.find("bicubic")
    assert "downloads" not in upscale_plan(bicubic, (9, 9), 2, expected, [])
    assert "downloads 6.0 MB first" in upscale_plan(bicubic, (9, 9), 2, expected, [one, other])
    assert "downloads a file of unknown size first" in upscale_plan(bicubic, (9, 9), 2, expected, [unknown])


def test_a_plan_says_which_formats_are_too_small() -> None:
    """WebP holds 16383 pixels a side, JPEG 65500."""
    row, expected = catalog.find("bicubic"), Estimate(None, 0.5)
    for height, said in ((8191, ""), (8192, "too large for WebP"), (32751, "too large for WebP and JPEG")):
        told = upscale_plan(row, (9, height), 2, expected, [])
        assert said in told and ("too large" in told) == bool(said)


def test_a_plan_names_ones_own_model() -> None:
    key, expected = "owner/name/4x (new).pth", Estimate(None, 0.5)
    assert f"by {key} · 9 × 9" in text(upscale_plan(catalog.find(key), (9, 9), 2, expected, []))
    assert "by " not in upscale_plan(catalog.find("bicubic"), (9, 9), 2, expected, [])


@pytest.mark.parametrize(
    ("model", "settings", "told"),
    [
        ("sd-x4", Settings(prompt=" "), True),
        ("sd-x4", Settings(), True),
        ("sd-x4", Settings(prompt="a cat"), False),
        ("sd-x4", Settings(negative_prompt="a cat"), False),
        ("sd-x4", Settings(guidance=1.0), False),
        ("sd-x2", Settings(), False),
        ("sd-x2", Settings(guidance=3.0), True),
        ("espcn", Settings(), False),
    ],
)
def test_that_guidance_is_off_is_told_where_words_would_turn_it_on(model: str, settings: Settings, told: bool) -> None:
    assert lacks_prompt(catalog.find(model), settings) == told
