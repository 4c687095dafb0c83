"""What the page says before a run."""

import re
from pathlib import Path

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import File, Settings, Weights
from pipelines.estimates import Estimate
from ui.jobs.choosing import GONE
from ui.jobs.showing import AT_FIRST
from ui.tabs import prompt
from ui.widgets import chain_choice, comparison_form, html, plans, wanted
from ui.widgets.plans import chain_plan, comparison_plan, describe_cost, lacks_prompt, upscale_plan


def text(markup: str) -> str:
    return re.sub("<[^>]+>", " ", markup)


def test_a_plan_of_diffusion_says_that_there_is_no_gpu_and_that_words_cost_time() -> None:
    row = catalog.find("sd-x4")
    for on_cpu, settings, said, unsaid in (
        (True, Settings(prompt="a cat"), "about 9.0 h without a GPU · 3.5 GB of memory", "prompt"),
        (False, Settings(prompt=" "), "about 9.0 h · 3.5 GB of memory · without a prompt, twice", "GPU"),
        (True, None, "about 9.0 h without a GPU", "prompt"),
    ):
        told = text(upscale_plan(row, (9, 9), (36, 36), Estimate(32_400, 3_500, on_cpu), [], settings))
        assert said in told and unsaid not in told


def test_a_plan_adds_up_what_it_downloads_and_says_where_a_size_is_unknown() -> None:
    expected = Estimate(None, 0.5)
    one, other = (Weights((File(name, 3_000_000),), ()) for name in "ab")
    unknown, bicubic = Weights((File("c", 0),), ()), catalog.find("bicubic")
    assert "downloads" not in upscale_plan(bicubic, (9, 9), (18, 18), expected, [])
    assert "downloads 6.0 MB first" in upscale_plan(bicubic, (9, 9), (18, 18), expected, [one, other])
    assert "downloads a file of unknown size first" in upscale_plan(bicubic, (9, 9), (18, 18), expected, [unknown])


def test_a_plan_says_which_formats_are_too_small() -> None:
    """WebP holds 16383 pixels a side, JPEG 65500."""
    row, expected = catalog.find("bicubic"), Estimate(None, 0.5)
    for height, said in ((8191, ""), (8192, "too large for WebP"), (32751, "too large for WebP and JPEG")):
        told = upscale_plan(row, (9, height), (18, 2 * height), expected, [])
        assert said in told and ("too large" in told) == bool(said)


def test_a_plan_names_the_model() -> None:
    key, expected = "owner/name/4x (new).pth", Estimate(None, 0.5)
    assert f"{key}: 9 × 9" in text(upscale_plan(catalog.find(key), (9, 9), (18, 18), expected, []))
    assert "Bicubic: 9 × 9" in text(upscale_plan(catalog.find("bicubic"), (9, 9), (18, 18), expected, []))


def test_little_memory_is_not_told_and_a_moment_is_under_a_tenth_of_a_second() -> None:
    row = catalog.find("bicubic")
    assert "memory" not in upscale_plan(row, (9, 9), (18, 18), Estimate(1.0, 999), [])
    assert "1.0 GB of memory" in upscale_plan(row, (9, 9), (18, 18), Estimate(1.0, 1000), [])
    assert " · under 0.1 s</p>" in upscale_plan(row, (9, 9), (18, 18), Estimate(0.0002, 1), [])


def test_the_time_is_that_of_the_whole_run_and_not_of_the_model_alone() -> None:
    """It reads the image, writes the result and cuts it into tiles, which quick models are quicker than."""
    row = catalog.find("bicubic")
    told = text(upscale_plan(row, (500, 500), (1000, 1000), Estimate(1.0, 1), []))
    assert f"about {1 + AT_FIRST:.1f} s" in told and AT_FIRST >= 0.1
    chain = [(500, 500), (1000, 1000), (2000, 2000)]
    assert f"about {1 + 5 * AT_FIRST:.1f} s" in chain_plan(chain, [], [1.0], 0)
    assert "about 1.0 s" in chain_plan(chain, ["Swift"], [1.0], 0), "what is scored has that in its times"
    assert "about 1.0 s, plus models not timed yet" in comparison_plan(1, 2, [1.0, None], 0)


def test_a_plan_says_which_scale_does_not_fit() -> None:
    told = upscale_plan(catalog.find("bicubic"), (9, 9), (18, 18), Estimate(1.0, 1), [], None, ["x3 is <too> much."])
    assert told.endswith("<br>x3 is &lt;too&gt; much.</p>")


def test_what_a_model_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "estimate", lambda *given: Estimate(None if given[2:] == (1, 1) else 2.24, 1))
    swift, anime = catalog.find("swift"), catalog.find("real-esrgan-anime")
    lacking = [anime.scales[4] or pytest.fail("it needs a file")]
    assert describe_cost(swift, 4, (9, 9), []) == "2.2 s · included"
    assert describe_cost(anime, 4, (9, 9), []) == "2.2 s · ready"
    assert describe_cost(swift, 4, (250, 500), []) == "3.0 s · included", "two megapixels of a result are written, too"
    assert describe_cost(anime, 4, (9, 9), lacking) == "2.2 s · 2.5 MB download"
    assert describe_cost(catalog.find("nearest"), 4, None, []) == describe_cost(swift, 4, (1, 1), []) == "included"


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


def test_every_plan_says_that_an_image_is_gone(tmp_path: Path) -> None:
    """As a run does: the path of a file that was deleted means nothing to a visitor."""
    gone = tmp_path / "gone.png"
    plans_of_it = [
        wanted.describe_plan(gone, "swift", "", "x4", "", None, "", None),
        chain_choice.describe_plan(gone, "swift", "swift", False),
        chain_choice.describe_plan(gone, "swift", "swift", True),
        prompt.describe_plan(gone, "sd-x4", *[None] * 11),
        comparison_form.describe_plan([gone], "round-trip", "x4", "bicubic", ["swift"], []),
    ]
    assert plans_of_it == [html.problem(GONE)] * 5
