"""What the page says of a result, a plan and a model."""

import re
from dataclasses import replace

from pipelines.catalog import rows as catalog
from pipelines.catalog.schema import File, Weights
from pipelines.catalog.settings import Settings
from pipelines.enlarge import Details
from pipelines.estimates import Estimate
from ui.widgets import html as words

DETAILS = Details(
    model="real-esrgan",
    scale=4,
    size=(40, 30),
    seconds=1.0,
    device="cpu (OpenVINO)",
    dtype="bfloat16",
    tiles=6,
    seam=0.01234,
    weights_sha256="c0ffee",
    notes=("memory ran short: tiles were cut to 64 px",),
)


def text(html: str) -> str:
    return re.sub("<[^>]+>", " ", html)


def test_facts_tell_device_seams_and_notes() -> None:
    told = text(words.facts(DETAILS, "left, right"))
    assert "cpu (OpenVINO), bfloat16, 6 tiles" in told
    assert "tiles differ by at most 0.012 where they meet" in told
    assert "memory ran short" in told


def test_facts_tell_the_settings_and_escape_them() -> None:
    told = words.facts(replace(DETAILS, settings={"prompt": "<b>bold", "noise_level": 20}), "")
    assert "<dt>Settings</dt><dd>prompt “&lt;b&gt;bold”, noise level 20</dd>" in told
    assert "Settings" not in words.facts(DETAILS, "")


def test_tiles_that_equal_the_whole_have_no_seam() -> None:
    assert "Seams" not in text(words.facts(replace(DETAILS, seam=None), ""))


def test_of_many_files_the_hashes_are_cut() -> None:
    two, many = ",".join(["c0ffee" * 10, "beef" * 16]), ",".join(["c0ffee" * 10] * 13)
    assert f"sha256 {two.replace(',', ', ')}" in text(words.facts(replace(DETAILS, weights_sha256=two), ""))
    told = text(words.facts(replace(DETAILS, weights_sha256=many), ""))
    assert f"13 files, sha256 {', '.join(['c0ffeec0…'] * 13)}" in told


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
        told = text(words.plan(row, (9, 9), 4, Estimate(32_400, 3_500, on_cpu), [], settings))
        assert said in told and unsaid not in told


def test_a_plan_adds_up_what_it_downloads_and_says_where_a_size_is_unknown() -> None:
    expected = Estimate(None, 0.5)
    one, other = (Weights((File(name, 3_000_000),), ()) for name in "ab")
    unknown, bicubic = Weights((File("c", 0),), ()), catalog.find("bicubic")
    assert "downloads" not in words.plan(bicubic, (9, 9), 2, expected, [])
    assert "downloads 6.0 MB first" in words.plan(bicubic, (9, 9), 2, expected, [one, other])
    assert "downloads a file of unknown size first" in words.plan(bicubic, (9, 9), 2, expected, [unknown])


def test_a_plan_names_ones_own_model() -> None:
    key, expected = "owner/name/4x (new).pth", Estimate(None, 0.5)
    assert f"by {key} · 9 × 9" in text(words.plan(catalog.find(key), (9, 9), 2, expected, []))
    assert "by " not in words.plan(catalog.find("bicubic"), (9, 9), 2, expected, [])


def test_the_licence_of_ones_own_model_is_not_guessed() -> None:
    told = text(words.about(catalog.find("owner/name/4x.pth")))
    assert "licence: see its page on the Hub" in told and "commercial" not in told
