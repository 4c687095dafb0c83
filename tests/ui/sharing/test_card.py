"""The card of a shared page: the pair that was shared, at the place where it differs."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.images.pyramid import Pyramid, write_pyramid
from pipelines.runs import finish
from ui.sharing.card import choose_pair, draw_card
from ui.widgets.viewer import Pane, View, WholeFile


def test_it_shows_the_small_image_and_the_result_where_they_differ(tmp_path: Path) -> None:
    """The small one is blue but for a red part, the result green but for a yellow one at the same place."""
    small, large = np.zeros((300, 400, 3), np.uint8), np.zeros((1200, 1600, 3), np.uint8)
    small[:], large[:] = (0, 0, 200), (0, 150, 0)
    small[200:300, 300:400], large[800:1200, 1200:1600] = (200, 0, 0), (220, 220, 0)
    panes = []
    for label, pixels in (("Original", large), ("Swift", large), ("Bicubic", large * 0), ("Small image", small)):
        made: Pyramid = finish(write_pyramid(pixels, tmp_path / label))
        panes.append(Pane(label, "", made))
    view = View(panes, 0, [(1350, 900, 96, 96)], open_at=0)
    assert [pane.label for pane in choose_pair(view)] == ["Small image", "Swift"]
    with Image.open(BytesIO(draw_card(view))) as card:
        assert card.size == (1200, 630) and card.format == "JPEG"
        middle_left, middle_right = card.getpixel((300, 400)), card.getpixel((900, 400))
    np.testing.assert_allclose(middle_left, (200, 0, 0), atol=6)
    np.testing.assert_allclose(middle_right, (220, 220, 0), atol=6)


def test_an_image_smaller_than_the_card_fills_it(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (40, 60), (10, 20, 30)).save(tmp_path / "after.png")
    panes = [
        Pane("Before: Bicubic", "", WholeFile(tmp_path / "clear.png", 20, 30)),
        Pane("After: Swift x2", "", WholeFile(tmp_path / "after.png", 40, 60)),
    ]
    with Image.open(BytesIO(draw_card(View(panes, None, size=(40, 60))))) as card:
        np.testing.assert_allclose(card.getpixel((300, 600)), (255, 255, 255), atol=3)
        np.testing.assert_allclose(card.getpixel((1195, 625)), (10, 20, 30), atol=3)
