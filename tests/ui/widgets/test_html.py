"""What the page says of a result and of a model."""

import re
from dataclasses import replace

import pytest

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


def test_a_line_of_the_list_says_what_a_model_is_good_at_and_what_it_costs() -> None:
    row = catalog.find("real-esrgan-general")
    assert html.name_model(row) == f"{row.name} — cleans and sharpens photos and JPEGs"
    assert html.name_model(row, "2.1 s · 4.9 MB download").endswith(" photos and JPEGs · 2.1 s · 4.9 MB download")
    assert html.name_model(catalog.find("resshift-bicsr")).startswith("ResShift (bicubic) — ResShift for clean images")
    assert html.name_model(catalog.find("lanczos")) == "Lanczos — a little sharper than bicubic"
    for model in catalog.MODELS:
        assert len(html.name_model(model)) < 105, "one line of a wide list"


def test_only_models_that_it_concerns_say_how_they_were_trained() -> None:
    concerned = [row.key for row in catalog.MODELS if html.ABOUT_TRAINING in html.describe_model(row)]
    assert concerned == ["edsr", "espcn", "fsrcnn", "fsrcnn-small", "lapsrn"]


def test_time_is_one_number_and_the_rest_is_folded() -> None:
    shown, folded = html.facts(DETAILS, seconds=2.2).split("<details>")
    for name, told in (("Size", "40 × 30"), ("Time", "2.2 s"), ("Model", "Real-ESRGAN x4"), ("Note", DETAILS.notes[0])):
        assert f"<dt>{name}</dt><dd>{told}</dd>" in shown
    assert "Computing  1.0 s" in text(folded) and "Run on" in folded and "sha256" in folded
    shown, folded = html.facts(DETAILS).split("<details>")
    assert "Time  1.0 s" in text(shown) and "Computing" not in folded


def test_what_a_model_found_is_folded_and_what_it_did_is_in_plain_words() -> None:
    clean, cleaned = "antialiased: nothing to remove", "JPEG 78, antialiased: artifacts are removed"
    shown, folded = html.facts(replace(DETAILS, notes=(clean,))).split("<details>")
    assert "Note" not in shown and f"<dt>Found</dt><dd>{clean}</dd>" in folded
    shown, folded = html.facts(replace(DETAILS, notes=(cleaned,))).split("<details>")
    assert "<dt>Note</dt><dd>JPEG artifacts were removed (quality about 78)</dd>" in shown
    assert f"<dt>Found</dt><dd>{cleaned}</dd>" in folded


def test_a_chain_is_named_by_its_stages() -> None:
    assert "LapSRN x4, then Swift x2" in html.facts(replace(DETAILS, model="lapsrn:4,swift:2", scale=8))


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0002, "under 0.1 s"), (0.1, "0.1 s"), (0.96, "1.0 s"), (2.2, "2.2 s"), (300, "5 min")]
)
def test_times_are_short(seconds: float, told: str) -> None:
    assert html.tell_time(seconds) == told


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
    assert "<dt>Seams</dt><dd>none: the tiles equal the whole image</dd>" in html.facts(replace(DETAILS, seam=0.0), "")


def test_of_many_files_the_hashes_are_cut() -> None:
    two, many = ",".join(["c0ffee" * 10, "beef" * 16]), ",".join(["c0ffee" * 10] * 13)
    assert f"sha256 {two.replace(',', ', ')}" in text(html.facts(replace(DETAILS, weights_sha256=two), ""))
    told = text(html.facts(replace(DETAILS, weights_sha256=many), ""))
    assert f"13 files, sha256 {', '.join(['c0ffeec0…'] * 13)}" in told


def test_the_licence_of_ones_own_model_is_not_guessed() -> None:
    told = text(html.describe_model(catalog.find("owner/name/4x.pth")))
    assert "licence: see its page on the Hub" in told and "commercial" not in told
