"""What the page says of a result and of a model."""

import re
from dataclasses import replace

from pipelines.catalog import rows as catalog
from pipelines.enlarge import Details
from ui.widgets import html

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


def text(markup: str) -> str:
    return re.sub("<[^>]+>", " ", markup)


def test_the_list_of_models_names_their_families() -> None:
    """One that has no other name yet by its own."""
    row = catalog.find("sd-x4")
    assert html.model_label(row) == "Diffusion · Stable Diffusion x4"
    assert html.model_label(replace(row, family="flow")) == "Flow · Stable Diffusion x4"  # type: ignore[arg-type]


def test_facts_tell_device_seams_and_notes() -> None:
    told = text(html.facts(DETAILS, "left, right"))
    assert "cpu (OpenVINO), bfloat16, 6 tiles" in told
    assert "tiles differ by at most 0.012 where they meet" in told
    assert "memory ran short" in told


def test_facts_tell_the_settings_and_escape_them() -> None:
    told = html.facts(replace(DETAILS, settings={"prompt": "<b>bold", "noise_level": 20}), "")
    assert "<dt>Settings</dt><dd>prompt “&lt;b&gt;bold”, noise level 20</dd>" in told
    assert "Settings" not in html.facts(DETAILS, "")


def test_tiles_that_equal_the_whole_have_no_seam() -> None:
    assert "Seams" not in text(html.facts(replace(DETAILS, seam=None), ""))


def test_of_many_files_the_hashes_are_cut() -> None:
    two, many = ",".join(["c0ffee" * 10, "beef" * 16]), ",".join(["c0ffee" * 10] * 13)
    assert f"sha256 {two.replace(',', ', ')}" in text(html.facts(replace(DETAILS, weights_sha256=two), ""))
    told = text(html.facts(replace(DETAILS, weights_sha256=many), ""))
    assert f"13 files, sha256 {', '.join(['c0ffeec0…'] * 13)}" in told


def test_the_licence_of_ones_own_model_is_not_guessed() -> None:
    told = text(html.describe_model(catalog.find("owner/name/4x.pth")))
    assert "licence: see its page on the Hub" in told and "commercial" not in told
