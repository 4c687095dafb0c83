"""SUPIR on the Prompt tab in Debian's Chromium: its licence first, then its files from two repositories on loopback."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from pipelines.catalog.rows import Stage, find
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import to_uint8
from pipelines.runs import finish
from tests.conftest import serving, visit
from tests.support.hub import LoopbackHub
from tests.support.supir_parts import save_supir
from tests.ui.tabs.test_prompt_diffbir import publish
from tests.ui.tabs.test_prompt_page import TO_LOAD, advanced, button, field, open_tab, plan, state


def test_from_a_fresh_machine_to_an_image_once_the_licence_is_accepted(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked for before; and what comes out is what the library makes of the same settings."""
    folder, row = save_supir(tmp_path / "parts", published=True), find("supir")
    program = ("-m", "tests.support.supir_parts", str(folder))
    with LoopbackHub() as hub:
        publish(hub, folder, row.scales[4])
        publish(hub, folder, row.more[0])
        (served := tmp_path / "served").mkdir()
        online = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "UPSCALE_PRELOAD": ""}
        with serving(served, *program, **online) as address, visit(browser, 1280, "light", address) as page:
            open_tab(page, address)
            tick = page.locator("#prompt-licence").get_by_role("checkbox")
            expect(tick).to_have_count(0)
            page.get_by_role("tabpanel").get_by_label("Model").click()
            page.get_by_role("option", name=re.compile("^SUPIR(?! F)")).click()
            # A strip stays one: any other image would be denoised at 1024 pixels or more.
            images.write(
                images.Picture(np.random.default_rng(3).random((4, 80, 3), np.float32)), tmp_path / "small.png"
            )
            page.locator("#prompt-picture").get_by_label("Remove Image").click()
            page.locator("#prompt-picture input[type=file]").set_input_files(tmp_path / "small.png")
            said = "SUPIR is not for commercial use, and its licence must be accepted first"
            expect(plan(page)).to_contain_text(said)
            advanced(page)
            expect(field(page, "Guidance")).to_have_value("4")
            field(page, "Steps").fill("1")
            field(page, "Steps").press("Tab")
            field(page, "Describe the image").fill("a fox")
            button(page, "Upscale").click()
            expect(page.get_by_role("tabpanel").get_by_text(said).last).to_be_visible()
            assert not [asked for asked in hub.asked if "SUPIR" in asked.path or "xl-base" in asked.path]
            tick.check()
            expect(plan(page)).to_contain_text("80 × 4 → 320 × 16")
            expect(plan(page)).to_contain_text("downloads 2.7 GB first")
            button(page, "Upscale").click()
            expect(state(page)).to_contain_text("Done in", timeout=TO_LOAD)
            expect(page.locator("#prompt-compare .name").last).to_have_text("After: SUPIR x4")
            told = json.loads(page.locator("#prompt-settings textarea").input_value())
            with page.expect_download() as download:
                button(page, "Download PNG").click()
            made = images.read(download.value.path())
    assert told["model"] == "supir" and told["settings"].pop("scheduler") == "Restore EDM"
    assert told["settings"]["steps"] == 1 and "accept_licence" not in told["settings"]
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    settings = Settings(**told["settings"], accept_licence=True)
    done = finish(enlarge_by(images.read(tmp_path / "small.png"), [Stage("supir", 4)], settings))
    np.testing.assert_array_equal(to_uint8(made.pixels), to_uint8(done.picture.pixels))
