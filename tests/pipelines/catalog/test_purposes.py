"""What people upscale for: each purpose names a model that the page offers, and is found by its key and its model."""

from pipelines.catalog import rows as catalog
from pipelines.catalog.rows import DAMAGED, PURPOSES, find_purpose, purpose_of


def test_each_purpose_names_a_row_of_its_own() -> None:
    keys, models = [each.key for each in PURPOSES], [each.model for each in PURPOSES]
    assert keys == ["photo", "faithful", "drawing", "pixel-art", "creative"]
    assert models == ["real-esrgan-general", "swift", "real-esrgan-anime", "nearest", "sd-x4"]
    for purpose in PURPOSES:
        assert 4 in catalog.find(purpose.model).scales, "what the page chooses first"
        assert purpose.use.endswith(".") and len(purpose.use) < 45, "one line of a card"


def test_a_purpose_is_found_by_its_key_and_by_its_model() -> None:
    assert find_purpose("pixel-art") == purpose_of("nearest") == PURPOSES[3]
    assert find_purpose("nonsense") is None and purpose_of("bicubic") is None and purpose_of("owner/a/b.pth") is None
    assert DAMAGED.key == "photo"


def test_of_these_only_the_creative_one_takes_words() -> None:
    assert [each.key for each in PURPOSES if catalog.find(each.model).prompt] == ["creative"]
