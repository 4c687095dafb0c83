"""What a shared page is made of: the files of one result, its HTML without a path of the server, names escaped."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipelines.images.pyramid import write_pyramid
from pipelines.runs import finish
from ui.sharing import pages, store
from ui.widgets.viewer import Pane, View, viewer_script


def test_a_page_has_all_its_files_and_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_SHARE_DIR", str(tmp_path / "shared"))
    pixels = np.random.default_rng(0).integers(0, 256, (600, 700, 3), dtype=np.uint8)
    before = finish(write_pyramid(pixels[::2, ::2].copy(), tmp_path / "private" / "before"))
    after = finish(write_pyramid(pixels, tmp_path / "private" / "after"))
    panes = [Pane("Before: Bicubic", "", before, smooth=True), Pane("After: <b>&</script>", "", after)]
    view = View(panes, None, [(0, 0, 96, 96)], "swipe", pair=(0, 1), size=(700, 600), source=str(tmp_path / "mine.png"))
    place = store.reserve()
    facts = "<dl><div><dt>Size</dt><dd>700 × 600</dd></div></dl>"
    finish(store.add(place, pages.make_result_page(place, view, "<b>&</script>", facts)))
    path = store.find(place.id)
    assert path is not None
    with zipfile.ZipFile(path) as archive:
        names, html = {*archive.namelist()}, archive.read(store.INDEX).decode()
        own = {name: archive.read(name).decode() for name in (store.INDEX, store.ABOUT, "page.js", "page.css")}
    tiles = {f"0-{number}/{file.name}" for number, layer in enumerate((before, after)) for file in layer.files()}
    assert names == tiles | {store.INDEX, store.CARD, store.ABOUT, "page.js", "page.css"}
    for name, text in own.items():
        assert str(tmp_path) not in text and "mine.png" not in text, name
        assert not re.search(r"https?://(?!www\.w3\.org)", text), f"{name} needs no other server"
    assert "<b>&" not in html and html.count("</script>") == 2, "the page's own two alone"
    assert viewer_script() in own["page.js"], "it looks the same whatever becomes of this program"
    assert f'{place.id}/page.js"' in html and f'"{place.id}/0-1/1_0_0.webp"' in html
