"""A colour profile goes with every image that the page shows of a run: while it goes on, and of each stage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipelines.catalog.rows import Stage
from pipelines.enlarge import enlarge_by
from pipelines.images import door as images
from pipelines.images.picture import Picture
from pipelines.runs import Preview, Run, finish
from tests.conftest import smooth
from ui.jobs import chain_views
from ui.widgets import before_after
from ui.widgets.viewer import WholeFile


@pytest.fixture(scope="module")
def icc() -> bytes:
    profile: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile


def profile_of(path: Path) -> bytes | None:
    with Image.open(path) as shown:
        found: bytes | None = shown.info.get("icc_profile")
        return found


@pytest.mark.parametrize("channels", [3, 4])
def test_a_preview_has_the_profile_of_the_image(channels: int, icc: bytes, tmp_path: Path) -> None:
    source = tmp_path / "wide.png"
    images.write(Picture(smooth(8, 8), icc=icc), source)

    def previewing() -> Run[str]:
        yield Preview(1, 2, "tiles", np.full((16, 16, channels), 90, np.uint8))
        return "done"

    run, newest = before_after.watch_previews(previewing(), source, "Swift x2", 2)
    assert newest() is None
    next(run)
    view = newest()
    assert view is not None
    over = view.panes[0].over
    assert isinstance(over, WholeFile)
    assert profile_of(over.path) == icc
    np.testing.assert_array_equal(np.asarray(Image.open(over.path))[..., :3], 90)
    assert newest() is None, "each is given once"


def test_each_stage_of_a_chain_has_the_profile_of_the_image(icc: bytes) -> None:
    picture = Picture(smooth(8, 8), icc=icc)
    done = finish(enlarge_by(picture, [Stage("bicubic", 4), Stage("bicubic", 2)]))
    panes = finish(chain_views.make_stage_panes(picture, done))
    assert [profile_of(pane.picture.top) for pane in panes] == [icc] * 3
