"""The fields that steer a diffusion model offer what that model takes."""

from dataclasses import replace

import pytest

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import Settings
from ui.widgets.steering import tile_choices

X4 = [64, 128, 192, 256, 384, 512]


@pytest.mark.parametrize(
    ("key", "sides"), [("sd-x4", X4), ("ldm-x4", X4), ("sd-x2", [256, 512, 768, 1024, 1536, 2048])]
)
def test_the_tiles_to_choose_from(key: str, sides: list[int]) -> None:
    row = catalog.find(key)
    assert tile_choices(row) == [("The model's own", ""), *((str(side), side) for side in sides)]
    for side in sides:
        catalog.check_settings([row], Settings(tile=side))


def test_they_are_in_the_range_of_any_model() -> None:
    """Of whatever scale: the range is the row's."""
    row = replace(catalog.find("sd-x4"), scales={8: None}, tiles=(100, 256))
    assert [side for _, side in tile_choices(row)] == ["", 128, 192, 256]
    assert [side for _, side in tile_choices(replace(row, tiles=None))] == [""]
