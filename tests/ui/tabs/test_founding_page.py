"""The founding comparison's models in Debian's Chromium: tiny ones, downloaded from a Hub and a release on loopback.

What comes out is what the library makes of the same settings.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.catalog.rows import Stage, find
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import to_uint8
from pipelines.runs import finish
from tests.conftest import serving, visit
from tests.support.founding_page import publish, save_founding
from tests.support.hub import LoopbackHub
from tests.ui.tabs.test_prompt_page import TO_LOAD, advanced, button, field, give, open_tab, plan, state

SAID = "SUPIR is not for commercial use, and its licence must be accepted first"


class Machine(NamedTuple):
    """A machine that has none of the files, its page, and what lies where they are published."""

    address: str
    hub: LoopbackHub
    parts: Path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    parts, served = save_founding(tmp_path_factory.mktemp("parts")), tmp_path_factory.mktemp("served")
    with LoopbackHub() as hub:
        publish(hub, parts)
        program = ("-m", "tests.support.founding_page", str(parts), hub.url)
        with serving(served, *program, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0", UPSCALE_PRELOAD="") as address:
            yield Machine(address, hub, parts)


@pytest.fixture
def page(browser: Browser, machine: Machine) -> Iterator[Page]:
    with visit(browser, 1280, "light", machine.address) as page:
        yield page


def choose(page: Page, name: str) -> None:
    page.get_by_role("tabpanel").get_by_label("Model").click()
    page.get_by_role("option", name=re.compile(name)).click()


def save_strip(path: Path) -> Path:
    """A strip stays one: any other image would be denoised at 512 pixels or more."""
    images.write(images.Picture(np.random.default_rng(3).random((4, 80, 3), np.float32)), path)
    return path


def run(page: Page) -> tuple[dict[str, Any], images.Picture]:
    """Runs what is chosen on the Prompt tab: what is told of it, and the result."""
    button(page, "Upscale").click()
    expect(state(page)).to_contain_text("Done in", timeout=TO_LOAD)
    told: dict[str, Any] = json.loads(page.locator("#prompt-settings textarea").input_value())
    with page.expect_download() as download:
        button(page, "Download PNG").click()
    return told, images.read(download.value.path())


def assert_made_by(
    key: str, settings: Settings, source: Path, made: images.Picture, machine: Machine, patch: pytest.MonkeyPatch
) -> None:
    patch.setenv("UPSCALE_WEIGHTS_DIR", str(machine.parts))
    done = finish(enlarge_by(images.read(source), [Stage(key, 4)], settings))
    np.testing.assert_array_equal(to_uint8(made.pixels), to_uint8(done.picture.pixels))


def test_diffbir_by_words(page: Page, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer comes with the words; and the advanced fields are its own."""
    open_tab(page, machine.address)
    choose(page, "^DiffBIR(?! v2)")
    give(page, 16, 16, tmp_path / "small.png")
    expect(plan(page)).to_contain_text("16 × 16 → 64 × 64")
    expect(plan(page)).to_contain_text(re.compile(r"downloads [\d.]+ MB first"))
    advanced(page)
    expect(field(page, "Guidance")).to_have_value("8")
    expect(field(page, "Start from")).to_have_count(0)
    for name, value in (("Steps", "1"), ("Strength", "0.8")):
        field(page, name).fill(value)
        field(page, name).press("Tab")
    field(page, "Describe the image").fill("a fox")
    told, made = run(page)
    expect(page.locator("#prompt-compare .name").last).to_have_text("After: DiffBIR x4")
    assert len([asked for asked in machine.hub.asked if asked.method == "GET" and "vocab.json" in asked.path]) == 1
    assert told["model"] == "diffbir" and told["settings"].pop("scheduler") == "DPM++ 3M SDE"
    assert told["settings"]["steps"] == 1 and told["settings"]["strength"] == 0.8
    assert_made_by("diffbir", Settings(**told["settings"]), tmp_path / "small.png", made, machine, monkeypatch)


