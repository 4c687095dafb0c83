"""DiffBIR on the Prompt tab in Debian's Chromium: its files come from two repositories of a Hub on loopback."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from pipelines.catalog.rows import Stage, find
from pipelines.catalog.schema import Hub, Weights
from pipelines.catalog.settings import Settings
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import to_uint8
from pipelines.runs import finish
from tests.conftest import serving, visit
from tests.support.diffbir_parts import save_diffbir
from tests.support.hub import LoopbackHub
from tests.ui.tabs.test_prompt_page import TO_LOAD, advanced, button, field, give, open_tab, plan, state


def publish(hub: LoopbackHub, folder: Path, weights: Weights | None) -> None:
    """Puts the folder's files where a row looks for them first."""
    assert weights is not None
    source = weights.sources[0]
    assert isinstance(source, Hub)
    for file in weights.files:
        path = f"/{source.repo}/resolve/{source.revision or 'main'}/{file.path}"
        hub.serve(path, (folder / file.path).read_bytes())


def test_from_a_fresh_machine_to_a_picture_by_words(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokenizer comes with the words, and what comes out is what the library makes of the same settings."""
    folder, row = save_diffbir(tmp_path / "parts", tokenizer=True), find("diffbir")
    (folder / "tokenizer" / "special_tokens_map.json").write_text("{}")
    with LoopbackHub() as hub:
        publish(hub, folder, row.scales[4])
        publish(hub, folder, row.words)
        (served := tmp_path / "served").mkdir()
        online = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "UPSCALE_PRELOAD": ""}
        with serving(served, **online) as address, visit(browser, 1280, "light", address) as page:
            open_tab(page, address)
            page.get_by_role("tabpanel").get_by_label("Model").click()
            page.get_by_role("option", name=re.compile("^DiffBIR(?! v2)")).click()
            give(page, 16, 16, tmp_path / "small.png")
            expect(plan(page)).to_contain_text("16 × 16 → 64 × 64")
            expect(plan(page)).to_contain_text("downloads 6.7 GB first")
            advanced(page)
            expect(field(page, "Guidance")).to_have_value("8")
            field(page, "Steps").fill("1")
            field(page, "Steps").press("Tab")
            field(page, "Describe the image").fill("a fox")
            button(page, "Upscale").click()
            expect(state(page)).to_contain_text("Done in", timeout=TO_LOAD)
            expect(page.locator("#prompt-compare .name").last).to_have_text("After: DiffBIR x4")
            told = json.loads(page.locator("#prompt-settings textarea").input_value())
            with page.expect_download() as download:
                button(page, "Download PNG").click()
            made = images.read(download.value.path())
        assert len([asked for asked in hub.asked if asked.method == "GET" and "vocab.json" in asked.path]) == 1
    assert told["model"] == "diffbir" and told["settings"].pop("scheduler") == "DPM++ 3M SDE"
    assert told["settings"]["steps"] == 1 and told["settings"]["strength"] == 1
    monkeypatch.setenv("UPSCALE_WEIGHTS_DIR", str(folder))
    picture = images.read(tmp_path / "small.png")
    done = finish(enlarge_by(picture, [Stage("diffbir", 4)], Settings(**told["settings"])))
    np.testing.assert_array_equal(to_uint8(made.pixels), to_uint8(done.picture.pixels))