def test_supir_once_its_licence_is_accepted(
    page: Page, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each tab that runs it; nothing is asked for before."""
    small = save_strip(tmp_path / "small.png")
    open_tab(page, machine.address)
    tick = page.locator("#prompt-licence").get_by_role("checkbox")
    expect(tick).to_have_count(0)
    choose(page, "^SUPIR(?! F)")
    page.locator("#prompt-picture").get_by_label("Remove Image").click()
    page.locator("#prompt-picture input[type=file]").set_input_files(small)
    expect(plan(page)).to_contain_text(SAID)
    link = page.locator("#prompt-licence").get_by_role("link")
    expect(link).to_have_attribute("href", find("supir").terms_url)
    advanced(page)
    expect(field(page, "Guidance")).to_have_value("4")
    expect(field(page, "Strength")).to_have_value("1")
    expect(field(page, "Start from")).to_be_visible()
    page.get_by_role("radiogroup", name="Creativity").get_by_role("radio", name="High").filter(visible=True).check()
    expect(field(page, "Guidance")).to_have_value("6")
    expect(field(page, "Strength")).to_have_value("0.93")
    page.wait_for_url("**creativity=high**")
    field(page, "Steps").fill("1")
    field(page, "Steps").press("Tab")
    field(page, "Describe the image").fill("a fox")
    button(page, "Upscale").click()
    expect(page.get_by_role("tabpanel").get_by_text(SAID).last).to_be_visible()
    assert not [asked for asked in machine.hub.asked if "SUPIR" in asked.path or "xl-base" in asked.path]
    tick.check()
    expect(plan(page)).to_contain_text("80 × 4 → 320 × 16")
    told, made = run(page)
    expect(page.locator("#prompt-compare .name").last).to_have_text("After: SUPIR x4")
    assert told["model"] == "supir" and told["settings"].pop("scheduler") == "Restore EDM"
    assert told["settings"]["steps"] == 1 and "accept_licence" not in told["settings"]
    assert [told["settings"][name] for name in ("creativity", "guidance", "strength")] == ["high", 6, 0.93]
    again = Settings(**told["settings"], accept_licence=True)
    assert_made_by("supir", again, small, made, machine, monkeypatch)

    page.goto(f"{machine.address}?tab=compare&models=bicubic,supir&scale=x4")
    accept, told_plan = page.locator("#compare-licence").get_by_role("checkbox"), page.locator(".plan:visible")
    expect(page.get_by_text(SAID).filter(visible=True)).to_have_count(1)
    accept.check()
    expect(told_plan).to_contain_text("2 models")
    page.goto(f"{machine.address}?tab=chained&first=supir&second=bicubic")
    expect(page.get_by_text(SAID).filter(visible=True)).to_have_count(1)
    page.locator("#chained-licence").get_by_role("checkbox").check()
    expect(told_plan).to_contain_text("224 × 224 → 896 × 896 → 1792 × 1792")
    page.get_by_label("First, x4").click()
    page.get_by_role("option", name="Bicubic —").click()
    expect(page.locator("#chained-licence").get_by_role("checkbox")).to_have_count(0)


def test_resshift_on_upscale(page: Page, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its release; it takes no words, and says that it is not for commercial use."""
    page.goto(f"{machine.address}?model=resshift&scale=x4")
    images.write(images.Picture(np.random.default_rng(3).random((12, 16, 3), np.float32)), tmp_path / "small.png")
    page.locator("#picture").get_by_label("Remove Image").click()
    page.locator("#picture input[type=file]").first.set_input_files(tmp_path / "small.png")
    shown = page.locator(".plan:visible").first
    expect(shown).to_contain_text("ResShift: 16 × 12 → 64 × 48")
    expect(shown).to_contain_text(re.compile(r"downloads [\d.]+ MB first"))
    expect(page.get_by_text("S-Lab License 1.0 · not for commercial use").filter(visible=True)).to_have_count(1)
    expect(page.get_by_label("Describe the image").filter(visible=True)).to_have_count(0)
    button(page, "Upscale").click()
    expect(page.locator("#progress")).to_contain_text("Done in", timeout=TO_LOAD)
    expect(page.locator("#compare .name").last).to_have_text("After: ResShift x4")
    with page.expect_download() as download:
        button(page, "Download PNG").click()
    made = images.read(download.value.path())
    assert {asked.path.split("/")[1] for asked in machine.hub.asked if "resshift" in asked.path} == {"release"}
    assert_made_by("resshift", Settings(), tmp_path / "small.png", made, machine, monkeypatch)
